import { expect, test } from "vitest";
import { Harness } from "../../testing/harness.ts";
import { type Step, survivesRestart } from "../../testing/survives-restart.ts";
import type { Stream } from "../runtime/stream.ts";
import { stringCodec } from "./codec.ts";
import { listState, mapState, type TimeToLive } from "./keyed-state.ts";

/** `g1 + a` adds a, `g1 ?` reads, `g1 -` does nothing but come by. */
const reader = (ttl: TimeToLive) => (source: Stream<string>, collect: Collect) =>
  collect(
    source
      .keyBy((line) => line.split(" ")[0] ?? "")
      .process({
        uid: "kept",
        state: { list: listState(stringCodec, ttl), map: mapState(stringCodec, ttl) },
        onRecord(context, line) {
          const { list, map } = context.state;
          const [, what = "", name = ""] = line.split(" ");
          if (what === "+") {
            list.add(name);
            map.set(name, name.toUpperCase());
          }
          if (what !== "?") return;
          const entries = [...map.entries()].map(([key, value]) => `${key}${value}`);
          context.emit(`${list.get().join(",")} | ${entries.join(",")}`);
        },
      }),
  );

type Collect = <T>(stream: Stream<T>) => void;

const TTL: TimeToLive = { ttlMs: 100, refresh: "write", visibility: "never" };

function read(h: Harness<string>, key = "g1"): unknown {
  h.record(key, `${key} ?`);
  return h.take()[0];
}

/** Two values of g1, of which the older one has expired. */
function halfExpired(ttl: TimeToLive): Harness<string> {
  const h = new Harness(reader(ttl));
  h.record("g1", "g1 + a");
  h.processingTime(60);
  h.record("g1", "g1 + b");
  h.processingTime(100);
  return h;
}

test("elements and entries expire one by one, at the moment that they have lived", () => {
  const h = halfExpired(TTL);
  expect(read(h)).toBe("b | bB");
  h.processingTime(159);
  expect(read(h)).toBe("b | bB");
  h.processingTime(160);
  expect(read(h)).toBe(" | ");
});

test("what expired and is still there may be read once more where that is wanted", () => {
  const h = halfExpired({ ...TTL, visibility: "if-not-cleaned" });
  expect(read(h)).toBe("a,b | aA,bB");
  expect(read(h)).toBe("b | bB");
});

test("a read counts as access where that is wanted", () => {
  const h = new Harness(reader({ ...TTL, refresh: "read-and-write" }));
  h.record("g1", "g1 + a");
  for (let nowMs = 90; nowMs <= 900; nowMs += 90) {
    h.processingTime(nowMs);
    expect(read(h)).toBe("a | aA");
  }
  h.processingTime(1000);
  expect(read(h)).toBe(" | ");
});

test.each([
  ["gives back what expired", false, "a,b | aA,bB"],
  ["leaves out what expired", true, "b | bB"],
])("a snapshot %s when cleanupInSnapshot is so", (_what, cleanupInSnapshot, expected) => {
  const ttl: TimeToLive = { ...TTL, visibility: "if-not-cleaned", cleanupInSnapshot };
  const before = halfExpired(ttl);
  const after = new Harness(reader(ttl), { from: before.snapshot(), nowMs: 100 });
  expect(read(after)).toBe(expected);
});

test("time goes on across a restore: access times are in the snapshot", () => {
  const before = new Harness(reader(TTL));
  before.record("g1", "g1 + a");
  before.processingTime(99);
  const from = before.snapshot();
  expect(read(new Harness(reader(TTL), { from, nowMs: 99 }))).toBe("a | aA");
  expect(read(new Harness(reader(TTL), { from, nowMs: 100 }))).toBe(" | ");
});

test.each([0, 2])("with cleanupKeys %i keys that nobody asks for go accordingly", (cleanupKeys) => {
  const ttl: TimeToLive = { ...TTL, visibility: "if-not-cleaned", cleanupKeys };
  const h = new Harness(reader(ttl));
  for (let i = 0; i < 20; i += 1) h.record(`g${String(i)}`, `g${String(i)} + a`);
  h.processingTime(100);
  for (let i = 0; i < 25; i += 1) h.record("other", "other -");
  expect(read(h, "g19")).toBe(cleanupKeys === 0 ? "a | aA" : " | ");
  const bytes = [...h.snapshot().states.values()].map((state) => Buffer.from(state).toString());
  expect(bytes.some((text) => text.includes("g7"))).toBe(cleanupKeys === 0);
});

test("a key whose state is cleaned keeps its own clock", () => {
  const h = new Harness<string>((source, collect) =>
    collect(
      source
        .keyBy((line) => line.split(" ")[0] ?? "")
        .process({
          uid: "clocked",
          state: { list: listState(stringCodec, { ...TTL, cleanupKeys: 5 }) },
          onRecord(context, line) {
            context.state.list.add(line);
            context.emit(context.watermarkMs);
          },
        }),
    ),
  );
  h.record("g1", "g1 a");
  h.watermark(500, "g1");
  h.processingTime(200);
  for (let i = 0; i < 5; i += 1) h.record("g2", "g2 a");
  h.take();
  h.record("g1", "g1 b");
  expect(h.take()).toEqual([500]);
});

test.each([0, 2])("state with a life survives restarts, with cleanupKeys %i", (cleanupKeys) => {
  const steps = Array.from({ length: 40 }, (_each, i): Step<string>[] => {
    const key = `g${String(i % 3)}`;
    const value = i % 4 === 3 ? `${key} ?` : `${key} + ${String(i)}`;
    return [
      { kind: "processingTime", nowMs: i * 17 },
      { kind: "record", key, value },
    ];
  }).flat();
  survivesRestart(reader({ ...TTL, cleanupKeys, cleanupInSnapshot: true }), steps);
});
