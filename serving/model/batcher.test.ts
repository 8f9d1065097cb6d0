import { expect, test } from "vitest";
import { createBatcher, OverloadedError } from "./batcher.ts";
import { type OnnxModel } from "./onnx.ts";

/** Answers each row with its first feature and remembers how many rows came at once. */
function recordingModel(): { model: OnnxModel; runs: number[] } {
  const runs: number[] = [];
  const model: OnnxModel = {
    features: 2,
    metadata: new Map(),
    score(values, rows) {
      runs.push(rows);
      return Promise.resolve(Float32Array.from({ length: rows }, (_, i) => values[i * 2] ?? 0));
    },
    close: () => Promise.resolve(),
  };
  return { model, runs };
}

test("rows that arrive together are scored together, each with its own answer", async () => {
  const { model, runs } = recordingModel();
  const batcher = createBatcher(model);
  const row = new Float32Array(2);
  const answers = [1, 2, 3].map((value) => {
    row[0] = value;
    return batcher.score(row);
  });
  expect(await Promise.all(answers)).toEqual([1, 2, 3]);
  expect(runs).toEqual([3]);
  expect(await batcher.score(row)).toBe(3);
  expect(runs).toEqual([3, 1]);
});

test("a full queue refuses instead of growing", async () => {
  const { model } = recordingModel();
  const batcher = createBatcher(model, 2);
  const row = new Float32Array(2);
  const waiting = [batcher.score(row), batcher.score(row)];
  expect(() => batcher.score(row)).toThrow(OverloadedError);
  await Promise.all(waiting);
  expect(await batcher.score(row)).toBe(0);
});

test("rows that come together count towards the limit while they are scored", async () => {
  const { model } = recordingModel();
  const batcher = createBatcher(model, 3);
  const values = Float32Array.of(1, 0, 2, 0);
  const first = batcher.scoreMany(values, 2);
  await expect(batcher.scoreMany(values, 2)).rejects.toThrow(OverloadedError);
  expect([...(await first)]).toEqual([1, 2]);
  expect([...(await batcher.scoreMany(values, 2))]).toEqual([1, 2]);
});

test("a model that fails fails the rows of its run only", async () => {
  const { model } = recordingModel();
  let broken = true;
  const batcher = createBatcher({
    ...model,
    score: (values, rows) =>
      broken ? Promise.reject(new Error("broken")) : model.score(values, rows),
  });
  await expect(batcher.score(new Float32Array(2))).rejects.toThrow("broken");
  broken = false;
  expect(await batcher.score(Float32Array.of(5, 0))).toBe(5);
});
