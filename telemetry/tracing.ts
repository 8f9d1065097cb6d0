import type { Log } from "../base/log.ts";
import { type Metrics, noMetrics } from "../base/metrics.ts";
import { noTracing, type Tracing } from "../base/tracing.ts";
import type { SpanStore } from "./clickhouse-span-exporter.ts";

export interface TracingOptions {
  /** Name of the process in traces, for example `insight`. */
  readonly service: string;
  /** Where spans go when no Collector is named; without either nothing is traced. */
  readonly clickhouse: SpanStore | undefined;
  /** Collector to send spans to; default `OTEL_EXPORTER_OTLP_ENDPOINT`, for example `http://collector:4318`. */
  readonly otlpEndpoint?: string | undefined;
  readonly log: Log;
  /** Counts spans that were exported and dropped. */
  readonly metrics?: Metrics;
}

/**
 * Tracing on the OpenTelemetry SDK, with spans in the table `otel_traces`: written there directly, or by a
 * Collector when one is named. A store that fails or is slow costs
 * spans, never plays: what does not fit is dropped and counted.
 */
export async function createTracing(options: TracingOptions): Promise<Tracing> {
  const { clickhouse, service, log, metrics = noMetrics } = options;
  const otlpEndpoint =
    options.otlpEndpoint ?? (process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] || undefined);
  if (clickhouse === undefined && otlpEndpoint === undefined) return noTracing;
  // Loading the SDK takes 60 to 120 ms, which only processes that trace should pay.
  const { createOtelTracing } = await import("./otel-tracing.ts");
  return createOtelTracing({ service, store: clickhouse, otlpEndpoint, log, metrics });
}
