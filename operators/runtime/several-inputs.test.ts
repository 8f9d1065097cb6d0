import { expect, test } from "vitest";
import { keyGroupOf, keyGroupRange } from "../../base/key-group.ts";
import { Harness } from "../../testing/harness.ts";
import { MemoryLog } from "../../testing/memory-log.ts";
import { MiniRunner } from "../../testing/mini-runner.ts";
import { type Step, survivesRestart } from "../../testing/survives-restart.ts";
import { numberCodec, stringCodec } from "../state/codec.ts";
import { mapState, valueState } from "../state/keyed-state.ts";
import { broadcastState, operatorListState } from "../state/operator-state.ts";
import { tumblingWindows } from "../window/window.ts";
import { outputTag } from "./element.ts";
import type { CoProcess } from "./process-operator.ts";
import type { Refused, Stream } from "./stream.ts";

type Collect = <T>(stream: Stream<T>, name?: string) => void;

/** A line such as `g1 L 3`: key, input and what it says. */
const part = (line: string, index: number): string => line.split(" ")[index] ?? "";
const keyOf = (line: string): string => part(line, 0);
const input = (source: Stream<string>, name: string): Stream<string> =>
  source.filter(`only-${name}`, (line) => part(line, 1) === name);
const at = (value: string, eventTimeMs: number): Step<string> => ({
  kind: "record",
  key: keyOf(value),
  value,
  eventTimeMs,
});

function run(
  define: (source: Stream<string>, collect: Collect) => void,
  steps: readonly Step<string>[],
): unknown[] {
  const h = new Harness(define);
  for (const step of steps)
    if (step.kind === "record") h.record(step.key, step.value, step.eventTimeMs);
    else if (step.kind === "watermark") h.watermark(step.watermarkMs);
  return h.take();
}

test("a window join pairs what is in the same window of the same key, and survives restarts", () => {
  const define = (source: Stream<string>, collect: Collect): void =>
    collect(
      input(source, "L")
        .keyBy(keyOf)
        .windowJoin(input(source, "R").keyBy(keyOf), {
          uid: "join",
          assigner: tumblingWindows(10),
          leftCodec: stringCodec,
          rightCodec: stringCodec,
          join: (left, right, key) => `${key}: ${part(left, 2)}${part(right, 2)}`,
        }),
    );
  const steps: Step<string>[] = [
    at("g1 R x", 2),
    at("g1 L 1", 1),
    at("g2 L 9", 3),
    at("g1 L 2", 9),
    at("g1 R y", 9),
    at("g1 R z", 10),
    { kind: "watermark", watermarkMs: 9 },
    at("g1 L late", 5),
    at("g1 L 3", 19),
    at("g2 R alone", 12),
    { kind: "watermark", watermarkMs: 19 },
  ];
  expect(run(define, steps)).toEqual(["g1: 1x", "g1: 1y", "g1: 2x", "g1: 2y", "g1: 3z"]);
  survivesRestart(define, steps);
});

test("a co-process shares state and timers between its inputs, by key, and survives restarts", () => {
  const state = { left: valueState(stringCodec), rights: mapState(stringCodec) };
  const match: CoProcess<string, string, string, typeof state> = {
    uid: "match",
    state,
    onLeft({ state: { left }, timers, eventTimeMs }, line) {
      left.set(line);
      timers.register(eventTimeMs + 10);
    },
    onRight({ state: { left, rights } }, line) {
      rights.set(part(line, 2), line);
      if (left.get() !== undefined) rights.set("matched", line);
    },
    onTimer(context, timeMs) {
      const names = [...context.state.rights.entries()].map(([name]) => name).join(",");
      context.emit(`${context.key}@${String(timeMs)} ${names}`);
      context.state.left.clear();
      context.state.rights.clear();
    },
  };
  const define = (source: Stream<string>, collect: Collect): void =>
    collect(input(source, "L").keyBy(keyOf).coProcess(input(source, "R").keyBy(keyOf), match));
  const steps: Step<string>[] = [
    at("g1 R a", 1),
    at("g1 L 1", 2),
    at("g2 L 1", 3),
    at("g1 R b", 4),
    { kind: "watermark", watermarkMs: 12 },
    at("g1 R c", 13),
    at("g1 L 2", 14),
    { kind: "watermark", watermarkMs: 30 },
  ];
  expect(run(define, steps)).toEqual(["g1@12 a,b,matched", "g2@13 ", "g1@24 c"]);
  survivesRestart(define, steps);
});

test("the slower input holds the watermark of a co-process back", () => {
  const h = new Harness<string>((source, collect, more) =>
    collect(
      source.keyBy(keyOf).coProcess(more<string>("R").keyBy(keyOf), {
        uid: "both",
        state: {},
        onLeft: ({ timers }) => timers.register(10),
        onRight: () => {},
        onTimer: (context, timeMs) => context.emit(`${context.key}@${String(timeMs)}`),
      }),
    ),
  );
  h.record("g1", "g1 L", 1);
  h.watermark(20);
  expect(h.take()).toEqual([]);
  h.watermarkTo("R", 10);
  expect(h.take()).toEqual(["g1@10"]);
});

/** Rules come by one input and hold for all keys; asks of the other one are answered by them. */
function ruled(source: Stream<string>): Stream<string> {
  return input(source, "ask")
    .keyBy(keyOf)
    .withBroadcast(input(source, "rule"), {
      uid: "ruled",
      state: { asked: valueState(numberCodec) },
      operatorState: { rules: broadcastState(stringCodec) },
      onRecord(context, line) {
        const { asked } = context.state;
        asked.set((asked.get() ?? 0) + 1);
        const rules = [...context.operatorState.rules.entries()].map((rule) => rule.join("="));
        context.emit(`${context.key} ${String(asked.get())} ${part(line, 2)} ${rules.join(",")}`);
      },
      onBroadcast: ({ operatorState: { rules } }, line) => rules.set(part(line, 2), part(line, 3)),
    });
}

test("broadcast state is seen by every key and survives restarts", () => {
  const define = (source: Stream<string>, collect: Collect): void => collect(ruled(source));
  const steps = [
    at("g1 ask 1", 0),
    at("any rule foul 6", 0),
    at("g1 ask 2", 0),
    at("any rule foul 5", 0),
    at("any rule shot 3", 0),
    at("g2 ask 3", 0),
  ];
  expect(run(define, steps)).toEqual(["g1 1 1 ", "g1 2 2 foul=6", "g2 1 3 foul=5,shot=3"]);
  survivesRestart(define, steps);
});

test("operator state that a keyed function writes survives restarts", () => {
  const define = (source: Stream<string>, collect: Collect): void =>
    collect(
      source.keyBy(keyOf).process({
        uid: "noting",
        state: {},
        operatorState: { seen: operatorListState(stringCodec) },
        onRecord(context, line) {
          context.operatorState.seen.add(line);
          context.emit(context.operatorState.seen.get().join("; "));
        },
      }),
    );
  const steps = [at("g1 a", 0), at("g2 b", 0), at("g1 c", 0)];
  expect(run(define, steps)).toEqual(["g1 a", "g1 a; g2 b", "g1 a; g2 b; g1 c"]);
  survivesRestart(define, steps);
});

test("a record that the function throws on goes to the dead letters with its reason and time", () => {
  const dead = outputTag<Refused<string>>("dead");
  const h = new Harness<string>((source, collect) => {
    const numbers = source.tryMap(
      "parse",
      (text) => {
        if (!/^\d+$/.test(text)) throw new Error(`${text} is no number`);
        return Number(text);
      },
      dead,
    );
    collect(numbers);
    collect(numbers.side(dead), "dead");
  });
  for (const [i, text] of ["1", "two", "3"].entries()) h.record("g1", text, i);
  expect(h.take()).toEqual([1, 3]);
  expect(h.takeEmitted("dead")).toEqual([
    { kind: "record", value: { value: "two", reason: "two is no number" }, eventTimeMs: 1 },
  ]);
});

test("what fails downstream of a tryMap is not taken for its own failure", () => {
  const dead = outputTag<Refused<string>>("dead");
  const h = new Harness<string>((source, collect) => {
    const tried = source.tryMap("same", (text) => text, dead);
    const fail = (text: string): string => {
      throw new Error(`downstream of ${text}`);
    };
    collect(tried.map("fails", fail));
    collect(tried.side(dead), "dead");
  });
  expect(() => h.record("g1", "one")).toThrow("downstream of one");
  expect(h.take("dead")).toEqual([]);
});

/** Appends a record for each of `parallelism` tasks. */
function tellEach(log: MemoryLog<string>, parallelism: number, what: string): void {
  for (let i = 0; i < parallelism; i += 1) {
    const { first, last } = keyGroupRange(log.keyGroups, parallelism, i);
    for (let n = 0; ; n += 1) {
      const group = keyGroupOf(`k${String(n)}`, log.keyGroups);
      if (group < first || group > last) continue;
      log.append(`k${String(n)}`, `k${String(n)} ${what}`);
      break;
    }
  }
}

const fresh = <O>(runner: MiniRunner<string, O>, from: number): readonly O[] =>
  runner.committed.slice(from).map(({ value }) => value);

test("broadcast state is whole in every task after a rescale from 2 to 3 to 1", async () => {
  const log = new MemoryLog<string>(12);
  const runner = new MiniRunner<string, string>({ log, define: ruled });
  tellEach(log, 2, "rule foul 6");
  await runner.runToSavepoint(2, "two");
  tellEach(log, 3, "ask first");
  tellEach(log, 3, "rule shot 3");
  await runner.runToSavepoint(3, "three", { from: "two" });
  const first = fresh(runner, 0);
  expect(first.map((line) => line.split(" ").slice(1).join(" "))).toEqual(
    Array.from({ length: 3 }, () => "1 first foul=6"),
  );
  tellEach(log, 3, "ask second");
  log.close();
  await runner.runToEnd(1, "three");
  expect(fresh(runner, 3).map((line) => line.split(" ").slice(1).join(" "))).toEqual(
    Array.from({ length: 3 }, () => "2 second foul=6,shot=3"),
  );
});

test.each(["split", "union"] as const)(
  "a %s list of the operator is dealt out at a rescale from 2 to 3 to 1",
  async (redistribution) => {
    const log = new MemoryLog<string>(12);
    const runner = new MiniRunner<string, readonly string[]>({
      log,
      define: (source) =>
        source.process({
          uid: "noting",
          operatorState: { seen: operatorListState(stringCodec, redistribution) },
          onRecord(context, line) {
            const { seen } = context.operatorState;
            if (part(line, 1) === "dump") context.emit([...seen.get()]);
            else seen.add(part(line, 1));
          },
        }),
    });
    const all = Array.from({ length: 12 }, (_each, i) => `n${String(i)}`);
    const isSplit = redistribution === "split";
    const sorted = (lists: readonly (readonly string[])[]): string[] =>
      lists.flat().toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
    for (const [i, each] of all.entries()) log.append(`k${String(i)}`, `k ${each}`);
    await runner.runToSavepoint(2, "two");
    tellEach(log, 3, "dump");
    await runner.runToSavepoint(3, "three", { from: "two" });
    const three = fresh(runner, 0);
    expect(three).toHaveLength(3);
    if (isSplit) {
      expect(sorted(three)).toEqual(all);
      expect(three.map(({ length }) => length)).toEqual([4, 4, 4]);
    } else for (const list of three) expect(sorted([list])).toEqual(all);
    tellEach(log, 1, "dump");
    log.close();
    await runner.runToEnd(1, "three");
    const [one = []] = fresh(runner, 3);
    // As in Flink: the lists of all tasks, one behind the other.
    expect(sorted([one])).toEqual(isSplit ? all : all.flatMap((each) => [each, each, each]));
  },
);
