import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { type ClickHouseChild, startClickHouse } from "../../local/clickhouse/child.ts";
import { layoutOf } from "../../local/data-dir.ts";
import { Courtside, NBA, nbaMissing } from "../support/courtside.ts";

/** Twenty games are replayed once, recorded ones where they are at hand; the tests look at what was traced. */

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let folder: string;
let server: ClickHouseChild;
let client: ClickHouseClient;

const SOURCE =
  nbaMissing === undefined
    ? ["--source", join(NBA, "pbp/v3_2023-24_regular.csv.gz")]
    : ["--source", "synthetic", "--seed", "8"];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-traces-"));
  const up = new Courtside([
    "up",
    "--games",
    "20",
    "--port-base",
    "0",
    "--until-done",
    "--json",
    "--trace-rate",
    "0.2",
    // Fast, and yet a message for each play, as when they come live.
    "--speed",
    "1500",
    "--data",
    join(folder, "run"),
    ...SOURCE,
  ]);
  const { code, stderr } = await up.finished;
  if (code !== 0) throw new Error(stderr);
  server = await startClickHouse(layoutOf(join(folder, "run")).clickhouse);
  client = await openClickHouse(server.url);
});

afterAll(async () => {
  await client?.close();
  await server?.stop();
  await rm(folder, { recursive: true });
});

interface SpanRow {
  readonly trace: string;
  readonly span: string;
  readonly parent: string;
  readonly name: string;
  readonly service: string;
  readonly start: number;
  readonly end: number;
  readonly plays: number;
}

async function rows<T>(query: string): Promise<T[]> {
  return (await client.query({ query, format: "JSONEachRow" })).json<T>();
}

/** Spans by trace, of the plays that were sampled; times are milliseconds since the trace's own second. */
async function sampledTraces(): Promise<Map<string, SpanRow[]>> {
  const spans = await rows<SpanRow>(`
    WITH toUnixTimestamp64Nano(Timestamp) AS ns
    SELECT TraceId AS trace, SpanId AS span, ParentSpanId AS parent, SpanName AS name, ServiceName AS service,
      toFloat64(ns - toInt64(1000000000) * (SELECT toInt64(min(toUnixTimestamp(Timestamp))) FROM otel_traces)) / 1e6 AS start,
      start + Duration / 1e6 AS end,
      toUInt32OrZero(SpanAttributes['courtside.plays']) AS plays
    FROM otel_traces
    WHERE TraceId IN (SELECT TraceId FROM otel_traces WHERE SpanName = 'play' AND ServiceName = 'replay')
    ORDER BY TraceId, start, end`);
  return Map.groupBy(spans, ({ trace }) => trace);
}

const TO_PREDICTION = [
  "feed.queue",
  "broker.publish",
  "broker.deliver",
  "task.queue",
  "task.process",
  "predict.queue",
  "predict",
  "predict.order",
];
const TO_PAGE = [...TO_PREDICTION, "insight.deliver", "page.push"];
const TO_ROW = [...TO_PREDICTION, "row.wait", "checkpoint.commit", "clickhouse.insert"];

/** What no stage accounts for on a way, and how far the sum of its stages is from its whole. */
function account(
  spans: readonly SpanRow[],
  way: readonly string[],
): { gap: number; error: number } {
  let [gap, sum] = [0, 0];
  // The model server has a span called predict as well, within the stage.
  const stages = way.map((name) =>
    spans.find((span) => span.name === name && span.service !== "serve"),
  );
  for (const [i, stage] of stages.entries()) {
    if (stage === undefined) return { gap: Number.POSITIVE_INFINITY, error: 0 };
    sum += stage.end - stage.start;
    const before = stages[i - 1];
    if (before !== undefined) gap = Math.max(gap, Math.abs(stage.start - before.end));
  }
  const whole = (stages.at(-1)?.end ?? 0) - (stages[0]?.start ?? 0);
  return { gap, error: Math.abs(whole - sum) };
}

test("every sampled play has one complete trace: no orphans, no gaps, stages that sum up to the whole", async () => {
  const traces = await sampledTraces();
  const [published] = await rows<{ traces: number }>(
    `SELECT toUInt32(uniqExact(trace_id)) AS traces FROM predictions WHERE trace_id IN
       (SELECT TraceId FROM otel_traces WHERE SpanName = 'play' AND ServiceName = 'replay')`,
  );
  expect(traces.size).toBeGreaterThan(1_000);
  expect(published?.traces).toBe(traces.size);
  const bad: string[] = [];
  for (const [trace, spans] of traces) {
    const ids = new Set(spans.map(({ span }) => span));
    const roots = spans.filter(({ parent }) => parent === "");
    const orphans = spans.filter(({ parent }) => parent !== "" && !ids.has(parent));
    if (roots.length !== 1 || orphans.length > 0)
      bad.push(
        `${trace}: ${roots.length} roots, orphans ${orphans.map(({ name }) => name).join()}`,
      );
    // A frame of a back-fill holds many plays; each goes all the way, the first is looked at.
    for (const [name, way] of [
      ["page", TO_PAGE],
      ["row", TO_ROW],
    ] as const) {
      const { gap, error } = account(spans, way);
      if (gap > 5 || error > 1)
        bad.push(`${trace} to ${name}: gap ${gap} ms, sum off by ${error} ms`);
    }
  }
  expect(bad.slice(0, 20)).toEqual([]);
});

test("latency by stage is a column of every prediction, and the stages sum up to the whole", async () => {
  const [sums] = await rows<{ plays: number; off: number; whole: number }>(`
    SELECT toUInt32(count()) AS plays, max(abs(broker_publish_ms + broker_deliver_ms + task_queue_ms + task_process_ms +
      predict_queue_ms + predict_ms + predict_order_ms - publish_to_prediction_ms)) AS off,
      max(publish_to_prediction_ms) AS whole FROM play_latency`);
  expect(sums?.plays).toBeGreaterThan(8_000);
  expect(sums?.off).toBeLessThan(1);
  expect(sums?.whole).toBeGreaterThan(0);
});

test("slow plays that were not sampled are traced all the same, a few a second, and say so", async () => {
  const kept = await rows<{ name: string; spans: number }>(`
    SELECT TraceId AS name, toUInt32(count()) AS spans FROM otel_traces
    WHERE TraceId IN (SELECT TraceId FROM otel_traces WHERE SpanAttributes['courtside.kept'] = 'slow') GROUP BY TraceId`);
  for (const { spans } of kept) expect(spans).toBeGreaterThanOrEqual(8);
});

test("windows that fired are linked to the sampled plays that fed them", async () => {
  const [fired] = await rows<{ windows: number; dangling: number }>(`
    SELECT toUInt32(uniqExact(SpanId)) AS windows,
      toUInt32(countIf(link NOT IN (SELECT TraceId FROM otel_traces WHERE SpanName = 'play'))) AS dangling
    FROM otel_traces ARRAY JOIN Links.TraceId AS link WHERE SpanName = 'window.fire'`);
  expect(fired?.windows).toBeGreaterThan(20);
  expect(fired?.dangling).toBe(0);
});

test("the queries of Grafana's ClickHouse plugin for its trace list, search and view are answered", async () => {
  const from = "toDateTime64(0, 3)";
  const to = "toDateTime64(4000000000, 3)";
  // Trace list: query type Traces, search, of the plugin's query builder with OpenTelemetry on.
  const list = await rows<{ traceID: string; operationName: string }>(`
    SELECT "TraceId" as traceID, "ServiceName" as serviceName, "SpanName" as operationName, "Timestamp" as startTime,
      multiply("Duration", 0.000001) as duration FROM "courtside"."otel_traces"
    WHERE ( Timestamp >= ${from} AND Timestamp <= ${to} ) AND ( ParentSpanId = '' ) AND ( Duration > 0 )
    ORDER BY Timestamp DESC, Duration DESC LIMIT 1000`);
  expect(list.length).toBeGreaterThan(50);
  const id = list.find(({ operationName }) => operationName === "play")?.traceID ?? "";
  // Trace view, by id: the companion table narrows the time range.
  const view = await rows<Record<string, unknown>>(`
    WITH '${id}' as trace_id,
      (SELECT min(Start) FROM "courtside"."otel_traces_trace_id_ts" WHERE TraceId = trace_id) as trace_start,
      (SELECT max(End) + 1 FROM "courtside"."otel_traces_trace_id_ts" WHERE TraceId = trace_id) as trace_end
    SELECT "TraceId" as traceID, "SpanId" as spanID, "ParentSpanId" as parentSpanID, "ServiceName" as serviceName,
      "SpanName" as operationName, multiply(toUnixTimestamp64Nano("Timestamp"), 0.000001) as startTime,
      multiply("Duration", 0.000001) as duration,
      arrayMap(key -> map('key', key, 'value', "SpanAttributes"[key]), mapKeys("SpanAttributes")) as tags,
      arrayMap(key -> map('key', key, 'value', "ResourceAttributes"[key]), mapKeys("ResourceAttributes")) as serviceTags,
      if("StatusCode" IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) as statusCode,
      arrayMap((name, timestamp, attributes) -> tuple(name, toString(toUnixTimestamp64Milli(timestamp)),
        arrayMap( key -> map('key', key, 'value', attributes[key]), mapKeys(attributes)))::Tuple(name String, timestamp String,
        fields Array(Map(String, String))), Events.Name, Events.Timestamp, Events.Attributes) AS logs,
      arrayMap((traceID, spanID, attributes) -> tuple(traceID, spanID, arrayMap(key -> map('key', key, 'value', attributes[key]),
        mapKeys(attributes)))::Tuple(traceID String, spanID String, tags Array(Map(String, String))), Links.TraceId, Links.SpanId,
        Links.Attributes) AS references,
      "SpanKind" as kind, "StatusMessage" as statusMessage, "TraceState" as traceState
    FROM "courtside"."otel_traces"
    WHERE traceID = trace_id AND "Timestamp" >= trace_start AND "Timestamp" <= trace_end LIMIT 1000`);
  expect(view.length).toBeGreaterThanOrEqual(8);
  expect(new Set(view.map((span) => span["traceID"]))).toEqual(new Set([id]));
  expect(view.filter((span) => span["parentSpanID"] === "")).toHaveLength(1);
  // Search by service, span and attribute; and the values that its drop-down lists offer.
  const services = await rows<{ ServiceName: string }>(
    `SELECT DISTINCT "ServiceName" FROM "courtside"."otel_traces" LIMIT 1000`,
  );
  expect(services.map(({ ServiceName }) => ServiceName).toSorted()).toEqual(
    expect.arrayContaining(["dashboard", "insight", "replay", "serve"]),
  );
  const keys = await rows<{ key: string }>(
    `SELECT DISTINCT arrayJoin(mapKeys("SpanAttributes")) AS key FROM "courtside"."otel_traces" LIMIT 1000`,
  );
  expect(keys.map(({ key }) => key)).toContain("courtside.game_id");
});

test("every game is scored once as it ends, as its predictions and its result have it", async () => {
  const scores = await rows<{ game: string; plays: number; brier: number; expected: number }>(`
    SELECT s.game_id AS game, toUInt32(s.plays) AS plays, s.brier_sum AS brier, e.brier AS expected
    FROM model_scores AS s
    JOIN (SELECT p.game_id AS game_id, count() AS plays, sum(pow(p.home_win_prob - (r.home_score > r.away_score), 2)) AS brier
      FROM predictions AS p JOIN game_results AS r ON r.game_id = p.game_id JOIN plays AS e ON e.game_id = p.game_id
        AND e.play_number = p.play_number WHERE NOT e.game_over GROUP BY p.game_id) AS e ON e.game_id = s.game_id
    WHERE s.slice_kind = 'all' AND s.role = 'served'`);
  expect(scores).toHaveLength(20);
  for (const { game, brier, expected, plays } of scores) {
    expect(plays, game).toBeGreaterThan(300);
    expect(brier, game).toBeCloseTo(expected, 6);
  }
  const [quality] = await rows<{
    games: number;
    brier: number;
    auc: number;
    calibration_error: number;
  }>(
    `SELECT toUInt32(games) AS games, brier, auc, calibration_error FROM model_quality WHERE slice_kind = 'all'`,
  );
  expect(quality?.games).toBe(20);
  expect(quality?.brier).toBeLessThan(0.3);
  expect(quality?.auc).toBeGreaterThan(0.5);
  expect(quality?.auc).toBeLessThanOrEqual(1);
  const [bins] = await rows<{ predictions: number }>(
    `SELECT toUInt32(sum(predictions)) AS predictions FROM model_reliability WHERE slice_kind = 'all'`,
  );
  expect(bins?.predictions).toBe(scores.reduce((sum, { plays }) => sum + plays, 0));
});
