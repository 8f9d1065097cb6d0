import { expect, test } from "vitest";
import { seededRandom } from "../base/random.ts";
import { bestCalibration, calibrate, fitCalibrations } from "./calibrate.ts";
import { sigmoid } from "./fit.ts";

/** Logits that are said and outcomes whose true logit is `truth` of them. */
function said(rows: number, seed: number, truth: (z: number) => number) {
  const random = seededRandom(seed);
  const logits = Float64Array.from({ length: rows }, () => random.normal(0, 1.5));
  const outcomes = Uint8Array.from(logits, (z) => Number(random.next() < sigmoid(truth(z))));
  return { logits, outcomes };
}

test("logits that are too sure are drawn in, and by as much as they were", () => {
  const fitted = fitCalibrations(...parts(said(60_000, 1, (z) => 0.6 * z)));
  const { chosen, logLoss } = bestCalibration(fitted, ...parts(said(60_000, 2, (z) => 0.6 * z)));
  expect(chosen.kind).toBe("platt");
  expect(calibrate(chosen, 2)).toBeCloseTo(1.2, 1);
  expect(logLoss.get("platt")).toBeLessThan((logLoss.get("none") ?? 0) - 0.01);
});

test("logits that are right stay as they are: the simplest of equals is chosen", () => {
  const fitted = fitCalibrations(...parts(said(60_000, 3, (z) => z)));
  const { chosen } = bestCalibration(fitted, ...parts(said(60_000, 4, (z) => z)));
  expect(chosen.kind).toBe("none");
});

test("no correction turns the order of two logits", () => {
  // Wrong in a way that only a bent curve mends.
  const bent = (z: number): number => (z > 0 ? 0.3 * z : 1.5 * z);
  const fitted = fitCalibrations(...parts(said(60_000, 5, bent)));
  expect(fitted.map(({ kind }) => kind)).toEqual(["none", "platt", "beta", "isotonic"]);
  for (const calibration of fitted) {
    for (let z = -8; z < 8; z += 0.05) {
      expect(calibrate(calibration, z + 0.05)).toBeGreaterThan(calibrate(calibration, z));
    }
  }
  const { chosen } = bestCalibration(fitted, ...parts(said(60_000, 6, bent)));
  expect(["beta", "isotonic"]).toContain(chosen.kind);
});

function parts({ logits, outcomes }: ReturnType<typeof said>): [Float64Array, Uint8Array] {
  return [logits, outcomes];
}
