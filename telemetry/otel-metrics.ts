import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Meter } from "@opentelemetry/api";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { FastHistograms } from "./fast-histograms.ts";
import { type HealthChecks, MetricsPortInUseError, type ServedMetrics } from "./metrics.ts";

/** Milliseconds; a sixth to a half between neighbours, so that p99 can be read off to about a third. */
const LATENCY_BUCKETS_MS = [
  0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 1_500, 2_000,
  3_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000,
];

/** Bytes, from 256 to 256 MiB by four. */
const SIZE_BUCKETS_BYTES = Array.from({ length: 11 }, (_, i) => 256 * 4 ** i);
/** OpenTelemetry's own. */
const DEFAULT_BUCKETS = [
  0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000,
];
const BUCKETS: Readonly<Record<string, readonly number[]>> = {
  ms: LATENCY_BUCKETS_MS,
  By: SIZE_BUCKETS_BYTES,
};

/** See `createMetrics`. */
export async function createOtelMetrics(
  service: string,
  port: number | undefined,
  host: string,
): Promise<ServedMetrics> {
  const resource = resourceFromAttributes({
    "service.name": service,
    "service.namespace": "courtside",
  });
  const histograms = new FastHistograms(resource);
  const exporter = new PrometheusExporter({
    preventServerStart: true,
    withoutScopeInfo: true,
    metricProducers: [histograms],
  });
  const provider = new MeterProvider({ resource, readers: [exporter] });
  const meter = provider.getMeter("courtside");
  observeProcess(meter);
  let checks: HealthChecks = { notReady: () => "still starting" };
  const server = createServer((request, response) => {
    if (request.url === "/metrics") exporter.getMetricsRequestHandler(request, response);
    else if (request.url === "/healthz") answerProbe(response, checks.notLive?.());
    else if (request.url === "/readyz")
      answerProbe(response, checks.notLive?.() ?? checks.notReady?.());
    else response.writeHead(404).end("Here are /metrics, /healthz and /readyz.\n");
  });
  const listening = port === undefined ? undefined : await listen(server, port, host);
  return {
    port: listening,
    answerMetrics: (request, response) => exporter.getMetricsRequestHandler(request, response),
    reportHealth: (next) => {
      checks = next;
    },
    counter: (name, unit, description) => meter.createCounter(name, { unit, description }),
    histogram: (name, unit, description) =>
      histograms.create(name, unit, description, BUCKETS[unit] ?? DEFAULT_BUCKETS),
    gauge: (name, unit, description, read) => {
      meter
        .createObservableGauge(name, { unit, description })
        .addCallback((result) => result.observe(read()));
    },
    shutdown: async () => {
      server.closeAllConnections();
      if (listening !== undefined) await new Promise<void>((done) => server.close(() => done()));
      await provider.shutdown();
    },
  };
}

/** What every process tells of itself, by the names of the semantic conventions. */
function observeProcess(meter: Meter): void {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  meter
    .createObservableCounter("process.cpu.time", { unit: "s", description: "CPU time used" })
    .addCallback((result) => {
      const { user, system } = process.cpuUsage();
      result.observe(user / 1e6, { "cpu.mode": "user" });
      result.observe(system / 1e6, { "cpu.mode": "system" });
    });
  meter
    .createObservableGauge("process.memory.usage", { unit: "By", description: "Resident memory" })
    .addCallback((result) => result.observe(process.memoryUsage.rss()));
  meter
    .createObservableGauge("nodejs.eventloop.delay.p99", {
      unit: "s",
      description: "Lateness of the event loop since the last look, 99th percentile",
    })
    .addCallback((result) => {
      const p99 = delay.percentile(99);
      // Without a look there is nothing to tell.
      result.observe(Number.isFinite(p99) ? p99 / 1e9 : 0);
      delay.reset();
    });
}

/** @param problem - why the answer is no; undefined is yes. */
function answerProbe(response: ServerResponse, problem: string | undefined): void {
  response.writeHead(problem === undefined ? 200 : 503, { "content-type": "text/plain" });
  response.end(`${problem ?? "ok"}\n`);
}

async function listen(server: Server, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(
        error.code === "EADDRINUSE"
          ? new MetricsPortInUseError(host, port, { cause: error })
          : error,
      );
    });
    server.listen(port, host, resolve);
  });
  return (server.address() as AddressInfo).port;
}
