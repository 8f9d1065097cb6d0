import { expect, test } from "vitest";
import { seededRandom } from "../base/random.ts";
import { fitLogistic, FitError, probabilities, probability, sigmoid, type Design } from "./fit.ts";

/** Rows drawn from a known model; the inputs differ in scale by a million. */
function drawn(rows: number, weights: readonly number[], bias: number, seed: number): Design {
  const random = seededRandom(seed);
  const columns = weights.length;
  const values = new Float32Array(rows * columns);
  const outcomes = new Uint8Array(rows);
  for (let i = 0; i < rows; i += 1) {
    let logit = bias;
    for (const [j, weight] of weights.entries()) {
      const value = Math.fround(random.normal(j, 1) / Math.abs(weight));
      values[i * columns + j] = value;
      logit += weight * value;
    }
    outcomes[i] = random.next() < sigmoid(logit) ? 1 : 0;
  }
  return { columns, rows, values, outcomes };
}

test("the weights that made the data are found again, whatever the scale", () => {
  const weights = [0.001, -1, 1_000];
  const { weights: found, bias } = fitLogistic(drawn(100_000, weights, 0.4, 11));
  for (const [j, weight] of weights.entries()) {
    expect((found[j] ?? 0) / weight).toBeGreaterThan(0.95);
    expect((found[j] ?? 0) / weight).toBeLessThan(1.05);
  }
  expect(Math.abs(bias - 0.4)).toBeLessThan(0.1);
});

test("at the optimum the residuals are orthogonal to every input", () => {
  const design = drawn(20_000, [0.5, 2], -0.3, 12);
  const model = fitLogistic(design);
  const p = probabilities(model, design.values, design.rows);
  const slopes = [0, 0, 0];
  for (const [i, probability] of p.entries()) {
    const residual = probability - (design.outcomes[i] ?? 0);
    slopes[0] = (slopes[0] ?? 0) + residual;
    for (const j of [0, 1]) {
      slopes[j + 1] = (slopes[j + 1] ?? 0) + residual * (design.values[i * 2 + j] ?? 0);
    }
  }
  // The ridge pulls by about one row's worth.
  for (const slope of slopes) expect(Math.abs(slope)).toBeLessThan(5);
});

test("a constant input gets no weight", () => {
  const { outcomes, rows } = drawn(1_000, [1], 0, 13);
  const values = new Float32Array(rows).fill(7);
  expect(fitLogistic({ columns: 1, rows, values, outcomes }).weights[0]).toBeCloseTo(0, 9);
});

test("two inputs that are the same share the weight", () => {
  const { values: one, outcomes, rows } = drawn(5_000, [1], 0, 14);
  const single = fitLogistic({ columns: 1, rows, values: one, outcomes });
  const values = Float32Array.from({ length: rows * 2 }, (_, i) => one[i >> 1] ?? 0);
  const { weights } = fitLogistic({ columns: 2, rows, values, outcomes });
  expect(weights[0]).toBeCloseTo(weights[1] ?? 0, 6);
  expect((weights[0] ?? 0) + (weights[1] ?? 0)).toBeCloseTo(single.weights[0] ?? 0, 2);
});

test("an input that is not a number is an error, not a model", () => {
  const values = Float32Array.of(1, Number.NaN, 2, 3);
  const design = { columns: 1, rows: 4, values, outcomes: Uint8Array.of(0, 1, 1, 0) };
  expect(() => fitLogistic(design)).toThrow(FitError);
});

test("a probability is read at its offset", () => {
  const model = { weights: Float64Array.of(2), bias: 1 };
  expect(probability(model, Float32Array.of(0, 3), 1)).toBeCloseTo(sigmoid(7), 12);
});
