import { expect, test } from "vitest";
import { createAdmission, TooManyCallsError } from "./limits.ts";

test("a full server lets nobody in until a call has ended", () => {
  const admission = createAdmission({ maxCalls: 2 });
  const leave = admission.enter("a");
  admission.enter("b");
  expect(() => admission.enter("c")).toThrow(TooManyCallsError);
  leave();
  leave();
  expect(admission.calls).toBe(1);
  admission.enter("c");
  expect(() => admission.enter("d")).toThrow(TooManyCallsError);
});

test("one client cannot take another's share", () => {
  const admission = createAdmission({ maxCallsPerClient: 1 });
  admission.enter("greedy");
  expect(() => admission.enter("greedy")).toThrow(/this client has 1/u);
  expect(() => admission.enter("modest")).not.toThrow();
});

test("a rate lets a burst of a second through and then says how long to wait", () => {
  let nowMs = 0;
  const admission = createAdmission({ callsPerSecondPerClient: 4 }, () => nowMs);
  for (let i = 0; i < 4; i += 1) admission.enter("a")();
  try {
    admission.enter("a");
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(TooManyCallsError);
    expect((error as TooManyCallsError).retryAfterMs).toBe(250);
  }
  nowMs += 250;
  admission.enter("a")();
  expect(() => admission.enter("a")).toThrow(TooManyCallsError);
});
