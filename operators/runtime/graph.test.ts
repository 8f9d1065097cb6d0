import { expect, expectTypeOf, test } from "vitest";
import {
  countTrigger,
  deltaTrigger,
  type ImmediateSink,
  JobGraph,
  type KeyedProcess,
  numberCodec,
  reduceBy,
  sessionWindows,
  slidingWindows,
  type Stream,
  stringCodec,
  tumblingWindows,
  valueState,
} from "../mod.ts";

/** Mistakes that the compiler finds are marked; the others are found when the graph is built, with the way out. */

interface Shot {
  readonly team: string;
  readonly points: number;
}

function sink<T>(uid: string): ImmediateSink<T> {
  return {
    mode: "immediate",
    uid,
    open: () => Promise.resolve(),
    write: () => {},
    blocked: () => undefined,
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

const points = {
  ...reduceBy(numberCodec, (a, b) => a + b),
  add: (sum: number, shot: Shot) => (sum ?? 0) + shot.points,
};
const emit = (team: string, _window: unknown, sum: number): readonly [string, number][] => [
  [team, sum],
];

function shots(sourceHasTime = true): { graph: JobGraph<Shot>; stream: Stream<Shot> } {
  const graph = new JobGraph<Shot>("shots", { sourceHasTime });
  return { graph, stream: graph.source };
}

const refused = (define: (stream: Stream<Shot>) => void, sourceHasTime = true): (() => void) => {
  const { graph, stream } = shots(sourceHasTime);
  return () => {
    define(stream);
    graph.validate();
  };
};

test("types follow the records through the graph", () => {
  const { stream } = shots();
  expectTypeOf(stream.map("points", (shot) => shot.points)).toEqualTypeOf<Stream<number>>();
  const windows = stream
    .keyBy((shot) => shot.team)
    .window({ uid: "w", assigner: tumblingWindows(60_000), aggregate: points, emit });
  expectTypeOf(windows).toEqualTypeOf<Stream<[string, number]>>();
  // @ts-expect-error -- a sink of other records does not fit
  expect(() => stream.sinkTo(sink<string>("texts"))).not.toThrow();
  // @ts-expect-error -- a key is text
  stream.keyBy((shot) => shot.points);
  // @ts-expect-error -- windows need a key first
  expect(stream.window).toBeUndefined();
});

test("an operator with state does not compile without a uid, nor state without a codec", () => {
  const { stream } = shots();
  const keyed = stream.keyBy((shot) => shot.team);
  const state = { total: valueState(numberCodec) };
  const process: KeyedProcess<Shot, number, typeof state> = {
    uid: "total",
    state,
    onRecord: (context, shot) => {
      context.state.total.set((context.state.total.get() ?? 0) + shot.points);
      // @ts-expect-error -- the state holds numbers
      context.state.total.set("many");
      // @ts-expect-error -- there is no state of this name
      expect(context.state.other).toBeUndefined();
    },
  };
  expectTypeOf(keyed.process(process)).toEqualTypeOf<Stream<number>>();
  // @ts-expect-error -- no uid
  expect(() => keyed.process({ state, onRecord: () => {} })).toThrow();
  // @ts-expect-error -- no uid
  expect(() => keyed.window({ assigner: tumblingWindows(1), aggregate: points, emit })).toThrow();
  // @ts-expect-error -- a state type that cannot be written down
  const bare: KeyedProcess<Shot, number, { a: { kind: "value" } }> = {
    uid: "x",
    state: { a: { kind: "value" } },
    onRecord: () => {},
  };
  expect(() => keyed.process(bare as never)).toThrow(
    /state a of x cannot be written into a snapshot; declare it with a codec/,
  );
});

test("a uid that is used twice is refused: state is found by it", () => {
  const twice = refused((stream) => {
    stream.map("points", (shot) => shot.points).sinkTo(sink("a"));
    stream.map("points", (shot) => shot.points).sinkTo(sink("b"));
  });
  expect(twice).toThrow(
    "job shots: uid points is used twice; state is found by uid, so give each operator its own",
  );
  expect(refused((stream) => void stream.map("", (shot) => shot))).toThrow(/needs a uid/);
});

test("a stream that leads nowhere is refused", () => {
  expect(refused((stream) => void stream.map("lost", (shot) => shot))).toThrow(
    /nobody reads the output of lost/,
  );
});

test("an event-time window without event time before it is refused, a processing-time one is not", () => {
  const window =
    (time: "event" | "processing") =>
    (stream: Stream<Shot>): void =>
      stream
        .keyBy((shot) => shot.team)
        .window({ uid: "w", assigner: tumblingWindows(60_000, { time }), aggregate: points, emit })
        .sinkTo(sink("out"));
  expect(refused(window("event"), false)).toThrow(
    /w works in event time, but its input has none; put timestamps\(\) before it/,
  );
  expect(refused(window("processing"), false)).not.toThrow();
  const timed = (stream: Stream<Shot>): void =>
    window("event")(stream.timestamps("time", { eventTimeMs: () => 0 }));
  expect(refused(timed, false)).not.toThrow();
});

test("event time on one input of a union is not enough", () => {
  const half = refused((stream) => {
    const timed = stream.timestamps("time", { eventTimeMs: () => 0 });
    timed
      .union("both", stream)
      .keyBy((shot) => shot.team)
      .window({ uid: "w", assigner: tumblingWindows(5), aggregate: points, emit })
      .sinkTo(sink("out"));
  }, false);
  expect(half).toThrow(/w works in event time/);
});

test("sizes, slides, offsets and gaps that cannot be are refused with the rule", () => {
  expect(() => tumblingWindows(0)).toThrow(/size 0 ms must be a positive integer/);
  expect(() => tumblingWindows(1.5)).toThrow(/positive integer/);
  expect(() => tumblingWindows(10, { offsetMs: -10 })).toThrow(
    /offset -10 ms must be an integer smaller than 10 ms/,
  );
  expect(() => slidingWindows(10, -1)).toThrow(/slide -1 ms/);
  expect(() => sessionWindows(0)).toThrow(/gap 0 ms/);
  expect(() => countTrigger(0)).toThrow(/count 0 must be a positive integer/);
});

test("parts of a window that do not fit together are refused", () => {
  const keyed = shots().stream.keyBy((shot) => shot.team);
  const session = sessionWindows(5);
  const unmergeable = { ...points, merge: undefined as never };
  expect(() => keyed.window({ uid: "w", assigner: session, aggregate: unmergeable, emit })).toThrow(
    /give the aggregate a merge function/,
  );
  const trigger = deltaTrigger(1, () => 0, stringCodec as never);
  expect(() =>
    keyed.window({ uid: "w", assigner: session, trigger, aggregate: points, emit }),
  ).toThrow(/trigger delta\(1\) cannot/);
  const assigner = tumblingWindows(5, { time: "processing" });
  expect(() =>
    keyed.window({ uid: "w", assigner, aggregate: points, allowedLatenessMs: 5, emit }),
  ).toThrow(/only event-time windows have late records/);
  expect(() =>
    keyed.window({
      uid: "w",
      assigner: tumblingWindows(5),
      aggregate: points,
      allowedLatenessMs: -1,
      emit,
    }),
  ).toThrow(/must not be negative/);
});

test("an asynchronous operator that could never call is refused", () => {
  const call = (value: Shot): Promise<readonly Shot[]> => Promise.resolve([value]);
  const codec = {
    typeName: "x",
    encode: () => new Uint8Array(),
    decode: (): Shot => ({ team: "", points: 0 }),
  };
  expect(() => shots().stream.async({ uid: "a", codec, capacity: 0, call })).toThrow(
    /capacity 0 must be at least/,
  );
});
