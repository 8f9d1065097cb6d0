import { expect, test } from "vitest";
import { seededRandom } from "../base/random.ts";
import { createRetryBudget, createThrottle } from "./client-budget.ts";

test("a budget ends while nothing is answered and comes back with the answers", () => {
  const budget = createRetryBudget(2);
  expect([budget.take(), budget.take(), budget.take()]).toEqual([true, true, false]);
  for (let i = 0; i < 9; i += 1) budget.answered();
  expect(budget.take()).toBe(false);
  for (let i = 0; i < 2; i += 1) budget.answered();
  expect(budget.take()).toBe(true);
  for (let i = 0; i < 1_000; i += 1) budget.answered();
  expect([budget.take(), budget.take(), budget.take()]).toEqual([true, true, false]);
});

/** Ten thousand calls, one a millisecond, on a server that accepts `share` of those it gets. */
function asked(share: (atMs: number) => number): { made: number; accepted: number; late: number } {
  const random = seededRandom(7);
  let nowMs = 0;
  const throttle = createThrottle(
    () => nowMs,
    () => random.next(),
  );
  const counts = { made: 0, accepted: 0, late: 0 };
  for (; nowMs < 10_000; nowMs += 1) {
    if (!throttle.mayAsk()) continue;
    counts.made += 1;
    if (nowMs >= 9_000) counts.late += 1;
    const isAccepted = random.next() < share(nowMs);
    if (isAccepted) counts.accepted += 1;
    throttle.tell(isAccepted);
  }
  return counts;
}

test("a server that accepts everything is asked everything", () => {
  expect(asked(() => 1)).toEqual({ made: 10_000, accepted: 10_000, late: 1_000 });
});

test("a server that refuses most is asked little more than it accepts", () => {
  const { made } = asked(() => 0.1);
  expect(made).toBeLessThan(2_000);
});

test("a server that has room again is soon asked everything again", () => {
  const { late } = asked((atMs) => (atMs < 3_000 ? 0.05 : 1));
  expect(late).toBeGreaterThan(990);
});
