import { expect, test } from "vitest";
import { outputTag } from "../runtime/element.ts";
import type { Stream } from "../runtime/stream.ts";
import { numberCodec } from "../state/codec.ts";
import { type Collect, Harness } from "../../testing/harness.ts";
import { type Step, survivesRestart } from "../../testing/survives-restart.ts";
import { slidingWindows, tumblingWindows, type WindowAssigner, windowStartMs } from "./window.ts";

interface Made {
  readonly team: string;
  readonly points: number;
}

const lateTag = outputTag<Made>("late");

function sums(assigner: WindowAssigner, allowedLatenessMs = 0) {
  return (source: Stream<Made>, collect: Collect): void => {
    const windows = source
      .keyBy((made) => made.team)
      .window({
        uid: "points",
        assigner,
        allowedLatenessMs,
        lateTag,
        aggregate: {
          codec: numberCodec,
          create: () => 0,
          add: (sum, made) => sum + made.points,
          result: (sum) => sum,
        },
        emit: (team, { startMs, endMs }, points) => [[team, points, startMs, endMs]],
      });
    collect(windows);
    collect(windows.side(lateTag), "late");
  };
}

const made = (team: string, points: number): Made => ({ team, points });

test("a pane fires once, when the watermark passes its last millisecond", () => {
  const h = new Harness(sums(tumblingWindows(60_000)));
  h.record("BOS", made("BOS", 3), 0);
  h.record("BOS", made("BOS", 2), 59_999);
  h.record("BOS", made("BOS", 2), 60_000);
  h.watermark(59_998);
  expect(h.take()).toEqual([]);
  h.watermark(59_999);
  expect(h.take()).toEqual([["BOS", 5, 0, 60_000]]);
  h.watermark(119_999);
  expect(h.take()).toEqual([["BOS", 2, 60_000, 120_000]]);
});

test("a late play within the allowed lateness fires the pane again", () => {
  // event time   0 s       60 s  90 s    120 s     150 s
  //              [-------- pane ---------)         | allowed lateness ends
  // arrives 1st            made3
  // arrives 2nd                          watermark
  // arrives 3rd                  made2
  const h = new Harness(sums(tumblingWindows(120_000), 30_000));
  h.record("BOS", made("BOS", 3), 60_000);
  h.watermark(120_000);
  expect(h.take()).toEqual([["BOS", 3, 0, 120_000]]);
  h.record("BOS", made("BOS", 2), 90_000);
  expect(h.take()).toEqual([["BOS", 5, 0, 120_000]]);
});

test("a play that is late for all its windows goes to the side output, once", () => {
  const h = new Harness(sums(tumblingWindows(60_000)));
  h.watermark(60_000);
  h.record("BOS", made("BOS", 3), 30_000);
  h.watermark(200_000);
  expect(h.take()).toEqual([]);
  expect(h.take("late")).toEqual([made("BOS", 3)]);
});

test("a play that is late for some of its sliding windows only counts in the others", () => {
  const h = new Harness(sums(slidingWindows(120_000, 60_000)));
  h.watermark(60_000);
  h.record("BOS", made("BOS", 3), 30_000);
  expect(h.take("late")).toEqual([]);
  h.watermark(119_999);
  expect(h.take()).toEqual([["BOS", 3, 0, 120_000]]);
});

test("sliding windows hold every play size / slide times", () => {
  const h = new Harness(sums(slidingWindows(300_000, 60_000)));
  h.record("BOS", made("BOS", 2), 301_000);
  h.watermark(1_000_000);
  expect(h.take()).toHaveLength(5);
});

test("keys do not share panes, and panes fire in the order of their end", () => {
  const h = new Harness(sums(tumblingWindows(60_000)));
  h.record("LAL", made("LAL", 2), 61_000);
  h.record("BOS", made("BOS", 3), 1000);
  h.watermark(1_000_000);
  expect(h.take()).toEqual([
    ["BOS", 3, 0, 60_000],
    ["LAL", 2, 60_000, 120_000],
  ]);
});

test("window starts use floor division, before the epoch too", () => {
  expect(windowStartMs(-1, 0, 7)).toBe(-7);
  expect(windowStartMs(-7, 0, 7)).toBe(-7);
  expect(windowStartMs(5, 3, 7)).toBe(3);
  expect(windowStartMs(2, 3, 7)).toBe(-4);
});

test("impossible sizes and offsets are refused with the rule", () => {
  expect(() => tumblingWindows(0)).toThrow(/positive integer/);
  expect(() => tumblingWindows(10, { offsetMs: 10 })).toThrow(/smaller than 10 ms/);
  expect(() => slidingWindows(10, 0)).toThrow(/slide/);
});

test("panes and their timers survive a restart after every step", () => {
  const steps: Step<Made>[] = [];
  for (let i = 0; i < 40; i += 1) {
    const team = i % 3 === 0 ? "BOS" : "LAL";
    steps.push({
      kind: "record",
      key: team,
      value: made(team, 2),
      eventTimeMs: (i * 37_000) % 900_000,
    });
    if (i % 5 === 4) steps.push({ kind: "watermark", watermarkMs: i * 20_000 });
  }
  steps.push({ kind: "watermark", watermarkMs: 2_000_000 });
  survivesRestart(sums(slidingWindows(120_000, 60_000), 30_000), steps);
});
