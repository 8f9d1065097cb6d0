import { ManualClock } from "../../base/clock.ts";
import { keyGroupOf, taskOfKeyGroup } from "../../base/key-group.ts";
import {
  type Aggregate,
  type KeyedProcess,
  MIN_TIME_MS,
  numberCodec,
  operatorListState,
  broadcastState,
  reducingState,
  slidingWindows,
  type Stream,
  stringCodec,
  tumblingWindows,
  valueState,
  type WindowAssigner,
} from "../../operators/mod.ts";
import { type Committed, MemoryLog, MiniRunner } from "../../testing/mod.ts";
import {
  byNumber,
  type Case,
  config,
  fields,
  type Fields,
  list,
  nameOf,
  Mismatch,
  same,
  sameRows,
  time,
  times,
  Unsupported,
  type Value,
} from "../case.ts";
import { type TimerCommand, timerProcess, type TimerRow } from "../timer-process.ts";
import { keyText } from "../case.ts";

const PARALLELISM = 4;
const CHECKPOINT_INTERVAL_MS = 100;

interface Keyed {
  readonly key: string;
  readonly value: number;
}

const SUM: Aggregate<Keyed, number, number> = {
  codec: numberCodec,
  create: () => 0,
  add: (sum, { value }) => sum + value,
  result: (sum) => sum,
};

/** A timer that is registered in one task fires in the half that owns its key group after a rescale. */
export async function rescaleTimers(
  commands: readonly TimerCommand[],
  advanceMs: number,
): Promise<readonly TimerRow[][]> {
  const log = new MemoryLog<TimerCommand>();
  const clock = new ManualClock(MIN_TIME_MS);
  const runner = new MiniRunner<TimerCommand, TimerRow>({
    log,
    clock,
    define: (source) => source.keyBy(({ row }) => keyText(row[1])).process(timerProcess),
  });
  for (const command of commands) log.append(keyText(command.row[1]), command);
  await runner.runToSavepoint(1, "one");
  await runner.runToSavepoint(2, "two", {
    from: "one",
    meanwhile: () => {
      log.watermark(advanceMs);
      clock.advanceTo(advanceMs);
    },
  });
  const halves: TimerRow[][] = [[], []];
  for (const { value, task } of runner.committed) halves[task]?.push(value);
  return halves;
}

/** Whole jobs: rescaling and recovery. */
export const jobKinds = {
  async rescale_counts(of: Case): Promise<void> {
    config(of, "keys", "n1", "n2", "groups", "from_to");
    const [keys, n1, n2, groups] = ["keys", "n1", "n2", "groups"].map((name) => time(of[name]));
    for (const row of list(of["from_to"])) {
      const [from = 1, to = 1] = times(row);
      await rescale({ keys: keys ?? 0, n1: n1 ?? 0, n2: n2 ?? 0, groups: groups ?? 1, from, to });
    }
  },

  async list_state(of: Case): Promise<void> {
    for (const row of list(config(of, "table")["table"])) await listState(row);
  },

  async e2e_windows(of: Case): Promise<void> {
    config(of, "keys", "n", "size", "windows_per_key", "window_sums");
    const results = await windowJob(of, tumblingWindows(time(of["size"])), time(of["size"]));
    for (const [key, windows] of results) {
      same(`windows of key ${key}`, time(of["windows_per_key"]), windows.size);
      for (const [startMs, sum] of byNumber(of["window_sums"]))
        same(`key ${key} window ${String(startMs)}`, sum, windows.get(startMs));
    }
  },

  async e2e_sliding(of: Case): Promise<void> {
    config(of, "keys", "n", "size", "slide", "sample_sums", "windows_per_key_at_least");
    const slideMs = time(of["slide"]);
    for (const share of [false, true]) {
      const assigner = slidingWindows(time(of["size"]), slideMs);
      const results = await windowJob(of, assigner, slideMs, share);
      for (const [key, windows] of results) {
        if (windows.size < time(of["windows_per_key_at_least"]))
          throw new Mismatch(`windows of key ${key}: expected more got ${String(windows.size)}`);
        for (const [startMs, sum] of byNumber(of["sample_sums"]))
          same(`key ${key} window ${String(startMs)}`, sum, windows.get(startMs));
      }
    }
  },

  async e2e_kvstate(of: Case): Promise<void> {
    config(of, "keys", "outputs_for_key_7", "n", "size");
    for (const groups of [4, 32_768]) {
      const { runner } = await failingJob<readonly [string, number]>(of, groups, 1000, (source) =>
        source
          .keyBy(({ key }) => key)
          .window({
            uid: "window",
            assigner: tumblingWindows(time(of["size"] ?? 1000)),
            aggregate: SUM,
            state: { counter: valueState(numberCodec) },
            process: (context) => {
              const { counter } = context.state;
              const before = counter.get() ?? 0;
              const next = (before === 0 ? Number(context.key) : before) + 1;
              counter.set(next);
              context.emit([context.key, next]);
            },
          }),
      );
      const outputs = byKey(runner.committed.map(({ value }) => value));
      for (let key = 0; key < time(of["keys"]); key += 1) {
        const expected = key === 7 ? list(of["outputs_for_key_7"]) : [key + 1, key + 2, key + 3];
        sameRows(
          `${String(groups)} groups, key ${String(key)}`,
          expected,
          outputs.get(String(key)) ?? [],
          true,
        );
      }
    }
  },
};

interface Rescale {
  readonly keys: number;
  readonly n1: number;
  readonly n2: number;
  readonly groups: number;
  readonly from: number;
  readonly to: number;
}

type Sum = readonly [string, number];

async function rescale({ keys, n1, n2, groups, from, to }: Rescale): Promise<void> {
  const state = { sum: reducingState(numberCodec, (a, b) => a + b) };
  const sums: KeyedProcess<Keyed, Sum, typeof state> = {
    uid: "sums",
    state,
    onRecord: (context, { value }) => {
      context.state.sum.add(value);
      context.emit([context.key, context.state.sum.get() ?? 0]);
    },
  };
  const log = new MemoryLog<Keyed>(groups);
  const runner = new MiniRunner<Keyed, Sum>({
    log,
    define: (source) => source.keyBy(({ key }) => key).process(sums),
  });
  const feed = (times_: number): void => {
    for (let i = 0; i < times_; i += 1)
      for (let key = 0; key < keys; key += 1)
        log.append(String(key), { key: String(key), value: key });
  };
  feed(n1);
  await runner.runToSavepoint(from, "half");
  const before = runner.committed.length;
  same(`${String(from)} → ${String(to)}: outputs before`, keys * n1, before);
  feed(n2);
  log.close();
  await runner.runToEnd(to, "half");
  const last = new Map<string, Committed<Sum>>();
  for (const each of runner.committed.slice(before)) last.set(each.value[0], each);
  same(`${String(from)} → ${String(to)}: outputs`, keys * (n1 + n2), runner.committed.length);
  for (let key = 0; key < keys; key += 1) {
    const found = last.get(String(key));
    const owner = taskOfKeyGroup(keyGroupOf(String(key), groups), groups, to);
    same(
      `${String(from)} → ${String(to)} key ${String(key)}`,
      [key * (n1 + n2), owner],
      [found?.value[1], found?.task],
    );
  }
}

const LIST_ROW = [
  "mode",
  "old",
  "parallelism",
  "instances",
  "all_exactly_once",
  "max_per_instance",
];

/** Each old task adds its elements; each new one tells what it has been given. */
async function listState(row: Value): Promise<void> {
  const each = fields(row, LIST_ROW, "row");
  const { mode } = each;
  const old = list(each["old"]).map((elements) => list(elements).map(String));
  const parallelism = time(each["parallelism"]);
  if (mode !== "split" && mode !== "union" && mode !== "broadcast")
    throw new Unsupported(`unsupported mode ${JSON.stringify(mode)}`);
  const log = new MemoryLog<"save" | "tell">();
  const tellEverybody = (what: "save" | "tell"): void => {
    for (let i = 0; i < 128; i += 1) log.append(keyOfGroup(i), what);
  };
  const runner = new MiniRunner<"save" | "tell", readonly string[]>({
    log,
    define: (source, task) =>
      mode === "broadcast"
        ? broadcastJob(source, old[task] ?? [])
        : listJob(source, mode, old[task] ?? []),
  });
  tellEverybody("save");
  await runner.runToSavepoint(old.length, "old");
  tellEverybody("tell");
  log.close();
  await runner.runToEnd(parallelism, "old");
  const got = Array.from(
    { length: parallelism },
    (_each, task) => runner.committed.find((output) => output.task === task)?.value,
  );
  const label = JSON.stringify(row);
  if (each["instances"] !== undefined) same(label, each["instances"], got);
  const most = each["max_per_instance"];
  if (most !== undefined && got.some((elements) => (elements?.length ?? 0) > time(most)))
    throw new Mismatch(
      `${label}: expected at most ${nameOf(most)} each got ${JSON.stringify(got)}`,
    );
  if (each["all_exactly_once"] === true) sameRows(label, old.flat(), got.flat());
}

function listJob(
  source: Stream<"save" | "tell">,
  mode: "split" | "union",
  elements: readonly string[],
): Stream<readonly string[]> {
  return source.process<readonly string[], { kept: ReturnType<typeof operatorListState<string>> }>({
    uid: "kept",
    operatorState: { kept: operatorListState(stringCodec, mode) },
    onRecord: (context, what) => {
      const { kept } = context.operatorState;
      if (what === "tell") context.emit([...kept.get()]);
      else if (kept.get().length === 0) for (const element of elements) kept.add(element);
    },
  });
}

function broadcastJob(
  source: Stream<"save" | "tell">,
  elements: readonly string[],
): Stream<readonly string[]> {
  return source.process<readonly string[], { kept: ReturnType<typeof broadcastState<string>> }>({
    uid: "kept",
    operatorState: { kept: broadcastState(stringCodec) },
    onRecord: (context, what) => {
      const { kept } = context.operatorState;
      if (what === "tell") context.emit([...kept.entries()].map(([, element]) => element));
      else for (const [i, element] of elements.entries()) kept.set(String(i), element);
    },
  });
}

/** Some key of the group. */
function keyOfGroup(group: number): string {
  for (let i = 0; ; i += 1) if (keyGroupOf(String(i)) === group) return String(i);
}

type WindowResult = readonly [string, number, number];

/** Sums by key and window start; a window that came twice is a mismatch. */
async function windowJob(
  of: Case,
  assigner: WindowAssigner,
  stepMs: number,
  share = false,
): Promise<Map<string, Map<number, number>>> {
  const { runner } = await failingJob<WindowResult>(of, 128, stepMs, (source) =>
    source
      .keyBy(({ key }) => key)
      .window({
        uid: "window",
        assigner,
        aggregate: { ...SUM, ...(share && { merge: (a: number, b: number) => a + b }) },
        emit: (key, { startMs }, sum): WindowResult[] => [[key, startMs, sum]],
      }),
  );
  const results = new Map<string, Map<number, number>>();
  for (const {
    value: [key, startMs, sum],
  } of runner.committed) {
    const windows = results.get(key) ?? new Map<number, number>();
    if (windows.has(startMs)) throw new Mismatch(`key ${key} window ${String(startMs)} came twice`);
    results.set(key, windows.set(startMs, sum));
  }
  same("keys with results", time(of["keys"]), results.size);
  return results;
}

/** Fails once, half-way, behind a checkpoint that covers more than a quarter, and recovers. */
async function failingJob<O>(
  of: Fields,
  groups: number,
  stepMs: number,
  define: (source: Stream<Keyed>) => Stream<O>,
): Promise<{ readonly runner: MiniRunner<Keyed, O> }> {
  const keys = time(of["keys"]);
  const rounds = time(of["n"] ?? 3000);
  const log = new MemoryLog<Keyed>(groups);
  for (let i = 0; i < rounds; i += 1) {
    for (let key = 0; key < keys; key += 1)
      log.append(String(key), { key: String(key), value: i }, i);
    log.watermark(i - Math.floor((4 * stepMs) / 3));
  }
  log.close();
  let crashed = false;
  const quarter = (log.length / rounds) * (Math.floor(rounds / 4) + 1);
  const half = (log.length / rounds) * Math.floor(rounds / 2);
  const runner = new MiniRunner<Keyed, O>({
    log,
    define,
    sourceHasTime: true,
    checkpointIntervalMs: CHECKPOINT_INTERVAL_MS,
    holdWhen: ({ readSequence, coveredSequence }) =>
      !crashed && readSequence >= half && coveredSequence < quarter,
    crashWhen: ({ readSequence, coveredSequence }) => {
      if (crashed || readSequence < half || coveredSequence < quarter) return false;
      crashed = true;
      return true;
    },
  });
  await runner.runToEnd(PARALLELISM);
  if (!crashed) throw new Mismatch("expected a failure behind a checkpoint got none");
  same("restarts", 1, runner.restarts);
  return { runner };
}

function byKey(rows: readonly (readonly [string, number])[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const [key, value] of rows) found.set(key, [...(found.get(key) ?? []), value]);
  return found;
}
