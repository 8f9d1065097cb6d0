/**
 * What sliding windows cost by the number of their slices: `node tests/bench/windows.ts`. The same records through
 * windows of 6 and of 60 slices, in one run; every slice of every key has records, so both fire equally often.
 */
import { ManualClock } from "../../base/clock.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { noTracing } from "../../base/tracing.ts";
import { JobGraph, numberCodec, reduceBy, slidingWindows } from "../../operators/mod.ts";
import { TASK_SCOPE } from "../../operators/runtime/element.ts";
import { buildChain } from "../../operators/runtime/graph.ts";

const SLICES = [6, 60];
const SLIDE_MS = 1000;
const KEYS = 100;
/** Records of each key in each slice: a thin stream, where firings weigh most, and one as games at full speed are. */
const DENSITIES = [10, 100];
/** Records of a key in one run. */
const RECORDS_PER_KEY = 5000;
const ROUNDS = 7;

const keys = Array.from({ length: KEYS }, (_each, i) => `game-${String(i)}`);
const groups = keys.map((key) => keyGroupOf(key));

/** Time on the processor since `start`: what others do meanwhile does not count, as far as caches allow. */
function cpuNs(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) * 1000;
}

/** Nanoseconds a record, firings included. */
function measure(slices: number, recordsPerSlice: number): number {
  const slides = RECORDS_PER_KEY / recordsPerSlice;
  const graph = new JobGraph<string>("bench", { sourceHasTime: true });
  const sum = {
    ...reduceBy(numberCodec, (a, b) => a + b),
    add: (a: number | undefined) => (a ?? 0) + 1,
  };
  let results = 0;
  const windows = graph.source
    .keyBy((key) => key)
    .window({
      uid: "windows",
      assigner: slidingWindows(slices * SLIDE_MS, SLIDE_MS),
      aggregate: sum,
      emit: (key, _window, count) => [[key, count]],
    });
  graph.add<never>({
    uid: "end",
    kind: "sink",
    inputs: [windows.edge],
    build: () => [{ record: () => (results += 1), watermark: () => {}, status: () => {} }],
  });
  const origins = groups.map((keyGroup) => ({
    keyGroup,
    sequence: 0,
    traceparent: "",
    outputs: 0,
  }));
  const context = {
    job: "bench",
    keyGroups: graph.keyGroups,
    clock: new ManualClock(),
    tracing: noTracing,
    origin: { keyGroup: 0, sequence: 0, traceparent: "", outputs: 0 },
    markDirty: () => {},
    fail: (error: Error) => {
      throw error;
    },
  };
  const { head } = buildChain(graph, context);
  const start = process.cpuUsage();
  for (let slide = 0; slide < slides; slide += 1) {
    for (let i = 0; i < recordsPerSlice; i += 1)
      for (const [k, key] of keys.entries()) {
        context.origin = origins[k] ?? context.origin;
        head.record(key, slide * SLIDE_MS + i);
      }
    head.watermark(slide * SLIDE_MS + SLIDE_MS - 1, TASK_SCOPE);
  }
  const ns = cpuNs(start);
  if (results !== slides * KEYS) throw new Error(`${String(results)} results`);
  return ns / (RECORDS_PER_KEY * KEYS);
}

const report: { [figure: string]: number } = {};
for (const density of DENSITIES) {
  const best = SLICES.map(() => Number.POSITIVE_INFINITY);
  // In turn, so that a busy moment slows both.
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [i, slices] of SLICES.entries())
      best[i] = Math.min(best[i] ?? Number.POSITIVE_INFINITY, measure(slices, density));
  const [few = 1, many = 1] = best;
  report[`${String(density)}_records_a_slice_ns_6_slices`] = Math.round(few);
  report[`${String(density)}_records_a_slice_ns_60_slices`] = Math.round(many);
  report[`${String(density)}_records_a_slice_ratio`] = Math.round((100 * many) / few) / 100;
}
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
