import { type StoreReader } from "../store.ts";
import {
  type JobStand,
  type MetricSample,
  type MinuteLoad,
  type PipelineView,
  type ProducerStand,
  type StageLatency,
  type StreamStand,
} from "../wire-views.ts";

/** The last five minutes that have plays, so that a pause shows what was and not nothing. */
const RECENT =
  "ingest_time > (SELECT max(ingest_time) FROM courtside.predictions) - INTERVAL 5 MINUTE";
const QUANTILES = "quantiles(0.5, 0.95, 0.99)";

/** Columns of `play_latency` in the order of a play's way, and what the page calls them. */
const STAGES: readonly (readonly [column: string, name: string])[] = [
  ["broker_publish_ms", "broker stores"],
  ["broker_deliver_ms", "broker delivers"],
  ["task_queue_ms", "waits for the task"],
  ["task_process_ms", "state and features"],
  ["predict_queue_ms", "waits for the model"],
  ["predict_ms", "model"],
  ["predict_order_ms", "waits for its turn"],
  ["publish_to_prediction_ms", "publish to prediction"],
  ["publish_to_row_ms", "publish to visible row"],
];

const LATENCY = `
SELECT count() AS n, [${STAGES.map(([column]) => `${QUANTILES}(${column})`).join(", ")}] AS stages
FROM courtside.play_latency WHERE ${RECENT}`;

const SPANS = `
SELECT ServiceName AS service, SpanName AS stage, count() AS count,
  quantile(0.5)(Duration) / 1e6 AS p50, quantile(0.95)(Duration) / 1e6 AS p95, quantile(0.99)(Duration) / 1e6 AS p99
FROM courtside.otel_traces
WHERE Timestamp > (SELECT max(Timestamp) FROM courtside.otel_traces) - INTERVAL 5 MINUTE
GROUP BY service, stage ORDER BY p50 DESC LIMIT 40`;

const LOAD = `
SELECT toUnixTimestamp(toStartOfInterval(ingest_time, INTERVAL 10 SECOND)) * 1000 AS timeMs, count() AS plays,
  quantile(0.5)(publish_to_prediction_ms) AS p50, quantile(0.99)(publish_to_prediction_ms) AS p99
FROM courtside.play_latency
WHERE ingest_time > (SELECT max(ingest_time) FROM courtside.predictions) - INTERVAL 10 MINUTE
GROUP BY timeMs ORDER BY timeMs`;

const DEAD_LETTERS = `
SELECT reason, count() AS count FROM courtside.dead_letters GROUP BY reason ORDER BY count DESC LIMIT 20`;

export interface PipelineSources {
  readonly store: StoreReader | undefined;
  readonly streams: () => Promise<readonly StreamStand[] | undefined>;
  readonly producers: () => readonly ProducerStand[];
  /** Text of the job's Prometheus endpoint. */
  readonly metrics: (() => Promise<string>) | undefined;
  /** Workers, leases and checkpoints of the insight job. */
  readonly job: (() => Promise<JobStand>) | undefined;
}

/** Everything about the machine room at once; a part that does not answer is null, the others are there. */
export async function pipelineView(sources: PipelineSources): Promise<PipelineView> {
  const { store } = sources;
  const [streams, latency, spans, load, deadLetters, metrics, job] = await Promise.all([
    orNull(async () => sources.streams()),
    orNull(async () => (store === undefined ? undefined : latencyStages(store))),
    orNull(async () => store?.rows<StageLatency & { service: string }>(SPANS)),
    orNull(async () => store?.rows<MinuteLoad>(LOAD)),
    orNull(async () => store?.rows<{ reason: string; count: number }>(DEAD_LETTERS)),
    orNull(async () => sources.metrics?.().then(parseMetrics)),
    orNull(async () => sources.job?.()),
  ]);
  return {
    timeMs: Date.now(),
    streams,
    stages: latency,
    spans,
    load,
    deadLetters,
    metrics,
    producers: sources.producers(),
    job,
  };
}

async function latencyStages(store: StoreReader): Promise<StageLatency[]> {
  const [row] = await store.rows<{ n: number; stages: number[][] }>(LATENCY);
  if (row === undefined || row.n === 0) return [];
  return STAGES.map(([, stage], at) => {
    const [p50 = 0, p95 = 0, p99 = 0] = row.stages[at] ?? [];
    return { stage, count: row.n, p50, p95, p99 };
  });
}

async function orNull<T>(read: () => Promise<T | undefined>): Promise<T | null> {
  try {
    return (await read()) ?? null;
  } catch {
    return null;
  }
}

/** Samples that are kept of an endpoint; the job has about two hundred. */
const MAX_SAMPLES = 4_000;

/** Reads the text format of Prometheus, version 0.0.4. Lines that do not parse are left out. */
export function parseMetrics(text: string): MetricSample[] {
  const samples: MetricSample[] = [];
  for (const line of text.split("\n")) {
    const match = /^(?<name>[a-zA-Z_:][\w:]*)(?:\{(?<labels>.*)\})? (?<value>\S+)(?: \d+)?$/u.exec(
      line,
    )?.groups;
    if (match === undefined || samples.length >= MAX_SAMPLES) continue;
    const labels = Object.fromEntries(
      [...(match["labels"] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/gu)].map(
        ([, key = "", value = ""]) => [key, value.replaceAll(/\\(.)/gu, "$1")],
      ),
    );
    const value = Number(match["value"] === "+Inf" ? Infinity : match["value"]);
    if (!Number.isNaN(value)) samples.push({ name: match["name"] ?? "", labels, value });
  }
  return samples;
}
