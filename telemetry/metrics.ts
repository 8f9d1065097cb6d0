import { type IncomingMessage, type ServerResponse } from "node:http";
import { CourtsideError } from "../base/errors.ts";
import { type Metrics, noMetrics } from "../base/metrics.ts";

export interface MetricsOptions {
  /** Name of the process, for example `insight`. */
  readonly service: string;
  /** Port that serves `/metrics` and the probes, 0 for any free one; undefined serves and counts nothing. */
  readonly prometheusPort: number | undefined;
  /** Address to listen on, default 127.0.0.1; probes and scrapers of a cluster come from outside: 0.0.0.0. */
  readonly host?: string | undefined;
  /** Counts without a port of its own as well: another server of the process answers with `answerMetrics`. */
  readonly isServedElsewhere?: boolean;
}

/** What a process says of itself at `/healthz` and `/readyz`: undefined is well, a text is what is wrong. */
export interface HealthChecks {
  /** Why a restart would help. */
  readonly notLive?: () => string | undefined;
  /** Why no work should come here now; a process is not ready until it has said how to tell. */
  readonly notReady?: () => string | undefined;
}

/** Metrics and where they are served. */
export interface ServedMetrics extends Metrics {
  /** Undefined when nothing is served. */
  readonly port: number | undefined;
  /** Answers a request of another server with the metrics in Prometheus' text format. */
  readonly answerMetrics: (request: IncomingMessage, response: ServerResponse) => void;
  /** Replaces what the probes ask. */
  reportHealth(checks: HealthChecks): void;
}

/** The metrics port belongs to somebody else. */
export class MetricsPortInUseError extends CourtsideError {
  override readonly code = "METRICS_PORT_IN_USE";
  override readonly retryable = true;

  constructor(host: string, port: number, options?: ErrorOptions) {
    super(
      `port ${String(port)} of ${host} is in use; stop who listens there, or choose another with ` +
        "--prometheus-port (0 takes any free one)",
      options,
    );
  }
}

/**
 * Metrics on the OpenTelemetry SDK, served in Prometheus' text format at `/metrics`, and the probes `/healthz`
 * (live) and `/readyz` (live and ready) beside them. Histograms whose unit is `ms` have latency buckets from 0.5 to
 * 30,000.
 *
 * @throws MetricsPortInUseError
 */
export async function createMetrics(options: MetricsOptions): Promise<ServedMetrics> {
  const { service, prometheusPort, host = "127.0.0.1", isServedElsewhere = false } = options;
  if (prometheusPort === undefined && !isServedElsewhere) {
    return {
      ...noMetrics,
      port: undefined,
      reportHealth: () => undefined,
      answerMetrics: (_request, response) => void response.writeHead(404).end(),
    };
  }
  // Loading the SDK takes 80 to 180 ms, which only processes that serve metrics should pay.
  const { createOtelMetrics } = await import("./otel-metrics.ts");
  return createOtelMetrics(service, prometheusPort, host);
}
