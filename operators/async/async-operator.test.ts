import { expect, test } from "vitest";
import { numberCodec } from "../state/codec.ts";
import { Harness, type Collect } from "../../testing/harness.ts";
import type { Stream } from "../runtime/stream.ts";
import type { AsyncBatch } from "./async-spec.ts";

/** A call that answers when the test says so. */
class Calls {
  readonly batches: number[][] = [];
  #answers: ((answers: number[]) => void)[] = [];

  call = (batch: readonly number[]): Promise<readonly number[]> => {
    this.batches.push([...batch]);
    return new Promise((resolve) => {
      this.#answers.push(resolve);
    });
  };

  /** Answers ten times the input. */
  async answer(batch: number): Promise<void> {
    this.#answers[batch]?.((this.batches[batch] ?? []).map((value) => value * 10));
    await Promise.resolve();
    await Promise.resolve();
  }
}

function define(calls: Calls, more: Partial<AsyncBatch<number, number>> = {}) {
  return (source: Stream<number>, collect: Collect): void =>
    collect(
      source.asyncBatch({
        uid: "predict",
        codec: numberCodec,
        call: calls.call,
        capacity: 8,
        batchSize: 2,
        concurrency: 2,
        ...more,
      }),
    );
}

test("answers leave in the order of the input, whichever call comes back first", async () => {
  const calls = new Calls();
  const h = new Harness(define(calls));
  for (const value of [1, 2, 3, 4]) h.record("g", value);
  expect(calls.batches).toEqual([
    [1, 2],
    [3, 4],
  ]);
  await calls.answer(1);
  expect(h.take()).toEqual([]);
  await calls.answer(0);
  expect(h.take()).toEqual([10, 20, 30, 40]);
});

test("a record without a call waits for those before it", async () => {
  const calls = new Calls();
  const h = new Harness(define(calls, { skip: (value) => (value < 0 ? value : undefined) }));
  h.record("g", -1);
  expect(h.take()).toEqual([-1]);
  for (const value of [1, 2, -2]) h.record("g", value);
  expect(h.take()).toEqual([]);
  await calls.answer(0);
  expect(h.take()).toEqual([10, 20, -2]);
});

test("records that wait for an answer are in the snapshot and are called again", async () => {
  const before = new Calls();
  const h = new Harness(define(before));
  for (const value of [1, 2, 3]) h.record("g", value);
  await before.answer(0);
  expect(h.take()).toEqual([10, 20]);
  h.record("g", 4);
  const after = new Calls();
  const restored = new Harness(define(after), { from: h.snapshot() });
  expect(after.batches).toEqual([[3, 4]]);
  await after.answer(0);
  expect(restored.take()).toEqual([30, 40]);
});

test("a call that fails ends the task", async () => {
  const h = new Harness<number>((source, collect) =>
    collect(
      source.asyncBatch<number>({
        uid: "predict",
        codec: numberCodec,
        call: () => Promise.reject(new Error("model away")),
        capacity: 2,
        batchSize: 1,
        concurrency: 1,
      }),
    ),
  );
  h.record("g", 1);
  await expect(h.settle()).rejects.toThrow("model away");
});
