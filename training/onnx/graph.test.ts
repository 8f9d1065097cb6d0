import { expect, test } from "vitest";
import { seededRandom } from "../../base/random.ts";
import { loadOnnx, MAX_ROWS_PER_RUN } from "../../serving/model/onnx.ts";
import { probabilities } from "../fit.ts";
import { plain } from "../win-model.ts";
import { type LogisticModel, modelOnnx } from "./graph.ts";

function logisticOnnx(
  model: LogisticModel,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  return modelOnnx(plain(model), metadata);
}

test("ONNX Runtime and the trainer agree to 1e-6 on 20,000 rows of every scale", async () => {
  const seed = Number(process.env["SEED"] ?? 5);
  const random = seededRandom(seed);
  const features = 27;
  const rows = 20_000;
  const scales = Float64Array.from({ length: features }, () => 10 ** (random.next() * 6 - 3));
  const weights = scales.map((scale) => random.normal(0, 1) / scale);
  const values = Float32Array.from(
    { length: rows * features },
    (_, i) => random.normal(0, 1) * (scales[i % features] ?? 1),
  );
  // Far out rows as well: a finished game's margin is put where the probability is 0 or 1.
  for (let row = 0; row < rows; row += 100) values[row * features] = 1e6 * (random.next() - 0.5);
  const model = { weights, bias: -0.7 };
  const onnx = await loadOnnx(logisticOnnx(model, {}));
  const scores = await onnx.score(values, rows);
  const expected = probabilities(model, values, rows);
  let worst = 0;
  for (const [i, p] of expected.entries()) worst = Math.max(worst, Math.abs(p - (scores[i] ?? 2)));
  expect(worst, `seed ${seed}`).toBeLessThanOrEqual(1e-6);
  await onnx.close();
});

test("metadata is read back and equal models are equal files", async () => {
  const model = { weights: Float64Array.of(1, 2), bias: 3 };
  const bytes = logisticOnnx(model, { b: "2", a: "1" });
  expect(logisticOnnx(model, { a: "1", b: "2" })).toEqual(bytes);
  const onnx = await loadOnnx(bytes);
  expect([...onnx.metadata]).toEqual([
    ["a", "1"],
    ["b", "2"],
  ]);
  expect(onnx.features).toBe(2);
  await onnx.close();
});

test("more rows than one run takes are answered in order, and no rows by none", async () => {
  const onnx = await loadOnnx(logisticOnnx({ weights: Float64Array.of(1), bias: 0 }, {}));
  const rows = MAX_ROWS_PER_RUN * 2 + 5;
  const values = Float32Array.from({ length: rows }, (_, i) => i / rows);
  const scores = await onnx.score(values, rows);
  expect(scores.every((score, i) => i === 0 || score >= (scores[i - 1] ?? 0))).toBe(true);
  expect(scores[rows - 1]).toBeCloseTo(1 / (1 + Math.exp(-(rows - 1) / rows)), 6);
  expect(await onnx.score(new Float32Array(0), 0)).toHaveLength(0);
  await onnx.close();
});
