import type { HrTime } from "@opentelemetry/api";
import { type Resource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  type HistogramMetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import { ValueType } from "@opentelemetry/api";
import type { Histogram, MetricLabels } from "../base/metrics.ts";

/** Label sets of one histogram; what comes beyond goes to one set of its own, as OpenTelemetry has it. */
const MAX_SERIES = 200;
const OVERFLOW: MetricLabels = { "otel.metric.overflow": "true" };
const NO_LABELS: MetricLabels = {};

interface Series {
  readonly labels: MetricLabels;
  readonly counts: Float64Array;
  sum: number;
  count: number;
  min: number;
  max: number;
}

/**
 * Histograms that take about 50 ns a value, where the SDK's take 0.8 µs: every play records a dozen. They are
 * collected beside the SDK's own metrics, so exporters see no difference.
 */
export class FastHistograms implements MetricProducer {
  readonly #resource: Resource;
  readonly #startTime: HrTime = hrNow();
  readonly #histograms = new Map<string, FastHistogram>();

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  /** The same name gives the same histogram. */
  create(name: string, unit: string, description: string, bounds: readonly number[]): Histogram {
    const known = this.#histograms.get(name);
    if (known !== undefined) return known;
    const created = new FastHistogram({ name, unit, description }, bounds);
    this.#histograms.set(name, created);
    return created;
  }

  collect(): Promise<CollectionResult> {
    const endTime = hrNow();
    const metrics = [...this.#histograms.values()].map((each) =>
      each.read(this.#startTime, endTime),
    );
    return Promise.resolve({
      resourceMetrics: {
        resource: this.#resource,
        scopeMetrics: [{ scope: { name: "courtside" }, metrics }],
      },
      errors: [],
    });
  }
}

class FastHistogram implements Histogram {
  readonly #names: { readonly name: string; readonly unit: string; readonly description: string };
  readonly #bounds: readonly number[];
  /** Callers keep their label objects, so most look-ups end here. */
  readonly #byObject = new WeakMap<MetricLabels, Series>();
  readonly #byText = new Map<string, Series>();

  constructor(
    names: { readonly name: string; readonly unit: string; readonly description: string },
    bounds: readonly number[],
  ) {
    this.#names = names;
    this.#bounds = bounds;
  }

  record(value: number, labels: MetricLabels = NO_LABELS): void {
    const series = this.#byObject.get(labels) ?? this.#seriesOf(labels);
    const bucket = this.#bucketOf(value);
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.count += 1;
    series.sum += value;
    if (value < series.min) series.min = value;
    if (value > series.max) series.max = value;
  }

  read(startTime: HrTime, endTime: HrTime): HistogramMetricData {
    return {
      descriptor: { ...this.#names, valueType: ValueType.DOUBLE },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: [...this.#byText.values()].map(({ labels, counts, sum, count, min, max }) => ({
        startTime,
        endTime,
        attributes: { ...labels },
        value: {
          buckets: { boundaries: [...this.#bounds], counts: [...counts] },
          sum,
          count,
          min,
          max,
        },
      })),
    };
  }

  /** First bucket whose bound is not below the value. */
  #bucketOf(value: number): number {
    let low = 0;
    let high = this.#bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#bounds[middle] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #seriesOf(labels: MetricLabels): Series {
    const text = JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    let series = this.#byText.get(text);
    if (series === undefined && this.#byText.size >= MAX_SERIES && labels !== OVERFLOW)
      series = this.#seriesOf(OVERFLOW);
    if (series === undefined) {
      const counts = new Float64Array(this.#bounds.length + 1);
      const [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      series = { labels, counts, sum: 0, count: 0, min, max };
      this.#byText.set(text, series);
    }
    this.#byObject.set(labels, series);
    return series;
  }
}

function hrNow(): HrTime {
  const nowMs = Date.now();
  return [Math.floor(nowMs / 1000), (nowMs % 1000) * 1e6];
}
