import assert from "node:assert/strict";
import type { Stream } from "../operators/mod.ts";
import { type Collect, Harness } from "./harness.ts";

/** One thing that happens to the operators under test. */
export type Step<I> =
  | {
      readonly kind: "record";
      readonly key: string;
      readonly value: I;
      readonly eventTimeMs?: number;
    }
  | { readonly kind: "watermark"; readonly watermarkMs: number }
  | { readonly kind: "processingTime"; readonly nowMs: number };

/**
 * Checks that a snapshot holds everything: runs the steps in one go, then again with a snapshot and a new
 * instance after each step, and asserts that the outputs are equal. Clocks are not part of a snapshot (as in
 * Flink) and are set again after each restart, as a source would.
 */
export function survivesRestart<I>(
  define: (source: Stream<I>, collect: Collect) => void,
  steps: readonly Step<I>[],
): void {
  const whole = new Harness(define);
  for (const step of steps) apply(whole, step);
  const expected = whole.take();

  let harness = new Harness(define);
  const actual: unknown[] = [];
  let watermarkMs: number | undefined;
  for (const step of steps) {
    apply(harness, step);
    if (step.kind === "watermark") watermarkMs = step.watermarkMs;
    actual.push(...harness.take());
    harness = new Harness(define, { from: harness.snapshot(), nowMs: harness.clock.nowMs() });
    if (watermarkMs !== undefined) harness.watermark(watermarkMs);
  }
  actual.push(...harness.take());
  assert.deepEqual(actual, expected, "outputs with restarts differ from the run without");
}

function apply<I>(harness: Harness<I>, step: Step<I>): void {
  if (step.kind === "watermark") harness.watermark(step.watermarkMs);
  else if (step.kind === "processingTime") harness.processingTime(step.nowMs);
  else harness.record(step.key, step.value, step.eventTimeMs);
}
