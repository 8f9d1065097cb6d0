import { expect, test } from "vitest";
import { BarrierAligner } from "./barrier-aligner.ts";

function aligner(channels: number, afterFinish = true) {
  const log: string[] = [];
  const listener = {
    onTriggered: (id: number) => void log.push(`triggered ${String(id)}`),
    onAborted: (id: number) => void log.push(`aborted ${String(id)}`),
  };
  return { log, align: new BarrierAligner(channels, listener, afterFinish) };
}

test("a channel waits behind its barrier until every channel has delivered one", () => {
  const { log, align } = aligner(3);
  align.barrier(1, 1);
  align.barrier(2, 1);
  expect(align.blocked()).toEqual([1, 2]);
  align.barrier(0, 1);
  expect(log).toEqual(["triggered 1"]);
  expect(align.blocked()).toEqual([]);
});

test("a newer barrier aborts the checkpoint that is pending, and what comes late for it is ignored", () => {
  const { log, align } = aligner(2);
  align.barrier(0, 1);
  align.barrier(1, 2);
  align.barrier(0, 1);
  expect(align.blocked()).toEqual([1]);
  align.barrier(0, 2);
  expect(log).toEqual(["aborted 1", "triggered 2"]);
});

test("a marker aborts the pending checkpoint before its own", () => {
  const { log, align } = aligner(2);
  align.barrier(0, 1);
  align.cancel(2);
  align.barrier(1, 2);
  expect(align.blocked()).toEqual([]);
  expect(log).toEqual(["aborted 1", "aborted 2"]);
});

test("an ended channel counts as aligned once, also when it was blocked", () => {
  const { log, align } = aligner(2);
  align.barrier(0, 1);
  align.finish(0);
  expect(log).toEqual([]);
  align.barrier(1, 1);
  align.barrier(1, 2);
  expect(log).toEqual(["triggered 1", "triggered 2"]);
});

test("without checkpoints after an end, the end aborts and none completes later", () => {
  const { log, align } = aligner(2, false);
  align.barrier(0, 1);
  align.finish(1);
  align.barrier(0, 2);
  expect(align.blocked()).toEqual([]);
  expect(log).toEqual(["aborted 1"]);
});
