import { expect, test } from "vitest";
import { addUp, countTests } from "./test-report.ts";

const REPORT = {
  numPassedTests: 5,
  numFailedTests: 0,
  numPendingTests: 2,
  numTodoTests: 1,
  testResults: [{ status: "passed", assertionResults: [{}] }],
};

test("passed, failed and skipped tests are those of the report", () => {
  expect(countTests(REPORT, true)).toEqual({ passed: 5, failed: 0, skipped: 3 });
});

test("a file that could not be loaded counts as a failure", () => {
  const report = { ...REPORT, testResults: [{ status: "failed", assertionResults: [] }] };
  expect(countTests(report, false).failed).toBe(1);
});

test("a run that failed outside of its tests counts as a failure", () => {
  expect(countTests(REPORT, false).failed).toBe(1);
});

test("counts of checks and tests are added up", () => {
  const one = { passed: 1, failed: 0, skipped: 0 };
  expect(addUp([one, { passed: 4, failed: 1, skipped: 2 }])).toEqual({
    passed: 5,
    failed: 1,
    skipped: 2,
  });
});
