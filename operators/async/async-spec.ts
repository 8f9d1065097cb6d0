import { CourtsideError } from "../../base/errors.ts";
import type { Codec } from "../state/codec.ts";

/** An asynchronous call did not come back in time, and there is no handler for that. */
export class TimeoutError extends CourtsideError {
  override readonly code = "ASYNC_TIMEOUT";
  override readonly retryable = true;
}

/** When a call is made again. */
export interface RetrySpec<O> {
  /** Calls behind the first one at the most; then the answer stands, or the error ends the task. */
  readonly maxRetries: number;
  /** Processing time before the first retry. */
  readonly delayMs: number;
  /** Each wait is so much longer than the one before; default 1. */
  readonly backoff?: number;
  readonly maxDelayMs?: number;
  /** True for an answer that is not good enough. */
  onResult?(results: readonly O[]): boolean;
  /** True for an error that may pass. */
  onError?(error: unknown): boolean;
}

interface AsyncCommon<I, O> {
  readonly uid: string;
  /** How a record that waits for its answer is written into a snapshot. */
  readonly codec: Codec<I>;
  /** Results leave in the order of the input (default), or as they come, between the same watermarks. */
  readonly mode?: "ordered" | "unordered";
  /** Records in the queue, answered or not, above which the task stops reading. */
  readonly capacity: number;
  /** Processing time from arrival, over all retries; default without end. */
  readonly timeoutMs?: number;
  /** Answers in place of a call that took too long; without it a time-out ends the task. */
  onTimeout?(value: I): readonly O[];
  readonly retry?: RetrySpec<O>;
}

/** One call a record, with any number of results. */
export interface AsyncEach<I, O> extends AsyncCommon<I, O> {
  call(value: I, traceparent: string): Promise<readonly O[]>;
}

/** One call for many records. */
export interface AsyncBatch<I, O> extends AsyncCommon<I, O> {
  /** Records that pass at once, without a call. */
  skip?(value: I): O | undefined;
  /** Answers one output an input, in order; a rejection ends the task, unless it is retried. */
  call(batch: readonly I[], traceparent: string): Promise<readonly O[]>;
  /** Records in one call at the most. */
  readonly batchSize: number;
  /** Calls under way at once. */
  readonly concurrency: number;
}

/** What the operator works with: both forms in one. */
export interface AsyncSpec<I, O> extends AsyncCommon<I, O> {
  skip(value: I): readonly O[] | undefined;
  call(batch: readonly I[], traceparent: string): Promise<readonly (readonly O[])[]>;
  readonly batchSize: number;
  readonly concurrency: number;
}

export function eachAsSpec<I, O>(spec: AsyncEach<I, O>): AsyncSpec<I, O> {
  return {
    ...spec,
    skip: () => undefined,
    call: async ([value], traceparent) => [await spec.call(value as I, traceparent)],
    batchSize: 1,
    concurrency: spec.capacity,
  };
}

export function batchAsSpec<I, O>(spec: AsyncBatch<I, O>): AsyncSpec<I, O> {
  return {
    ...spec,
    skip: (value) => {
      const answer = spec.skip?.(value);
      return answer === undefined ? undefined : [answer];
    },
    call: async (batch, traceparent) =>
      (await spec.call(batch, traceparent)).map((answer) => [answer]),
  };
}
