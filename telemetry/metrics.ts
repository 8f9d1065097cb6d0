import { CourtsideError } from "../base/errors.ts";
import { type Metrics, noMetrics } from "../base/metrics.ts";

export interface MetricsOptions {
  /** Name of the process, for example `insight`. */
  readonly service: string;
  /** Port on 127.0.0.1 that serves `/metrics`, 0 for any free one; undefined serves and counts nothing. */
  readonly prometheusPort: number | undefined;
}

/** Metrics and where they are served. */
export interface ServedMetrics extends Metrics {
  /** Undefined when nothing is served. */
  readonly port: number | undefined;
}

/** The metrics port belongs to somebody else. */
export class MetricsPortInUseError extends CourtsideError {
  override readonly code = "METRICS_PORT_IN_USE";
  override readonly retryable = true;

  constructor(port: number, options?: ErrorOptions) {
    super(
      `port ${port} of 127.0.0.1 is in use; stop who listens there, or choose another with ` +
        "--prometheus-port (0 takes any free one)",
      options,
    );
  }
}

/**
 * Metrics on the OpenTelemetry SDK, served in Prometheus' text format at `/metrics`. Histograms whose unit is
 * `ms` have latency buckets from 0.5 to 30,000.
 *
 * @throws MetricsPortInUseError
 */
export async function createMetrics(options: MetricsOptions): Promise<ServedMetrics> {
  const { service, prometheusPort } = options;
  if (prometheusPort === undefined) return { ...noMetrics, port: undefined };
  // Loading the SDK takes 80 to 180 ms, which only processes that serve metrics should pay.
  const { createOtelMetrics } = await import("./otel-metrics.ts");
  return createOtelMetrics(service, prometheusPort);
}
