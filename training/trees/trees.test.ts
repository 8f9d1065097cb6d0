import { expect, test } from "vitest";
import { seededRandom } from "../../base/random.ts";
import { checkParity, exportModel } from "../export.ts";
import { sigmoid } from "../fit.ts";
import { NO_CALIBRATION } from "../calibrate.ts";
import { boostTrees, type BoostOptions, type TreeRows } from "./boost.ts";
import { type TreeModel } from "./model.ts";

const COLUMNS = 6;

/** Outcomes by a curved truth: a step, a product, and columns that say nothing. */
function drawn(rows: number, seed: number): TreeRows {
  const random = seededRandom(seed);
  const values = new Float32Array(rows * COLUMNS);
  const outcomes = new Uint8Array(rows);
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < COLUMNS; j += 1) values[i * COLUMNS + j] = random.normal(0, 1);
    const [a = 0, b = 0, c = 0] = values.subarray(i * COLUMNS);
    const logit = 2 * Number(a > 0.5) + b * c + 0.5 * b;
    outcomes[i] = random.next() < sigmoid(logit) ? 1 : 0;
  }
  return { columns: COLUMNS, rows, values, outcomes };
}

const OPTIONS: BoostOptions = { trees: 40, depth: 4, rate: 0.2, seed: 3 };

function logLoss(model: TreeModel, { rows, columns, values, outcomes }: TreeRows): number {
  let loss = 0;
  for (let i = 0; i < rows; i += 1) {
    const z = model.margin(values, i * columns);
    loss += Math.log1p(Math.exp(outcomes[i] === 1 ? -z : z));
  }
  return loss / rows;
}

test("trees find steps and products that no straight line has", async () => {
  const model = await boostTrees(drawn(20_000, 1), OPTIONS);
  const unseen = drawn(20_000, 2);
  const shuffled = { ...unseen, outcomes: unseen.outcomes };
  const constant = await boostTrees(drawn(20_000, 1), { ...OPTIONS, trees: 0 });
  expect(logLoss(model, shuffled)).toBeLessThan(logLoss(constant, shuffled) - 0.1);
});

test("the same seed gives the same trees to the bit, with one thread and with two", async () => {
  const data = drawn(5_000, 4);
  const options = { ...OPTIONS, trees: 10, rowShare: 0.7, columnShare: 0.7 };
  for (const threads of [1, 2]) {
    const first = await boostTrees(data, { ...options, threads });
    expect(await boostTrees(data, { ...options, threads })).toEqual(first);
  }
  // Without sampling the threads only change the order of sums: the trees are as good.
  const one = logLoss(await boostTrees(data, { ...OPTIONS, threads: 1 }), data);
  const two = logLoss(await boostTrees(data, { ...OPTIONS, threads: 2 }), data);
  expect(two).toBeCloseTo(one, 3);
});

test("a monotone column never lowers the answer when it rises", async () => {
  const data = drawn(5_000, 5);
  const wrong = { ...OPTIONS, monotone: [-1, 1, 0, 0, 0, 0] };
  const model = await boostTrees(data, wrong);
  const random = seededRandom(6);
  for (let k = 0; k < 300; k += 1) {
    const row = Float32Array.from({ length: COLUMNS }, () => random.normal(0, 1));
    let [falling, rising] = [Infinity, -Infinity];
    for (let x = -3; x <= 3; x += 0.25) {
      const first = model.margin(row.with(0, x), 0);
      expect(first).toBeLessThanOrEqual(falling + 1e-9);
      falling = first;
      const second = model.margin(row.with(1, x), 0);
      expect(second).toBeGreaterThanOrEqual(rising - 1e-9);
      rising = second;
    }
  }
});

test("growth stops once the validation rows are helped no more, and limits hold", async () => {
  const validation = drawn(2_000, 8);
  const options = { ...OPTIONS, trees: 200, rate: 0.5, patience: 5, validation };
  const model = await boostTrees(drawn(2_000, 7), options);
  expect(model.trees.length).toBeLessThan(100);
  const longer = await boostTrees(drawn(2_000, 7), { ...options, trees: model.trees.length + 4 });
  expect(longer.trees.length).toBe(model.trees.length);
  const small = await boostTrees(drawn(2_000, 7), { ...OPTIONS, leaves: 5 });
  for (const { feature } of small.trees) {
    expect(feature.filter((f) => f < 0).length).toBeLessThanOrEqual(5);
  }
});

test("trees start from the logits that they are given", async () => {
  const data = drawn(5_000, 9);
  const start = Float32Array.from({ length: data.rows }, (_, i) =>
    data.outcomes[i] === 1 ? 9 : -9,
  );
  const model = await boostTrees({ ...data, start }, { ...OPTIONS, trees: 3 });
  expect(model.base).toBe(0);
  // Nothing is left to explain.
  for (const { value } of model.trees) for (const v of value) expect(Math.abs(v)).toBeLessThan(0.3);
});

test("the ONNX file of trees, a linear part and any calibration says the same to 1e-6 on 100,000 rows", async () => {
  const rows = 100_000;
  const { values } = drawn(rows, 10);
  const trees = await boostTrees(drawn(20_000, 11), { ...OPTIONS, trees: 60, depth: 6 });
  const win = { bias: 0.1, weights: Float64Array.from({ length: COLUMNS }, (_, j) => 0.2 * j) };
  const knots = [
    { from: -2, to: -1.5 },
    { from: 0.1, to: 0 },
    { from: 2, to: 2.5 },
  ];
  for (const calibration of [
    NO_CALIBRATION,
    { kind: "beta", a: 0.9, b: 1.2 } as const,
    { kind: "isotonic", knots } as const,
  ]) {
    const model = { win, trees, calibration };
    const parity = await checkParity(exportModel(model, "schema"), model, values, rows);
    expect(parity.maxDifference).toBeLessThanOrEqual(1e-6);
  }
});
