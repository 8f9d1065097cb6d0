import assert from "node:assert/strict";
import { CourtsideError } from "../../base/errors.ts";
import { type OnnxModel } from "./onnx.ts";

/** More rows wait for the model than it may owe; trying later can help. */
export class OverloadedError extends CourtsideError {
  override readonly code = "OVERLOADED";
  override readonly retryable = true;
}

/** Scores single rows together with whatever else arrived in the same turn of the event loop. */
export interface Batcher {
  /**
   * @param vector - one row of the model's features; read before the call returns.
   * @returns the row's probability.
   * @throws OverloadedError when {@link MAX_WAITING_ROWS} rows wait already.
   */
  score(vector: Float32Array): Promise<number>;
  /**
   * Rows that came together already.
   * @param values - `rows * features` numbers.
   * @throws OverloadedError as `score`
   */
  scoreMany(values: Float32Array, rows: number): Promise<Float32Array>;
}

/** Rows that may wait: half a second of work at the pace of single calls, 4 MB of features. */
export const MAX_WAITING_ROWS = 32_768;
/**
 * Rows of one run. Past a few dozen the cost of a call is spread thin (43 µs alone, 0.2 µs a row in a batch),
 * and 512 rows hold the event loop for 0.1 ms only.
 */
const MAX_BATCH_ROWS = 512;

interface Waiting {
  readonly vector: Float32Array;
  readonly resolve: (probability: number) => void;
  readonly reject: (error: unknown) => void;
}

export function createBatcher(model: OnnxModel, maxWaitingRows = MAX_WAITING_ROWS): Batcher {
  let waiting: Waiting[] = [];
  let running = false;
  /** Rows of `scoreMany` that are under way. */
  let owed = 0;

  const checkRoom = (rows: number): void => {
    // A batch that is larger than the limit by itself still goes through an idle model.
    const busy = waiting.length + owed;
    if (busy === 0 || busy + rows <= maxWaitingRows) return;
    throw new OverloadedError(`${busy} rows wait for the model; try again later`);
  };
  const runBatches = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_BATCH_ROWS);
      waiting = waiting.slice(MAX_BATCH_ROWS);
      await runBatch(model, batch);
    }
    running = false;
  };

  return {
    score(vector) {
      assert(vector.length === model.features, "a row must have the model's number of features");
      checkRoom(1);
      return new Promise((resolve, reject) => {
        waiting.push({ vector: vector.slice(), resolve, reject });
        if (running) return;
        running = true;
        // After the sockets were read: requests that arrived together are scored together.
        setImmediate(() => void runBatches());
      });
    },
    async scoreMany(values, rows) {
      checkRoom(rows);
      owed += rows;
      try {
        return await model.score(values, rows);
      } finally {
        owed -= rows;
      }
    },
  };
}

async function runBatch(model: OnnxModel, batch: readonly Waiting[]): Promise<void> {
  const values = new Float32Array(batch.length * model.features);
  for (const [row, { vector }] of batch.entries()) values.set(vector, row * model.features);
  try {
    const scores = await model.score(values, batch.length);
    for (const [row, { resolve }] of batch.entries()) resolve(scores[row] ?? Number.NaN);
  } catch (error) {
    for (const { reject } of batch) reject(error);
  }
}
