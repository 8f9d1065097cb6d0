import assert from "node:assert/strict";
import { CourtsideError } from "../../base/errors.ts";
import { type ModelOutputs, type OnnxModel } from "./onnx.ts";

/** More rows wait for the model than it may owe; trying later can help. */
export class OverloadedError extends CourtsideError {
  override readonly code = "OVERLOADED";
  override readonly retryable = true;
  /** When what waits now will have been answered, milliseconds, at least 1. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.retryAfterMs = Math.max(1, Math.ceil(retryAfterMs));
  }
}

/** The caller gave up, or its deadline passed, before its rows were scored; they were not. */
export class CallExpiredError extends CourtsideError {
  override readonly code = "CALL_EXPIRED";
  override readonly retryable = false;
  readonly reason: "cancelled" | "deadline";

  constructor(reason: "cancelled" | "deadline") {
    super(reason === "deadline" ? "the deadline has passed" : "the call was cancelled");
    this.reason = reason;
  }
}

/** The call that rows belong to, as far as the model has to know it. */
export interface CallState {
  readonly cancelled: boolean;
  /** Epoch milliseconds, Infinity without one. */
  readonly deadlineMs: number;
}

/** A call that waits for ever. */
export const NO_DEADLINE: CallState = { cancelled: false, deadlineMs: Infinity };

/** A row of what a model said. */
export interface RowScore {
  readonly outputs: ModelOutputs;
  readonly row: number;
}

/** Scores single rows together with whatever else arrived meanwhile. */
export interface Batcher {
  /**
   * @param vector - one row of the model's features; kept until it is scored.
   * @throws OverloadedError when too much waits already; CallExpiredError when nobody waits for the answer.
   */
  score(vector: Float32Array, call?: CallState): Promise<RowScore>;
  /**
   * Rows that came together already.
   * @param values - `rows * features` numbers; they may be gone afterwards.
   * @throws as `score`
   */
  scoreMany(values: Float32Array, rows: number, call?: CallState): Promise<ModelOutputs>;
  /** Rows that wait or are under way. */
  readonly waitingRows: number;
}

export interface BatcherLimits {
  /** Rows that may wait: half a second of work at the pace of single calls, 4 MB of features. */
  readonly maxWaitingRows: number;
  /** A row that would wait longer than this at the present pace is refused at once, milliseconds. */
  readonly maxWaitMs: number;
  /** How long a first row waits for company, milliseconds; 0: until the sockets have been read. */
  readonly gatherMs: number;
  /**
   * Rows of one run. Past a few dozen the cost of a call is spread thin (43 µs alone, 0.2 µs a row in a batch),
   * and 256 rows hold the event loop for 0.1 ms only.
   */
  readonly maxBatchRows: number;
}

export const BATCHER_LIMITS: BatcherLimits = {
  maxWaitingRows: 32_768,
  maxWaitMs: 100,
  gatherMs: 0,
  maxBatchRows: 256,
};

/** Weight of the newest run in the time that a row takes, when it was faster than those before. */
const FASTER_WEIGHT = 0.3;
/** A run that took longer makes the time that a row takes longer by so much at most: it may have stood still. */
const SLOWER_FACTOR = 1.1;

function nextPace(rowMs: number, newestMs: number): number {
  if (rowMs === 0) return newestMs;
  if (newestMs < rowMs) return rowMs + FASTER_WEIGHT * (newestMs - rowMs);
  return Math.min(newestMs, rowMs * SLOWER_FACTOR);
}

interface Waiting {
  readonly vector: Float32Array;
  readonly call: CallState;
  readonly resolve: (score: RowScore) => void;
  readonly reject: (error: unknown) => void;
}

/** Limits that are not given are those of {@link BATCHER_LIMITS}. */
export function createBatcher(model: OnnxModel, limits: Partial<BatcherLimits> = {}): Batcher {
  const { maxWaitingRows, maxWaitMs, gatherMs, maxBatchRows } = { ...BATCHER_LIMITS, ...limits };
  let waiting: Waiting[] = [];
  let isRunning = false;
  /** Rows that a run has taken or that came together. */
  let owed = 0;
  let rowMs = 0;
  let gathering: NodeJS.Timeout | undefined;

  const checkRoom = (rows: number): void => {
    // A batch that is larger than the limit by itself still goes through an idle model.
    const busy = waiting.length + owed;
    if (busy === 0) return;
    // What fits into one run is let in whatever the pace was: a machine that stood still for a moment is not slow.
    const isSoon = busy < maxBatchRows || busy * rowMs <= maxWaitMs;
    if (isSoon && busy + rows <= maxWaitingRows) return;
    throw new OverloadedError(`${busy} rows wait for the model; try again later`, busy * rowMs);
  };
  const timedRun = async (values: Float32Array, rows: number): Promise<ModelOutputs> => {
    owed += rows;
    const startMs = performance.now();
    try {
      const outputs = await model.run(values, rows);
      // Few rows say little of the pace: their time is that of the call.
      const paceMs = (performance.now() - startMs) / Math.max(rows, 16);
      rowMs = nextPace(rowMs, paceMs);
      return outputs;
    } finally {
      owed -= rows;
    }
  };
  const runBatches = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxBatchRows);
      waiting = waiting.slice(maxBatchRows);
      await runBatch(model.features, timedRun, batch);
    }
    isRunning = false;
  };
  const start = (): void => {
    clearTimeout(gathering);
    gathering = undefined;
    if (isRunning) return;
    isRunning = true;
    // After the sockets were read: requests that arrived together are scored together.
    setImmediate(() => void runBatches());
  };

  return {
    get waitingRows() {
      return waiting.length + owed;
    },
    score(vector, call = NO_DEADLINE) {
      assert(vector.length === model.features, "a row must have the model's number of features");
      checkRoom(1);
      return new Promise((resolve, reject) => {
        waiting.push({ vector, call, resolve, reject });
        if (isRunning) return;
        if (gatherMs === 0 || waiting.length >= maxBatchRows) start();
        else gathering ??= setTimeout(start, gatherMs);
      });
    },
    async scoreMany(values, rows, call = NO_DEADLINE) {
      checkRoom(rows);
      const expired = expiryOf(call, Date.now());
      if (expired !== undefined) throw expired;
      return timedRun(values, rows);
    },
  };
}

/** Rows that nobody waits for any more are left out. */
async function runBatch(
  features: number,
  run: OnnxModel["run"],
  batch: readonly Waiting[],
): Promise<void> {
  const nowMs = Date.now();
  const live: Waiting[] = [];
  for (const row of batch) {
    const expired = expiryOf(row.call, nowMs);
    if (expired === undefined) live.push(row);
    else row.reject(expired);
  }
  const values = new Float32Array(live.length * features);
  for (const [row, { vector }] of live.entries()) values.set(vector, row * features);
  try {
    const outputs = await run(values, live.length);
    for (const [row, { resolve }] of live.entries()) resolve({ outputs, row });
  } catch (error) {
    for (const { reject } of live) reject(error);
  }
}

/** @returns the reason why a call's work is not worth doing, if there is one. */
export function expiryOf(call: CallState, nowMs: number): CallExpiredError | undefined {
  if (call.cancelled) return new CallExpiredError("cancelled");
  return call.deadlineMs <= nowMs ? new CallExpiredError("deadline") : undefined;
}
