import { expect, test } from "vitest";
import { Harness } from "../../testing/mod.ts";
import type { Stream } from "../runtime/stream.ts";
import { BoundedOutOfOrderness } from "./generators.ts";
import type { TimestampSpec } from "./timestamps-operator.ts";

interface Play {
  readonly game: string;
  readonly atMs: number;
}

function start(spec: Partial<TimestampSpec<Play>>): Harness<Play> {
  return new Harness<Play>((source, collect) =>
    collect(source.timestamps("time", { eventTimeMs: (play) => play.atMs, ...spec })),
  );
}

const bySplit = { splitOf: (play: Play) => play.game, splits: ["a", "b"] };

function watermarks(h: Harness<Play>): (number | string)[] {
  return h.takeEmitted().flatMap((each): (number | string)[] => {
    if (each.kind === "watermark") return [each.watermarkMs];
    return each.kind === "status" ? [each.idle ? "idle" : "active"] : [];
  });
}

test("the slowest split holds the watermark back until it is idle, and the operator says so", () => {
  const h = start({ ...bySplit, idleTimeoutMs: 1000 });
  h.processingTime(0);
  h.record("a", { game: "a", atMs: 100 });
  expect(watermarks(h)).toEqual([]);
  h.record("b", { game: "b", atMs: 40 });
  expect(watermarks(h)).toEqual([39]);
  h.processingTime(400);
  h.record("a", { game: "a", atMs: 200 });
  expect(h.explainWatermark()).toMatchObject([
    { uid: "time", watermarkMs: 39, heldBy: ["b"], sinceMs: 0 },
  ]);
  h.processingTime(1000);
  expect(watermarks(h)).toEqual([199]);
  expect(h.explainWatermark()).toMatchObject([{ heldBy: ["a"], idle: ["b"], sinceMs: 1000 }]);
  h.record("b", { game: "b", atMs: 150 });
  h.record("b", { game: "b", atMs: 300 });
  h.record("a", { game: "a", atMs: 250 });
  expect(watermarks(h)).toEqual([249]);
});

test("when every split is silent the stream is idle, and a record makes it active before its watermark", () => {
  const h = start({
    ...bySplit,
    idleTimeoutMs: 10,
    generator: () => new BoundedOutOfOrderness(0, true),
    intervalMs: 1,
  });
  h.processingTime(0);
  h.record("a", { game: "a", atMs: 5 });
  h.record("b", { game: "b", atMs: 7 });
  h.processingTime(1);
  expect(watermarks(h)).toEqual([4]);
  for (let nowMs = 2; nowMs <= 11; nowMs += 1) h.processingTime(nowMs);
  expect(watermarks(h)).toEqual(["idle"]);
  h.record("a", { game: "a", atMs: 9 });
  h.processingTime(12);
  expect(watermarks(h)).toEqual(["active", 8]);
});

test("time during which output is blocked is not silence", () => {
  const h = start({ idleTimeoutMs: 100, intervalMs: 1 });
  for (let nowMs = 0; nowMs < 1000; nowMs += 10) h.processingTime(nowMs, true);
  expect(watermarks(h)).toEqual([]);
  for (let nowMs = 1000; nowMs <= 1200; nowMs += 10) h.processingTime(nowMs);
  expect(watermarks(h)).toEqual(["idle"]);
});

test("splits that are too far ahead are paused until the slowest has caught up", () => {
  const h = start({ ...bySplit, maxDriftMs: 50 });
  h.record("b", { game: "b", atMs: 10 });
  h.record("a", { game: "a", atMs: 100 });
  expect(h.operators[0]?.pausedSplits?.()).toEqual(["a"]);
  h.record("b", { game: "b", atMs: 60 });
  expect(h.operators[0]?.pausedSplits?.()).toEqual([]);
});

test("an idle input of a union holds nobody back, and the union says which one does", () => {
  const h = new Harness<Play>((source: Stream<Play>, collect, input) =>
    collect(source.union("both", input<Play>("other"))),
  );
  h.watermark(10);
  expect(watermarks(h)).toEqual([]);
  expect(h.explainWatermark()).toMatchObject([{ uid: "both", heldBy: ["input 2"] }]);
  h.watermarkTo("other", 7);
  expect(watermarks(h)).toEqual([7]);
});
