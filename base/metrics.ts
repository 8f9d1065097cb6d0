/** The little of metrics that the code needs; the OpenTelemetry adapter fits behind it. */
export type MetricLabels = Readonly<Record<string, string>>;

export interface Counter {
  add(value: number, labels?: MetricLabels): void;
}

export interface Histogram {
  record(value: number, labels?: MetricLabels): void;
}

export interface Metrics {
  /** @param unit - UCUM, for example `{play}`. */
  counter(name: string, unit: string, description: string): Counter;
  /** @param unit - UCUM, for example `ms`. */
  histogram(name: string, unit: string, description: string): Histogram;
  /** `read` is called at every collection. */
  gauge(name: string, unit: string, description: string, read: () => number): void;
  shutdown(): Promise<void>;
}

/** Counts nothing; for tests. */
export const noMetrics: Metrics = {
  counter: () => ({ add() {} }),
  histogram: () => ({ record() {} }),
  gauge() {},
  shutdown: () => Promise.resolve(),
};
