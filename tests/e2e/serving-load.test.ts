import { expect, test } from "vitest";
import { loadServer } from "../bench/serving-phases.ts";

/** The short form of `tests/bench/serving-overload.ts`; shares, not times, since the machine has other work. */
test("a server whose model changes loses no call, and one that is asked too much does what it can and recovers", async () => {
  const times = { capacityMs: 1_200, swapMs: 4_500, overloadMs: 4_000, afterMs: 1_500 };
  const { capacityPerS, swapping, overload, after } = await loadServer(times);
  expect(swapping).toMatchObject({ failed: 0, refused: 0, versionsSeen: 2 });
  expect(swapping.answered).toBe(swapping.calls);
  expect(overload.failed).toBe(0);
  expect(overload.refused).toBeGreaterThan(0);
  // 0.8 and more on a machine of its own, where the benchmark measures it.
  expect(overload.answeredPerS / capacityPerS).toBeGreaterThan(0.5);
  expect(after.failed).toBe(0);
  expect(after.answered / after.calls).toBeGreaterThan(0.9);
}, 120_000);
