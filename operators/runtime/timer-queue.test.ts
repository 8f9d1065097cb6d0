import { expect, test } from "vitest";
import { seededRandom } from "../../base/random.ts";
import { type KeyedTimer, TimerQueue } from "./timer-queue.ts";

const timer = (key: string, timeMs: number, namespace = ""): KeyedTimer => ({
  key,
  keyGroup: 0,
  namespace,
  timeMs,
});

test("timers come out in the order of time, whatever the order they went in", () => {
  const random = seededRandom(7);
  const queue = new TimerQueue();
  const times = Array.from({ length: 500 }, () => random.int(10_000));
  for (const [i, timeMs] of times.entries()) queue.register(timer(`k${String(i)}`, timeMs));
  const out: number[] = [];
  for (let due = queue.poll(20_000); due; due = queue.poll(20_000)) out.push(due.timeMs);
  expect(out).toEqual(times.toSorted((a, b) => a - b));
});

test("identity is key, namespace and time: twice is once, and delete takes exactly one", () => {
  const queue = new TimerQueue();
  queue.register(timer("a", 5));
  queue.register(timer("a", 5));
  queue.register(timer("a", 5, "window"));
  expect(queue.size).toBe(2);
  queue.delete(timer("a", 5));
  expect([...queue.values()]).toEqual([timer("a", 5, "window")]);
  expect(queue.poll(4)).toBeUndefined();
  expect(queue.poll(5)).toEqual(timer("a", 5, "window"));
});

test("a timer that was deleted and registered again fires once", () => {
  const queue = new TimerQueue();
  queue.register(timer("a", 5));
  queue.delete(timer("a", 5));
  queue.register(timer("a", 5));
  expect(queue.poll(9)).toEqual(timer("a", 5));
  expect(queue.poll(9)).toBeUndefined();
});
