import * as fc from "fast-check";
import { expect, test } from "vitest";
import { keyGroupOf, taskOfKeyGroup } from "../../base/key-group.ts";
import { Harness, type HarnessSnapshot } from "../../testing/mod.ts";
import { MAX_TIME_MS, outputTag } from "../runtime/element.ts";
import { listCodec, numberCodec } from "../state/codec.ts";
import type { Aggregate } from "../state/keyed-state.ts";
import { sessionWindows, slidingWindows, tumblingWindows, type WindowAssigner } from "./window.ts";

/**
 * Windows against a brute-force oracle over random histories: disorder, lateness, watermarks that jump and
 * go back, restarts from a snapshot at any moment, and rescales. The oracle keeps every record and computes
 * each result from scratch.
 */
const RUNS = Number(process.env["PROPERTY_RUNS"] ?? 10_000);
const SEED = Number(process.env["SEED"] ?? 20_240_607);
const KEYS = ["ATL", "BOS", "CHI"];
const KEY_GROUPS = 8;

interface Rec {
  readonly key: string;
  readonly value: number;
}

type Step =
  | { readonly kind: "record"; readonly key: number; readonly timeMs: number }
  | { readonly kind: "watermark"; readonly timeMs: number }
  | { readonly kind: "restart"; readonly parallelism: number };

interface Shape {
  readonly kind: "tumbling" | "sliding" | "shared" | "session";
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs: number;
  readonly latenessMs: number;
}

/** `key start end values` of a firing, or `late key value`. */
type Row = string;

const row = (key: string, startMs: number, endMs: number, values: readonly number[]): Row =>
  `${key} ${String(startMs)} ${String(endMs)} ${values.toSorted((a, b) => a - b).join(",")}`;

const stepArb: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("record" as const),
      key: fc.nat(2),
      timeMs: fc.integer({ min: -20, max: 60 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("watermark" as const),
      timeMs: fc.integer({ min: -25, max: 70 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("restart" as const),
      parallelism: fc.integer({ min: 1, max: 3 }),
    }),
  },
);

const shapeArb: fc.Arbitrary<Shape> = fc
  .record({
    kind: fc.constantFrom(
      "tumbling" as const,
      "sliding" as const,
      "shared" as const,
      "session" as const,
    ),
    sizeMs: fc.integer({ min: 1, max: 12 }),
    slideMs: fc.integer({ min: 1, max: 12 }),
    offset: fc.nat(11),
    latenessMs: fc.oneof(fc.constant(0), fc.nat(15)),
  })
  .map(({ offset, kind, sizeMs, slideMs, latenessMs }) => {
    const offsetMs = offset % (kind === "tumbling" ? sizeMs : slideMs);
    return { kind, sizeMs, slideMs, offsetMs, latenessMs };
  });

const LATE = outputTag<Rec>("late");

/** Keeps the values themselves, so that a lost, doubled or misplaced record shows. */
const values: Aggregate<Rec, number[], readonly number[]> = {
  codec: listCodec(numberCodec),
  create: () => [],
  add: (list, { value }) => [...list, value],
  result: (list) => list,
};

function assignerOf({ kind, sizeMs, slideMs, offsetMs }: Shape): WindowAssigner {
  if (kind === "session") return sessionWindows(sizeMs);
  if (kind === "tumbling") return tumblingWindows(sizeMs, { offsetMs });
  return slidingWindows(sizeMs, slideMs, { offsetMs });
}

/** Tasks over ranges of key groups; a restart makes new ones out of what the old ones have written. */
class Job {
  readonly #shape: Shape;
  #tasks: Harness<Rec>[] = [];
  #watermarkMs: number | undefined;

  constructor(shape: Shape) {
    this.#shape = shape;
    this.#tasks = [this.#task()];
  }

  do(step: Step, value: number): Row[] {
    if (step.kind === "record") {
      const key = KEYS[step.key] ?? "";
      const index = taskOfKeyGroup(keyGroupOf(key, KEY_GROUPS), KEY_GROUPS, this.#tasks.length);
      this.#tasks[index]?.record(key, { key, value }, step.timeMs);
    } else if (step.kind === "watermark") {
      this.#watermarkMs = Math.max(this.#watermarkMs ?? step.timeMs, step.timeMs);
      for (const task of this.#tasks) task.watermark(step.timeMs);
    } else this.#restart(step.parallelism);
    return this.#tasks.flatMap((task) => [
      ...task.take<Row>(),
      ...task.take<Rec>("late").map((rec) => `late ${rec.key} ${String(rec.value)}`),
    ]);
  }

  #restart(parallelism: number): void {
    const snapshots = this.#tasks.map((task) => task.snapshot());
    const descriptors = snapshots[0]?.descriptors ?? [];
    const states = new Map(snapshots.flatMap((each) => Array.from(each.states)));
    this.#tasks = Array.from({ length: parallelism }, (_each, index) => {
      const own = [...states].filter(
        ([group]) => taskOfKeyGroup(group, KEY_GROUPS, parallelism) === index,
      );
      const task = this.#task({ states: new Map(own), descriptors });
      if (this.#watermarkMs !== undefined) task.watermark(this.#watermarkMs);
      return task;
    });
  }

  #task(from?: HarnessSnapshot): Harness<Rec> {
    const { kind, latenessMs } = this.#shape;
    const merge = (a: number[], b: number[]): number[] => [...a, ...b];
    return new Harness<Rec>(
      (source, collect) => {
        const windows = source
          .keyBy(({ key }) => key)
          .window({
            uid: "windows",
            assigner: assignerOf(this.#shape),
            aggregate: kind === "shared" || kind === "session" ? { ...values, merge } : values,
            allowedLatenessMs: latenessMs,
            lateTag: LATE,
            emit: (key, { startMs, endMs }, result) => [row(key, startMs, endMs, result)],
          });
        collect(windows);
        collect(windows.side(LATE), "late");
      },
      { keyGroups: KEY_GROUPS, ...(from && { from }) },
    );
  }
}

interface Pane {
  readonly key: string;
  startMs: number;
  endMs: number;
  readonly values: number[];
}

/** What the definition of windows says, without timers, slices or state. */
class Oracle {
  readonly #shape: Shape;
  #panes: Pane[] = [];
  #watermarkMs = Number.NEGATIVE_INFINITY;

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  do(step: Step, value: number): Row[] {
    if (step.kind === "record") return this.#record(KEYS[step.key] ?? "", value, step.timeMs);
    if (step.kind === "restart" || step.timeMs <= this.#watermarkMs) return [];
    const before = this.#watermarkMs;
    this.#watermarkMs = step.timeMs;
    const due = this.#panes.filter(({ endMs }) => endMs - 1 > before && endMs - 1 <= step.timeMs);
    this.#panes = this.#panes.filter((pane) => !this.#isGone(pane.endMs));
    return due.map((pane) => row(pane.key, pane.startMs, pane.endMs, pane.values));
  }

  #record(key: string, value: number, timeMs: number): Row[] {
    const taken =
      this.#shape.kind === "session"
        ? this.#joinSession(key, value, timeMs)
        : this.#joinGrid(key, value, timeMs);
    if (taken.length > 0)
      return taken
        .filter(({ endMs }) => endMs - 1 <= this.#watermarkMs)
        .map((pane) => row(pane.key, pane.startMs, pane.endMs, pane.values));
    const late = timeMs + this.#shape.latenessMs <= this.#watermarkMs;
    return late ? [`late ${key} ${String(value)}`] : [];
  }

  /** Tries every start around the time. */
  #joinGrid(key: string, value: number, timeMs: number): Pane[] {
    const { kind, sizeMs, slideMs, offsetMs } = this.#shape;
    const stepMs = kind === "tumbling" ? sizeMs : slideMs;
    const joined: Pane[] = [];
    for (let startMs = timeMs - sizeMs + 1; startMs <= timeMs; startMs += 1) {
      const isOnGrid = Math.abs((startMs - offsetMs) % stepMs) === 0;
      if (!isOnGrid || this.#isGone(startMs + sizeMs)) continue;
      let pane = this.#panes.find((each) => each.key === key && each.startMs === startMs);
      if (pane === undefined)
        this.#panes.push((pane = { key, startMs, endMs: startMs + sizeMs, values: [] }));
      pane.values.push(value);
      joined.push(pane);
    }
    return joined;
  }

  #joinSession(key: string, value: number, timeMs: number): Pane[] {
    const merged: Pane = {
      key,
      startMs: timeMs,
      endMs: timeMs + this.#shape.sizeMs,
      values: [value],
    };
    const touching = this.#panes.filter(
      (pane) => pane.key === key && pane.startMs <= merged.endMs && merged.startMs <= pane.endMs,
    );
    for (const pane of touching) {
      merged.startMs = Math.min(merged.startMs, pane.startMs);
      merged.endMs = Math.max(merged.endMs, pane.endMs);
      merged.values.push(...pane.values);
    }
    this.#panes = this.#panes.filter((pane) => !touching.includes(pane));
    if (this.#isGone(merged.endMs)) return [];
    this.#panes.push(merged);
    return [merged];
  }

  #isGone(endMs: number): boolean {
    return endMs - 1 + this.#shape.latenessMs <= this.#watermarkMs;
  }
}

test(`windows give what their definition says, over ${String(RUNS)} random histories`, () => {
  fc.assert(
    fc.property(shapeArb, fc.array(stepArb, { maxLength: 24 }), (shape, history) => {
      const job = new Job(shape);
      const oracle = new Oracle(shape);
      const end: Step = { kind: "watermark", timeMs: MAX_TIME_MS };
      for (const [i, step] of [...history, end].entries()) {
        const got = job.do(step, i).toSorted();
        const wanted = oracle.do(step, i).toSorted();
        if (got.join(";") !== wanted.join(";")) expect(got, JSON.stringify(step)).toEqual(wanted);
      }
    }),
    { numRuns: RUNS, seed: SEED, endOnFailure: false },
  );
}, 120_000);
