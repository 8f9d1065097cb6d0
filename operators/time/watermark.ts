import assert from "node:assert/strict";
import { MIN_TIME_MS, type Output, TASK_SCOPE, type Watermark } from "../runtime/element.ts";

/** Gives records their event time and says how far time has come. */
export interface TimestampSpec<T> {
  /** Epoch milliseconds, or any axis that grows with the events; integer. */
  eventTimeMs(value: T): number;
  /** How much later than its successors a record may arrive; 0 for ordered input. */
  readonly outOfOrdernessMs: number;
  /** Scope of the watermarks: of the record's key, or of the whole task when absent. */
  scopeOf?(value: T): string;
  /** True when nothing follows in this scope: its watermark goes to the end of time. */
  isLast?(value: T): boolean;
}

/**
 * Watermark of a stream with bounded disorder: highest event time seen − bound − 1; never goes back.
 * @see Flink, BoundedOutOfOrdernessWatermarks.
 */
export function boundedWatermarkMs(highestMs: number, outOfOrdernessMs: number): number {
  return highestMs === MIN_TIME_MS ? MIN_TIME_MS : highestMs - outOfOrdernessMs - 1;
}

/** Minimum over the inputs of a union, per scope; a watermark leaves only when it is above the last one. */
export class UnionValve {
  readonly #inputs: number;
  readonly #byScope = new Map<string, { readonly inputs: number[]; last: number }>();

  constructor(inputs: number) {
    assert(inputs > 0, "a union needs at least one input");
    this.#inputs = inputs;
  }

  advance(input: number, { scope, watermarkMs }: Watermark, out: Output<never>): void {
    let state = this.#byScope.get(scope);
    if (state === undefined) {
      state = {
        inputs: Array.from({ length: this.#inputs }, () => MIN_TIME_MS),
        last: MIN_TIME_MS,
      };
      this.#byScope.set(scope, state);
    }
    state.inputs[input] = Math.max(state.inputs[input] ?? MIN_TIME_MS, watermarkMs);
    const least = Math.min(...state.inputs);
    if (least <= state.last) return;
    state.last = least;
    if (least === Number.MAX_SAFE_INTEGER && scope !== TASK_SCOPE) this.#byScope.delete(scope);
    out.watermark({ scope, watermarkMs: least });
  }
}
