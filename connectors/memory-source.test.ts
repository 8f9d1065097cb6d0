import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { MemorySource } from "./memory-source.ts";

test("a source that always has records leaves the event loop its turns", async () => {
  const record = { value: 1, keyGroup: 0, sequence: 1, eventTimeMs: 0, traceparent: "" };
  const source = new MemorySource(Array.from({ length: 100_000 }, () => record));
  await source.open(undefined);
  const turns: number[] = [];
  void sleep(1).then(() => turns.push(1));
  while (!source.ended() && turns.length === 0) await source.poll(10);
  expect(turns).toEqual([1]);
  await source.close();
});
