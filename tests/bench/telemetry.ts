/**
 * What telemetry costs: the insight job over the same plays with and without it, in turns, in one process.
 *
 *   node tests/bench/telemetry.ts [--rounds N] [--json]
 *
 * On: arrival times, stages of every play into histograms, stage columns, traces of one message in a hundred, spans
 * through the SDK into a store that takes them at once. Off: none of it. Insights and rows are encoded; broker, model and
 * store are left out, so the share that is measured here is the largest that it can be.
 */
import { parseArgs } from "node:util";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { systemClock } from "../../base/clock.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { silentLog } from "../../base/log.ts";
import { type Metrics, noMetrics } from "../../base/metrics.ts";
import { noTracing, type Tracing } from "../../base/tracing.ts";
import { MemorySource } from "../../connectors/memory-source.ts";
import { syntheticSeason } from "../../data/synthetic/season.ts";
import { insightGraph } from "../../jobs/insight/graph.ts";
import { decodeFrame, type FrameInput } from "../../jobs/insight/input.ts";
import { encodeInsight } from "../../jobs/insight/insights.ts";
import { insightRows } from "../../jobs/insight/rows.ts";
import { Stages } from "../../jobs/insight/stages.ts";
import {
  type ImmediateSink,
  MemoryStore,
  type SourceRecord,
  Task,
  type TransactionalSink,
} from "../../operators/mod.ts";
import { type Insight, PredictionSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { PlayFrameSchema } from "../../proto/gen/courtside/v1/play_pb.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { createTracing } from "../../telemetry/tracing.ts";

const GAMES = 60;
const PLAYS_A_FRAME = 40;
const TRACE_EVERY = 100;

interface Message {
  readonly bytes: Uint8Array;
  readonly gameId: string;
}

function messages(): Message[] {
  const games = [...syntheticSeason({ seed: 4, games: GAMES, startTimeMs: 1_700_000_000_000 })];
  return games.flatMap(({ info, plays }) => {
    const frames: Message[] = [];
    for (let from = 0; from < plays.length; from += PLAYS_A_FRAME) {
      const frame = create(PlayFrameSchema, {
        plays: plays.slice(from, from + PLAYS_A_FRAME),
        ...(from === 0 && { gameInfo: info }),
      });
      frames.push({ bytes: toBinary(PlayFrameSchema, frame), gameId: info.gameId });
    }
    return frames;
  });
}

/** Plays a second of CPU time, which a busy machine does not lengthen. */
async function run(
  from: readonly Message[],
  telemetry: { readonly tracing: Tracing; readonly metrics: Metrics } | undefined,
): Promise<number> {
  const { tracing = noTracing, metrics = noMetrics } = telemetry ?? {};
  const stages = new Stages({ clock: systemClock, tracing, metrics, log: silentLog });
  let plays = 0;
  const source = function* (): Generator<SourceRecord<FrameInput>> {
    for (const [i, { bytes, gameId }] of from.entries()) {
      const nowMs = Date.now();
      const arrival = { storedMs: nowMs, receivedMs: nowMs };
      const traced = telemetry !== undefined && i % TRACE_EVERY === 0;
      yield {
        value: decodeFrame(bytes, "plays.0.x", telemetry === undefined ? undefined : arrival),
        keyGroup: keyGroupOf(gameId),
        sequence: i + 1,
        traceparent: traced ? tracing.start("play").traceparent : "",
      };
    }
  };
  const graph = insightGraph({
    predictor: {
      predictBatch: (requests) =>
        Promise.resolve(requests.map(() => create(PredictionSchema, { homeWinProb: 0.5 }))),
    },
    clock: systemClock,
    log: silentLog,
    ...(telemetry !== undefined && { onLeave: (record) => stages.leave(record) }),
    insights: immediate(),
    records: transactional((record) => {
      plays += record.body.case === "play" ? 1 : 0;
      insightRows(record, (_, row) => void JSON.stringify(row));
    }),
    deadLetters: transactional(() => undefined),
  });
  const start = process.cpuUsage();
  await new Task<FrameInput>({
    graph,
    source: new MemorySource(source()),
    store: new MemoryStore(),
    clock: systemClock,
    tracing,
    log: silentLog,
    checkpointIntervalMs: 1_000,
  }).run(new AbortController().signal);
  const { user, system } = process.cpuUsage(start);
  return plays / ((user + system) / 1e6);
}

/** Encodes, as the one to the broker does, and forgets. */
function immediate(): ImmediateSink<Insight> {
  return {
    mode: "immediate",
    uid: "insights",
    open: () => Promise.resolve(),
    write: (insight, position) => void encodeInsight(insight, position, 1),
    blocked: () => undefined,
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

let sinks = 0;
function transactional<T>(write: (value: T) => void): TransactionalSink<T> {
  sinks += 1;
  return {
    mode: "transactional",
    uid: `rows-${String(sinks)}`,
    open: () => Promise.resolve(),
    write,
    full: () => false,
    seal: () => [],
    commit: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "7" }, json: { type: "boolean", default: false } },
});
const all = messages();
const plays = all.reduce(
  (sum, { bytes }) => sum + fromBinary(PlayFrameSchema, bytes).plays.length,
  0,
);
const metrics = await createMetrics({ service: "bench", prometheusPort: 0 });
const clickhouse = {
  insert: () => Promise.resolve({ query_id: "", executed: true, response_headers: {} }),
};
const tracing = await createTracing({ service: "bench", clickhouse, log: silentLog, metrics });
await run(all, undefined);
await run(all, { tracing, metrics });
const ratios: number[] = [];
const rates: { off: number; on: number }[] = [];
for (let round = 0; round < Number(values.rounds); round += 1) {
  // In turns, and each first as often as second, so that a busy machine slows both.
  const first = round % 2 === 0;
  const a = await run(all, first ? undefined : { tracing, metrics });
  const b = await run(all, first ? { tracing, metrics } : undefined);
  const [off, on] = first ? [a, b] : [b, a];
  rates.push({ off: Math.round(off), on: Math.round(on) });
  ratios.push(on / off);
}
await tracing.shutdown();
await metrics.shutdown();
const ratio = ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)] ?? 0;
const result = {
  plays,
  rates,
  ratio: Math.round(ratio * 1000) / 1000,
  cost: Math.round((1 - ratio) * 1000) / 1000,
};
process.stdout.write(
  values.json
    ? `${JSON.stringify(result)}\n`
    : `${String(plays)} plays, with telemetry at ${(100 * ratio).toFixed(1)} % of the rate without (median of ${String(ratios.length)})\n`,
);
