import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { CourtsideError } from "../base/errors.ts";
import {
  CARD_FORMAT,
  sha256Hex,
  type CardEvaluation,
  type CardFeature,
  type CardTraining,
  type ModelCard,
} from "../serving/model/card.ts";
import { type Alias, point } from "../serving/model/aliases.ts";
import { loadOnnx } from "../serving/model/onnx.ts";
import { CARD_FILE, ONNX_FILE } from "../serving/model/registry.ts";
import { probabilities } from "./fit.ts";
import { logisticOnnx, type LogisticModel } from "./onnx/graph.ts";

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
export function exportLogistic(model: LogisticModel, schemaHash: string): ExportedModel {
  const metadata = { name: MODEL_NAME, schema_hash: schemaHash };
  const version = sha256Hex(logisticOnnx(model, metadata)).slice(0, VERSION_DIGITS);
  return { version, bytes: logisticOnnx(model, { ...metadata, version }) };
}

/** Probabilities of the ONNX file by row, and how far they are from the trainer's at most. */
export interface Parity {
  readonly scores: Float32Array;
  readonly maxDifference: number;
}

/**
 * Runs the file on `rows` rows and compares.
 * @throws ParityError when any row differs by more than {@link MAX_DIFFERENCE}.
 */
export async function checkParity(
  { bytes }: ExportedModel,
  model: LogisticModel,
  values: Float32Array,
  rows: number,
): Promise<Parity> {
  const onnx = await loadOnnx(bytes);
  try {
    const scores = await onnx.score(values, rows);
    const expected = probabilities(model, values, rows);
    let maxDifference = 0;
    for (const [i, p] of expected.entries()) {
      const difference = Math.abs(p - (scores[i] ?? Number.NaN));
      if (!(difference <= MAX_DIFFERENCE)) {
        throw new ParityError(
          `row ${i}: the trainer says ${p}, the ONNX file ${String(scores[i])}; at most ${MAX_DIFFERENCE} apart is right`,
        );
      }
      maxDifference = Math.max(maxDifference, difference);
    }
    return { scores, maxDifference };
  } finally {
    await onnx.close();
  }
}

export interface CardParts {
  readonly schemaHash: string;
  readonly features: readonly CardFeature[];
  readonly training: CardTraining;
  readonly evaluation: CardEvaluation;
  readonly baseline: LogisticModel;
  readonly limits: readonly string[];
}

export function cardOf(
  { version, bytes }: ExportedModel,
  { weights }: LogisticModel,
  { schemaHash, features, training, evaluation, baseline, limits }: CardParts,
): ModelCard {
  return {
    format: CARD_FORMAT,
    name: MODEL_NAME,
    version,
    schemaHash,
    features,
    terms: features
      .map(({ name }, i) => ({ feature: name, weight: weights[i] ?? 0 }))
      .filter(({ weight }) => weight !== 0),
    onnxSha256: sha256Hex(bytes),
    training,
    evaluation,
    baseline: { weights: [...baseline.weights], bias: baseline.bias },
    limits,
  };
}

/**
 * Writes `<version>/{model.onnx, card.json}` and then makes the alias mean it. A reader sees the old version or
 * the new one, never half of one.
 */
export async function publish(
  folder: string,
  { bytes }: ExportedModel,
  card: ModelCard,
  alias: Alias = "champion",
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
  await point(folder, alias, card.version);
}
