import { parseArgs } from "node:util";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { noTracing } from "../../base/tracing.ts";
import { MemoryStore, type Source, Task, type TransactionalSink } from "../../operators/mod.ts";
import type { SourceRecord } from "../../operators/mod.ts";
import { create } from "@bufbuild/protobuf";
import { SourcePositionSchema } from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { type Event, generate } from "./events.ts";
import { nexmarkGraph, QUERIES, type QueryName, type Result } from "./queries.ts";

/**
 * Nexmark on one core: events of an in-memory source through a whole task, with event time, state and a checkpoint
 * a second, into a sink that counts. The baseline is a loop over the same events that counts bids.
 *
 *   node bench/nexmark/run.ts [--events N] [--repetitions N] [--query q5] [--json]
 */
const { values } = parseArgs({
  options: {
    events: { type: "string", default: "1000000" },
    repetitions: { type: "string", default: "5" },
    query: { type: "string", multiple: true },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
const count = Number(values.events);
const events = [...generate({ events: count, seed: Number(values.seed) })];
const names = (values.query ?? Object.keys(QUERIES)) as QueryName[];

/** Records that lie in memory already: the source costs next to nothing. */
function memorySource(): Source<Event> {
  const records: SourceRecord<Event>[] = events.map((value, i) => ({
    value,
    keyGroup: 0,
    sequence: i + 1,
    traceparent: "",
  }));
  let next = 0;
  return {
    open: () => Promise.resolve(),
    poll: (maxRecords) => {
      const batch = records.slice(next, next + maxRecords);
      next += batch.length;
      return Promise.resolve(batch);
    },
    positionAt: (sequence) =>
      create(SourcePositionSchema, { stream: "memory", sequence: BigInt(sequence) }),
    ended: () => next >= records.length,
    close: () => Promise.resolve(),
  };
}

async function eventsPerSecond(query: QueryName): Promise<{ rate: number; results: number }> {
  let results = 0;
  const sink: TransactionalSink<Result> = {
    mode: "transactional",
    uid: "count",
    open: () => Promise.resolve(),
    write: () => void (results += 1),
    full: () => false,
    seal: () => [],
    commit: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const graph = nexmarkGraph(query, (rows) => rows.sinkTo(sink));
  const task = new Task<Event>({
    graph,
    source: memorySource(),
    store: new MemoryStore(),
    clock: systemClock,
    tracing: noTracing,
    log: silentLog,
    checkpointIntervalMs: 1000,
  });
  const startMs = performance.now();
  await task.run(new AbortController().signal);
  return { rate: (1000 * count) / (performance.now() - startMs), results };
}

function baseline(): number {
  const startMs = performance.now();
  let bids = 0;
  for (const event of events) if (event.kind === "bid") bids += event.price > 0 ? 1 : 0;
  const seconds = (performance.now() - startMs) / 1000;
  if (bids === 0) throw new Error("there are bids");
  return count / seconds;
}

const median = (rates: readonly number[]): number =>
  rates.toSorted((a, b) => a - b)[Math.floor(rates.length / 2)] ?? 0;

const loop = median(Array.from({ length: 5 }, baseline));
const report: Record<string, unknown>[] = [];
for (const name of names) {
  const rates: number[] = [];
  let results = 0;
  for (let i = 0; i < Number(values.repetitions); i += 1) {
    const run = await eventsPerSecond(name);
    rates.push(run.rate);
    results = run.results;
  }
  const row = {
    query: name,
    eventsPerSecond: Math.round(median(rates)),
    least: Math.round(Math.min(...rates)),
    most: Math.round(Math.max(...rates)),
    ratioToLoop: Number((median(rates) / loop).toPrecision(3)),
    results,
  };
  report.push(row);
  if (!values.json)
    console.log(
      `${name.padEnd(4)} ${row.eventsPerSecond.toLocaleString("en")} events/s (${row.least.toLocaleString("en")} to ` +
        `${row.most.toLocaleString("en")}), ${row.ratioToLoop} of a bare loop, ${row.results.toLocaleString("en")} results`,
    );
}
if (values.json)
  console.log(
    JSON.stringify({ node: process.version, events: count, bareLoop: Math.round(loop), report }),
  );
