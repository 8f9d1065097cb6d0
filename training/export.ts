import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { CourtsideError } from "../base/errors.ts";
import { type Alias, point } from "../serving/model/aliases.ts";
import { CARD_FORMAT, sha256Hex, type ModelCard } from "../serving/model/card.ts";
import { loadOnnx, type ModelOutputs } from "../serving/model/onnx.ts";
import { CARD_FILE, ONNX_FILE } from "../serving/model/registry.ts";
import { type LogisticModel, modelOnnx } from "./onnx/graph.ts";
import { outputsOf, plain, type WinModel } from "./win-model.ts";

/** A model file and the name that its content gives it. */
export interface ExportedModel {
  readonly version: string;
  readonly bytes: Uint8Array;
}

/** The ONNX file does not compute what the trainer computed. */
export class ParityError extends CourtsideError {
  override readonly code = "ONNX_PARITY";
  override readonly retryable = false;
}

export const MODEL_NAME = "win-probability";
/** Largest difference between the probabilities of the trainer and of the ONNX file. */
export const MAX_DIFFERENCE = 1e-6;
/** Hex digits of a version: 48 bits are enough to tell a few models apart. */
const VERSION_DIGITS = 12;

/** @param model - with a weight for every feature of the schema. */
export function exportModel(
  model: WinModel,
  schemaHash: string,
  name: string = MODEL_NAME,
): ExportedModel {
  const metadata = { name, schema_hash: schemaHash };
  const version = sha256Hex(modelOnnx(model, metadata)).slice(0, VERSION_DIGITS);
  return { version, bytes: modelOnnx(model, { ...metadata, version }) };
}

/** A plain logistic regression as a model file. */
export function exportLogistic(model: LogisticModel, schemaHash: string): ExportedModel {
  return exportModel(plain(model), schemaHash);
}

/** What the ONNX file says by row, and how far that is from the trainer at most. */
export interface Parity {
  readonly outputs: ModelOutputs;
  readonly scores: Float32Array;
  readonly maxDifference: number;
}

/** Rows that are compared at a time. */
const PARITY_ROWS = 65_536;

/**
 * Runs the file on `rows` rows and compares every output.
 * @throws ParityError when any row differs by more than {@link MAX_DIFFERENCE}.
 */
export async function checkParity(
  { bytes }: ExportedModel,
  model: WinModel | LogisticModel,
  values: Float32Array,
  rows: number,
): Promise<Parity> {
  const whole = "win" in model ? model : plain(model);
  const features = whole.win.weights.length;
  const onnx = await loadOnnx(bytes);
  try {
    const outputs = await onnx.run(values.slice(0, rows * features), rows);
    let maxDifference = 0;
    for (let from = 0; from < rows; from += PARITY_ROWS) {
      const part = Math.min(PARITY_ROWS, rows - from);
      const own = values.subarray(from * features, (from + part) * features);
      for (const [name, expected] of Object.entries(outputsOf(whole, own, part))) {
        const said = outputs[name as keyof ModelOutputs];
        maxDifference = Math.max(maxDifference, largestGap(name, expected, said, from));
      }
    }
    return { outputs, scores: outputs.p, maxDifference };
  } finally {
    await onnx.close();
  }
}

/** @throws ParityError */
function largestGap(
  name: string,
  expected: ArrayLike<number>,
  said: Float32Array | undefined,
  from: number,
): number {
  let largest = 0;
  for (let i = 0; i < expected.length; i += 1) {
    const gap = Math.abs((expected[i] as number) - (said?.[from + i] ?? Number.NaN));
    if (!(gap <= MAX_DIFFERENCE)) {
      throw new ParityError(
        `row ${from + i}, output ${name}: the trainer says ${String(expected[i])}, the ONNX file ` +
          `${String(said?.[from + i])}; at most ${MAX_DIFFERENCE} apart is right`,
      );
    }
    largest = Math.max(largest, gap);
  }
  return largest;
}

export type CardParts = Omit<
  ModelCard,
  "format" | "name" | "version" | "terms" | "bias" | "onnxSha256" | "baseline"
> & {
  readonly baseline: LogisticModel;
  readonly name?: string;
};

/** @param win - the linear part, whose terms are listed with its constant. */
export function cardOf(
  { version, bytes }: ExportedModel,
  win: LogisticModel,
  { baseline, name = MODEL_NAME, ...parts }: CardParts,
): ModelCard {
  const terms = parts.features
    .map((feature, i) => ({ feature: feature.name, weight: win.weights[i] ?? 0 }))
    .filter(({ weight }) => weight !== 0);
  return {
    format: CARD_FORMAT,
    name,
    version,
    ...parts,
    terms,
    bias: win.bias,
    onnxSha256: sha256Hex(bytes),
    baseline: { weights: [...baseline.weights], bias: baseline.bias },
  };
}

/**
 * Writes `<version>/{model.onnx, card.json}` and then makes the alias mean it, unless it is empty. A reader
 * sees the old version or the new one, never half of one.
 */
export async function publish(
  folder: string,
  { bytes }: ExportedModel,
  card: ModelCard,
  alias: Alias | "" = "champion",
): Promise<void> {
  const target = path.join(folder, card.version);
  const draft = path.join(folder, `.${card.version}.${process.pid}`);
  await mkdir(draft, { recursive: true });
  try {
    await writeFile(path.join(draft, ONNX_FILE), bytes);
    await writeFile(path.join(draft, CARD_FILE), `${JSON.stringify(card, null, 2)}\n`);
    // The same version is the same model; a second training of it renews the card only.
    await rm(target, { recursive: true, force: true });
    await rename(draft, target);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  if (alias !== "") await point(folder, alias, card.version);
}
