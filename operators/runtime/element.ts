/** Smallest event time, in milliseconds: the watermark before the first record. */
export const MIN_TIME_MS = Number.MIN_SAFE_INTEGER;
/** Largest event time, in milliseconds: the watermark behind the last record. Sums saturate here. */
export const MAX_TIME_MS = Number.MAX_SAFE_INTEGER;
/** Event time of a record that has none. */
export const NO_TIME_MS = Number.NEGATIVE_INFINITY;

/** Sum of a time and a duration that stops at the ends of time, where arithmetic is still exact. */
export function addTimeMs(timeMs: number, durationMs: number): number {
  return Math.max(MIN_TIME_MS, Math.min(MAX_TIME_MS, timeMs + durationMs));
}

/** Scope of a watermark that holds for all keys of a task. */
export const TASK_SCOPE = "";

/** Where an operator puts its results, and, seen from the other side, what an operator's input is. */
export interface Output<T> {
  /** @param eventTimeMs - `NO_TIME_MS` when the record has none. */
  record(value: T, eventTimeMs: number): void;
  /**
   * A promise that no record with `eventTimeMs <= watermarkMs` follows.
   * @param scope - for whom: `TASK_SCOPE` is the whole task, as in Flink; anything else is one key. A
   *   watermark of one key lets every game run on its own clock, so that its results do not depend on which
   *   other games the same worker happens to hold.
   */
  watermark(watermarkMs: number, scope: string): void;
  /** The stream has gone idle: it holds nobody's watermark back until it is active again. */
  status(idle: boolean): void;
}

/** The input message that is being worked on: identifies outputs and carries the trace. */
export interface Origin {
  readonly keyGroup: number;
  /** Sequence of the message on its stream. */
  readonly sequence: number;
  /** W3C `traceparent`, or empty when the message is not sampled. */
  readonly traceparent: string;
  /** Outputs made from this message so far: the index of the next one. */
  outputs: number;
}

/** Names a side output and fixes the type of what goes there. */
export interface OutputTag<T> {
  readonly id: string;
  /** Only for the compiler: never present at run time. */
  readonly type?: T;
}

/** @param id - unique among the side outputs of one operator. */
export function outputTag<T>(id: string): OutputTag<T> {
  return { id };
}
