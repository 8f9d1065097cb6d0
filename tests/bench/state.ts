/**
 * What an access to state and a timer cost, by the number of keys: `node tests/bench/state.ts`. The same operators
 * and records, only over more keys, in one run, so that a busy machine slows all of them. Keys come in random
 * order, the worst case for caches.
 */
import { seededRandom } from "../../base/random.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { ManualClock } from "../../base/clock.ts";
import { noTracing } from "../../base/tracing.ts";
import { JobGraph, type KeyedProcess, numberCodec, valueState } from "../../operators/mod.ts";
import { TASK_SCOPE } from "../../operators/runtime/element.ts";
import { buildChain } from "../../operators/runtime/graph.ts";
import type { OperatorContext } from "../../operators/runtime/operator.ts";

const KEYS = [1_000, 100_000];
const RECORDS = 500_000;
const ROUNDS = 5;
/** How far ahead timers are set, in records: a few of every key are pending at any moment. */
const TIMER_SPAN_MS = 100_000;
const WATERMARK_EVERY = 1000;

interface Record {
  readonly key: string;
  readonly keyGroup: number;
}

const state = { count: valueState(numberCodec) };

const counting: KeyedProcess<Record, never, typeof state> = {
  uid: "counting",
  state,
  onRecord: ({ state: { count } }) => count.set((count.get() ?? 0) + 1),
};

const timing: KeyedProcess<Record, never, typeof state> = {
  uid: "timing",
  state,
  onRecord: (context) => {
    context.timers.register(context.eventTimeMs + 1 + (hash(context.eventTimeMs) % TIMER_SPAN_MS));
  },
  onTimer: ({ state: { count } }) => count.set((count.get() ?? 0) + 1),
};

function hash(value: number): number {
  return Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) >>> 0;
}

function recordsOver(keys: number): Record[] {
  const random = seededRandom(7);
  const all = Array.from({ length: keys }, (_each, i) => `game-${String(i)}`);
  return Array.from({ length: RECORDS }, () => {
    const key = all[random.int(keys)] ?? "";
    return { key, keyGroup: keyGroupOf(key) };
  });
}

/** Time on the processor since `start`: what others do meanwhile does not count, as far as caches allow. */
function cpuNs(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) * 1000;
}

/** Nanoseconds a record. */
function measure(
  keyed: KeyedProcess<Record, never, typeof state>,
  records: readonly Record[],
): number {
  const graph = new JobGraph<Record>("bench", { sourceHasTime: true });
  graph.add<never>({
    uid: "end",
    kind: "sink",
    inputs: [graph.source.keyBy(({ key }) => key).process(keyed).edge],
    build: () => [{ record: () => {}, watermark: () => {}, status: () => {} }],
  });
  const context: OperatorContext = {
    job: "bench",
    keyGroups: graph.keyGroups,
    clock: new ManualClock(),
    tracing: noTracing,
    origin: { keyGroup: 0, sequence: 0, traceparent: "", outputs: 0 },
    markDirty: () => {},
    fail: (error) => {
      throw error;
    },
  };
  const { head } = buildChain(graph, context);
  const feed = (): void => {
    for (const [i, record] of records.entries()) {
      context.origin = { keyGroup: record.keyGroup, sequence: i, traceparent: "", outputs: 0 };
      head.record(record, timeMs);
      timeMs += 1;
      if (timeMs % WATERMARK_EVERY === 0) head.watermark(timeMs, TASK_SCOPE);
    }
  };
  let timeMs = 0;
  // The first pass makes the keys, which is not what is measured.
  feed();
  const start = process.cpuUsage();
  feed();
  return cpuNs(start) / records.length;
}

const report: { [figure: string]: number } = {};
for (const [name, each] of [
  ["state", counting],
  ["timer", timing],
] as const) {
  const best: number[] = [];
  for (const keys of KEYS) {
    const records = recordsOver(keys);
    const rounds = Array.from({ length: ROUNDS }, () => measure(each, records));
    best.push(Math.min(...rounds));
    report[`${name}_ns_${String(keys)}_keys`] = Math.round(Math.min(...rounds));
  }
  report[`${name}_ratio`] = Math.round((100 * (best[1] ?? 0)) / (best[0] ?? 1)) / 100;
}
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
