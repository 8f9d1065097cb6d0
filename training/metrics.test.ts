import { expect, test } from "vitest";
import { scoresOf } from "./metrics.ts";

const all = (rows: number): Uint32Array => Uint32Array.from({ length: rows }, (_, i) => i);

test("scores of four rows by hand", () => {
  const scores = scoresOf([0.9, 0.6, 0.4, 0.2], [1, 0, 1, 0], all(4));
  expect(scores.brier).toBeCloseTo((0.01 + 0.36 + 0.36 + 0.04) / 4, 12);
  const likelihood = 0.9 * 0.4 * 0.4 * 0.8;
  expect(scores.logLoss).toBeCloseTo(-Math.log(likelihood) / 4, 12);
  // Pairs of a won and a lost row: (.9,.6) (.9,.2) (.4,.2) are in order, (.4,.6) is not.
  expect(scores.auc).toBeCloseTo(3 / 4, 12);
  expect(scores.accuracy).toBeCloseTo(2 / 4, 12);
  expect(scores.ece20).toBeCloseTo((0.1 + 0.6 + 0.6 + 0.2) / 4, 12);
});

test("ties count half in the area under the curve", () => {
  expect(scoresOf([0.5, 0.5, 0.5], [1, 0, 1], all(3)).auc).toBe(0.5);
  expect(scoresOf([0.5, 0.5, 0.7, 0.3], [1, 0, 1, 0], all(4)).auc).toBeCloseTo(3.5 / 4, 12);
});

test("probabilities that are as frequent as they say have no calibration error", () => {
  const p = Array.from({ length: 100 }, (_, i) => (i < 50 ? 0.22 : 0.88));
  const y = Array.from({ length: 100 }, (_, i) => Number(i < 50 ? i < 11 : i - 50 < 44));
  expect(scoresOf(p, y, all(100)).ece20).toBeCloseTo(0, 9);
});

test("one wrong certain row is expensive but finite", () => {
  expect(scoresOf([1], [0], all(1)).logLoss).toBeCloseTo(-Math.log(1e-7), 6);
});

test("only the rows that are asked for count", () => {
  expect(scoresOf([0, 1, 0.5], [1, 1, 1], Uint32Array.of(1)).brier).toBe(0);
});
