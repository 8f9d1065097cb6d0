import { expect, test } from "vitest";
import { CallExpiredError, createBatcher, OverloadedError, type RowScore } from "./batcher.ts";
import { type ModelOutputs, type OnnxModel } from "./onnx.ts";

/** Answers each row with its first feature and remembers how many rows came at once. */
function recordingModel(): { model: OnnxModel; runs: number[] } {
  const runs: number[] = [];
  const model: OnnxModel = {
    features: 2,
    metadata: new Map(),
    run(values, rows) {
      runs.push(rows);
      const p = Float32Array.from({ length: rows }, (_, i) => values[i * 2] ?? 0);
      return Promise.resolve({ p });
    },
    score: async (values, rows) => (await model.run(values, rows)).p,
    close: () => Promise.resolve(),
  };
  return { model, runs };
}

const p = ({ outputs, row }: RowScore): number | undefined => outputs.p[row];
const all = ({ p: column }: ModelOutputs): number[] => [...column];

test("rows that arrive together are scored together, each with its own answer", async () => {
  const { model, runs } = recordingModel();
  const batcher = createBatcher(model);
  const answers = [1, 2, 3].map((value) => batcher.score(Float32Array.of(value, 0)));
  expect((await Promise.all(answers)).map(p)).toEqual([1, 2, 3]);
  expect(runs).toEqual([3]);
  expect(p(await batcher.score(Float32Array.of(3, 0)))).toBe(3);
  expect(runs).toEqual([3, 1]);
});

test("a full queue refuses instead of growing", async () => {
  const { model } = recordingModel();
  const batcher = createBatcher(model, { maxWaitingRows: 2 });
  const row = new Float32Array(2);
  const waiting = [batcher.score(row), batcher.score(row)];
  expect(() => batcher.score(row)).toThrow(OverloadedError);
  await Promise.all(waiting);
  expect(p(await batcher.score(row))).toBe(0);
});

test("rows that come together count towards the limit while they are scored", async () => {
  const { model } = recordingModel();
  const batcher = createBatcher(model, { maxWaitingRows: 3 });
  const values = Float32Array.of(1, 0, 2, 0);
  const first = batcher.scoreMany(values, 2);
  await expect(batcher.scoreMany(values, 2)).rejects.toThrow(OverloadedError);
  expect(all(await first)).toEqual([1, 2]);
  expect(all(await batcher.scoreMany(values, 2))).toEqual([1, 2]);
});

test("a model that fails fails the rows of its run only", async () => {
  const { model } = recordingModel();
  let broken = true;
  const batcher = createBatcher({
    ...model,
    run: (values, rows) => (broken ? Promise.reject(new Error("broken")) : model.run(values, rows)),
  });
  await expect(batcher.score(new Float32Array(2))).rejects.toThrow("broken");
  broken = false;
  expect(p(await batcher.score(Float32Array.of(5, 0)))).toBe(5);
});

test("rows whose caller gave up or ran out of time are not run", async () => {
  const { model, runs } = recordingModel();
  const batcher = createBatcher(model);
  const call = { cancelled: false, deadlineMs: Infinity };
  const cancelled = batcher.score(Float32Array.of(1, 0), call);
  const late = batcher.score(Float32Array.of(2, 0), { cancelled: false, deadlineMs: Date.now() });
  const live = batcher.score(Float32Array.of(3, 0));
  call.cancelled = true;
  await expect(cancelled).rejects.toThrow(CallExpiredError);
  await expect(late).rejects.toThrow(/deadline/u);
  expect(p(await live)).toBe(3);
  expect(runs).toEqual([1]);
  await expect(batcher.scoreMany(new Float32Array(4), 2, call)).rejects.toThrow(/cancelled/u);
  expect(runs).toEqual([1]);
});

test("a row that would wait longer than the bound is refused at once, with the time to wait", async () => {
  const { model } = recordingModel();
  let release = (): void => {};
  const slow: OnnxModel = {
    ...model,
    run: async (values, rows) => {
      await new Promise<void>((resolve) => (release = resolve));
      return model.run(values, rows);
    },
  };
  const batcher = createBatcher(slow, { maxWaitMs: 1, maxBatchRows: 16 });
  const first = batcher.score(Float32Array.of(1, 0));
  await new Promise((resolve) => setTimeout(resolve, 40));
  release();
  await first;
  // The model took 40 ms for a run, so that two runs' worth of rows are more than it may owe.
  const values = new Float32Array(64);
  const second = batcher.scoreMany(values, 32);
  expect(() => batcher.score(Float32Array.of(2, 0))).toThrow(OverloadedError);
  release();
  await second;
});
