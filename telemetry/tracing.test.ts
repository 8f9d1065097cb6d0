import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createLog, silentLog } from "../base/log.ts";
import { type Metrics, noMetrics } from "../base/metrics.ts";
import { noTracing } from "../base/tracing.ts";
import { openClickHouse } from "../data/clickhouse/client.ts";
import { migrate } from "../data/clickhouse/migrate.ts";
import { type ClickHouseChild, startClickHouse } from "../local/clickhouse/child.ts";
import { MAX_PENDING_SPANS } from "./otel-tracing.ts";
import { createTracing } from "./tracing.ts";

// Processes and disks of a busy machine take their time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let folder: string;
let server: ClickHouseChild;
let client: ClickHouseClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-tracing-"));
  server = await startClickHouse(folder);
  client = await openClickHouse(server.url);
  await migrate(client);
});

afterAll(async () => {
  await client.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

async function rowsOf(query: string): Promise<Record<string, unknown>[]> {
  return (await client.query({ query, format: "JSONEachRow" })).json<Record<string, unknown>>();
}

/** Sums of counters by name. */
function countingMetrics(): { metrics: Metrics; sums: Map<string, number> } {
  const sums = new Map<string, number>();
  const counter = (name: string) => ({
    add: (value: number) => void sums.set(name, (sums.get(name) ?? 0) + value),
  });
  return { metrics: { ...noMetrics, counter }, sums };
}

test("a trace is one row a span, with parents, times, attributes, failure and links as they were", async () => {
  // Recent: the table drops what is older than its time to live as it comes in.
  const startMs = Math.floor(Date.now() / 1000) * 1000 - 60_000;
  const publisher = await createTracing({ service: "replay", clickhouse: client, log: silentLog });
  const job = await createTracing({ service: "insight", clickhouse: client, log: silentLog });
  const root = publisher.start("publish", {
    kind: "producer",
    attributes: { "game.id": "0022300001", plays: 2 },
  });
  const other = publisher.start("publish");
  const child = job.start("predict", {
    kind: "client",
    parent: root.traceparent,
    startTimeMs: startMs + 0.25,
    links: [other.traceparent, "nonsense"],
  });
  child.fail(new RangeError("too slow"));
  child.end(startMs + 12.5);
  other.end();
  root.end();
  await Promise.all([publisher.shutdown(), job.shutdown()]);

  expect(child.traceId).toBe(root.traceId);
  const [row] = await rowsOf(`SELECT * FROM otel_traces WHERE ServiceName = 'insight'`);
  expect(row).toMatchObject({
    Timestamp: `${new Date(startMs).toISOString().slice(0, 19).replace("T", " ")}.000250000`,
    TraceId: root.traceId,
    ParentSpanId: root.traceparent.split("-")[2],
    SpanName: "predict",
    SpanKind: "Client",
    Duration: 12_250_000,
    StatusCode: "Error",
    StatusMessage: "too slow",
    "Events.Name": ["exception"],
    "Links.TraceId": [other.traceId],
  });
  expect(row?.["ResourceAttributes"]).toMatchObject({
    "service.name": "insight",
    "service.namespace": "courtside",
  });
  const [first] = await rowsOf(`SELECT SpanKind, SpanAttributes, StatusCode FROM otel_traces
    WHERE TraceId = '${root.traceId}' AND ParentSpanId = ''`);
  expect(first).toEqual({
    SpanKind: "Producer",
    SpanAttributes: { "game.id": "0022300001", plays: "2" },
    StatusCode: "Unset",
  });
  const [times] = await rowsOf(
    `SELECT count() AS n FROM otel_traces_trace_id_ts WHERE TraceId = '${root.traceId}' AND Start <= End`,
  );
  expect(Number(times?.["n"])).toBeGreaterThan(0);
});

test("a parent that was not sampled gives spans that are passed on and not written", async () => {
  const tracing = await createTracing({ service: "unsampled", clickhouse: client, log: silentLog });
  const parent = `00-${"a".repeat(32)}-${"b".repeat(16)}-00`;
  const span = tracing.start("quiet", { parent });
  span.end();
  await tracing.shutdown();
  expect(span.traceparent).toMatch(/^00-a{32}-[\da-f]{16}-00$/);
  expect(await rowsOf("SELECT 1 FROM otel_traces WHERE ServiceName = 'unsampled'")).toEqual([]);
});

test("a store that fails costs spans, which are counted, and one line in the log", async () => {
  const lines: string[] = [];
  const { metrics, sums } = countingMetrics();
  const clickhouse = { insert: () => Promise.reject(new Error("store is away")) };
  const log = createLog("test", "info", (line) => lines.push(line));
  const tracing = await createTracing({ service: "lost", clickhouse, log, metrics });
  for (let index = 0; index < 5_000; index += 1) tracing.start("lost").end();
  await tracing.shutdown();
  expect(sums.get("courtside.spans.dropped")).toBe(5_000);
  expect(sums.has("courtside.spans.exported")).toBe(false);
  expect(lines.filter((line) => line.includes("tracing.spans_dropped"))).toHaveLength(1);
  expect(lines[0]).toContain("store is away");
});

test("a store that never answers holds a bounded number of spans", async () => {
  const { metrics, sums } = countingMetrics();
  const clickhouse = { insert: () => new Promise<never>(() => {}) };
  const tracing = await createTracing({ service: "stuck", clickhouse, log: silentLog, metrics });
  for (let index = 0; index < MAX_PENDING_SPANS + 100; index += 1) tracing.start("stuck").end();
  expect(sums.get("courtside.spans.dropped")).toBe(100);
  const startedMs = performance.now();
  await tracing.shutdown();
  expect(performance.now() - startedMs).toBeLessThan(7_000);
});

test("without a store nothing is traced", async () => {
  expect(await createTracing({ service: "none", clickhouse: undefined, log: silentLog })).toBe(
    noTracing,
  );
});
