import { expect, test } from "vitest";
import { numberCodec, stringCodec } from "../state/codec.ts";
import { listState, mapState, valueState } from "../state/keyed-state.ts";
import { Harness } from "../../testing/harness.ts";
import { survivesRestart } from "../../testing/survives-restart.ts";
import { MAX_TIME_MS } from "./element.ts";
import { JobGraph } from "./graph.ts";
import type { Stream } from "./stream.ts";
import type { KeyedProcess } from "./process-operator.ts";

interface Shot {
  readonly game: string;
  readonly points: number;
}

const spec = {
  total: valueState(numberCodec),
  history: listState(numberCodec),
  names: mapState(stringCodec),
};

/** Emits the running total; at the end of each minute with shots, a line with the history. */
const totals: KeyedProcess<Shot, string, typeof spec> = {
  uid: "totals",
  state: spec,
  onRecord({ state, timers, eventTimeMs }, shot) {
    const total = (state.total.get() ?? 0) + shot.points;
    state.total.set(total);
    state.history.add(shot.points);
    state.names.set(String(shot.points), "seen");
    timers.register((Math.floor(eventTimeMs / 60_000) + 1) * 60_000);
  },
  onTimer(context, timeMs) {
    const { state } = context;
    const seen = [...state.names.entries()].map(([points]) => points).join("+");
    context.emit(
      `${context.key}@${String(timeMs)}: ${String(state.total.get())} [${state.history.get().join(",")}] ${seen}`,
    );
    state.history.clear();
  },
};

const define = (source: Stream<Shot>, collect: (stream: Stream<string>) => void): void =>
  collect(source.keyBy((shot) => shot.game).process(totals));

test("a timer that is registered twice fires once, with the state of its key", () => {
  const h = new Harness(define);
  h.record("g1", { game: "g1", points: 2 }, 10_000);
  h.record("g1", { game: "g1", points: 3 }, 20_000);
  h.record("g2", { game: "g2", points: 1 }, 70_000);
  h.watermark(120_000);
  expect(h.take()).toEqual(["g1@60000: 5 [2,3] 2+3", "g2@120000: 1 [1] 1"]);
});

test("state of every kind, timers and watermarks by key survive a restart after every record", () => {
  survivesRestart(
    (source: Stream<Shot & { atMs: number }>, collect) =>
      collect(
        source
          .timestamps("time", {
            eventTimeMs: (shot) => shot.atMs,
            outOfOrdernessMs: 0,
            scopeOf: (shot) => shot.game,
          })
          .keyBy((shot) => shot.game)
          .process(totals),
      ),
    Array.from({ length: 30 }, (_, i) => {
      const game = `g${String(i % 4)}`;
      const value = { game, points: 1 + (i % 3), atMs: i * 25_000 };
      return { kind: "record", key: game, value };
    }),
  );
});

test("each key runs on its own clock when watermarks are by key", () => {
  const h = new Harness<Shot & { atMs: number; last?: boolean }>((source, collect) =>
    collect(
      source
        .timestamps("time", {
          eventTimeMs: (shot) => shot.atMs,
          outOfOrdernessMs: 0,
          scopeOf: (shot) => shot.game,
          isLast: (shot) => shot.last === true,
        })
        .keyBy((shot) => shot.game)
        .process(totals),
    ),
  );
  h.record("late", { game: "late", points: 2, atMs: 1000 });
  h.record("early", { game: "early", points: 2, atMs: 1000 });
  h.record("early", { game: "early", points: 2, atMs: 500_000 });
  expect(h.take()).toEqual(["early@60000: 4 [2,2] 2"]);
  h.record("late", { game: "late", points: 3, atMs: 2000, last: true });
  expect(h.take()).toEqual(["late@60000: 5 [2,3] 2+3"]);
  expect(MAX_TIME_MS).toBe(Number.MAX_SAFE_INTEGER);
});

test("a key of another key group is refused with the way out", () => {
  const h = new Harness(define);
  expect(() => h.record("g1", { game: "another", points: 2 })).toThrow(/repartition the stream/);
});

test("a uid that is used twice, or a stream that leads nowhere, is an error that says so", () => {
  const twice = new JobGraph<Shot>("twice");
  twice.source
    .map("same", (shot) => shot)
    .map("same", (shot) => shot)
    .filter("end", () => true);
  expect(() => twice.validate()).toThrow(/uid same is used twice/);
  const open = new JobGraph<Shot>("open");
  open.source.map("one", (shot) => shot);
  expect(() => open.validate()).toThrow(/nobody reads the output of one/);
});
