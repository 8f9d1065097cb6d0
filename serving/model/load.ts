import { CourtsideError, errorText } from "../../base/errors.ts";
import { createBatcher, type Batcher, type BatcherLimits } from "./batcher.ts";
import { BadCardError, parseCard, sha256Hex, type ModelCard } from "./card.ts";
import { type OnnxThread } from "./onnx-thread.ts";
import { OUTPUT_NAMES, type OnnxModel } from "./onnx.ts";
import { loadScorer } from "./scorer.ts";
import { CARD_FILE, ONNX_FILE, type ModelStore } from "./store.ts";

/** A model that is ready to score. */
export interface LoadedModel {
  readonly card: ModelCard;
  readonly onnx: OnnxModel;
  readonly batcher: Batcher;
}

/** Features of one schema met a model of another. */
export class SchemaMismatchError extends CourtsideError {
  override readonly code = "SCHEMA_MISMATCH";
  override readonly retryable = false;
}

/** The model does not say of the rows in its card what the card says it does. */
export class ParityFailedError extends CourtsideError {
  override readonly code = "PARITY_FAILED";
  override readonly retryable = false;
}

export interface LoadOptions {
  /** Of the features that this program computes. */
  readonly schemaHash: string;
  readonly thread?: OnnxThread | undefined;
  /** Of ONNX Runtime in one run. */
  readonly threads?: number | undefined;
  readonly limits?: Partial<BatcherLimits> | undefined;
}

/** @throws BadCardError */
export async function loadCard(store: ModelStore, version: string): Promise<ModelCard> {
  const file = `${store.place}/${version}/${CARD_FILE}`;
  const bytes = await read(store, version, CARD_FILE);
  const card = parseCard(new TextDecoder().decode(bytes), file);
  if (card.version === version) return card;
  throw new BadCardError(`${file} is the card of version ${card.version}, not of ${version}`);
}

/**
 * Reads a version, checks that it is what its card says, and warms it up with the rows of the card.
 * @throws SchemaMismatchError, BadCardError, BadOnnxError, ParityFailedError
 */
export async function loadModel(
  store: ModelStore,
  card: ModelCard,
  { schemaHash, thread, threads, limits }: LoadOptions,
): Promise<LoadedModel> {
  checkSchema(card, schemaHash);
  const file = `${store.place}/${card.version}/${ONNX_FILE}`;
  const bytes = await read(store, card.version, ONNX_FILE);
  if (sha256Hex(bytes) !== card.onnxSha256) {
    throw new BadCardError(`${file} is not the file that its card describes (SHA-256 differs)`);
  }
  const onnx = await loadScorer(bytes, { thread, ...(threads !== undefined && { threads }) });
  try {
    const said = { version: card.version, schema_hash: card.schemaHash };
    for (const [key, expected] of Object.entries(said)) {
      const found = onnx.metadata.get(key);
      if (found === expected) continue;
      throw new BadCardError(`${file} says ${key} ${String(found)}, its card says ${expected}`);
    }
    if (onnx.features !== card.features.length) {
      throw new BadCardError(
        `${file} takes ${onnx.features} features, its card lists ${card.features.length}`,
      );
    }
    await checkParity(card, onnx, file);
  } catch (error) {
    await onnx.close();
    throw error;
  }
  return { card, onnx, batcher: createBatcher(onnx, limits) };
}

/** @throws SchemaMismatchError */
export function checkSchema(card: ModelCard, schemaHash: string): void {
  if (card.schemaHash === schemaHash) return;
  throw new SchemaMismatchError(
    `model ${card.version} was trained on feature schema ${card.schemaHash}, this program computes ` +
      `${schemaHash}; train again with \`courtside train\``,
  );
}

/** Rows of the card with what the model must say of them; they warm the model up as well. */
async function checkParity({ golden }: ModelCard, onnx: OnnxModel, file: string): Promise<void> {
  if (golden === undefined) return;
  const { vectors, outputs: expected, tolerance } = golden;
  const values = Float32Array.from(vectors.flat());
  if (values.length !== vectors.length * onnx.features) {
    throw new ParityFailedError(`${file}: a row in the card has not ${onnx.features} numbers`);
  }
  const outputs = await onnx.run(values, vectors.length);
  for (const name of OUTPUT_NAMES) {
    for (const [row, value] of (expected[name] ?? []).entries()) {
      const found = outputs[name]?.[row];
      if (found !== undefined && Math.abs(found - value) <= tolerance) continue;
      throw new ParityFailedError(
        `${file} says ${name} ${String(found)} of row ${row} in its card, the card says ${value}`,
      );
    }
  }
}

async function read(
  store: ModelStore,
  version: string,
  name: typeof ONNX_FILE | typeof CARD_FILE,
): Promise<Uint8Array> {
  try {
    return await store.read(version, name);
  } catch (error) {
    const message = `${store.place}/${version}/${name} cannot be read: ${errorText(error)}`;
    throw new BadCardError(message, { cause: error });
  }
}
