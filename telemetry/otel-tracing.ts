import {
  type HrTime,
  ROOT_CONTEXT,
  type Span as OtelSpan,
  SpanKind as OtelSpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { preciseMs, systemClock } from "../base/clock.ts";
import { errorText } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Span, SpanKind, SpanOptions, Tracing } from "../base/tracing.ts";
import {
  ClickHouseSpanExporter,
  type ExportListener,
  type SpanStore,
} from "./clickhouse-span-exporter.ts";
import { formatTraceParent, parseTraceParent } from "./traceparent.ts";

/** Spans that wait or are being written; about 1 KB each. Beyond it spans are dropped. */
export const MAX_PENDING_SPANS = 32_768;
/** Spans of one insert. */
const BATCH_SPANS = 2_048;
/** Longest time that a span waits for its batch: a trace can be looked at within seconds. */
const BATCH_DELAY_MS = 1_000;
const EXPORT_TIMEOUT_MS = 10_000;
/** Spans are not worth more of a shutdown. */
const SHUTDOWN_TIMEOUT_MS = 5_000;
/** Links of one span: a window's plays. */
const MAX_LINKS = 128;

interface OtelTracingOptions {
  readonly service: string;
  /** Where spans go; with a collector it gets none. */
  readonly store: SpanStore | undefined;
  /** Address of a collector, `http://host:4318`; spans go there by OTLP. */
  readonly otlpEndpoint: string | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** See `createTracing`. */
export async function createOtelTracing(options: OtelTracingOptions): Promise<Tracing> {
  const { service, log, metrics } = options;
  const processor = new BoundedProcessor(await exporterFor(options), log, metrics);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": service, "service.namespace": "courtside" }),
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    spanLimits: { linkCountLimit: MAX_LINKS },
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer("courtside");
  return {
    start: (name, options = {}) => new SpanAdapter(startSpan(tracer, name, options)),
    shutdown: async () => {
      try {
        await withTimeout(provider.shutdown(), SHUTDOWN_TIMEOUT_MS);
      } catch (error) {
        log.warn("tracing.last_spans_lost", { error: errorText(error) });
      }
    },
  };
}

/** Makes the exporter that tells `listener` of every batch. */
type MakeExporter = (listener: ExportListener) => SpanExporter;

async function exporterFor({ store, otlpEndpoint }: OtelTracingOptions): Promise<MakeExporter> {
  if (otlpEndpoint !== undefined) {
    const { otlpExporter } = await import("./otlp-exporter.ts");
    return (listener) => otlpExporter(otlpEndpoint, listener);
  }
  if (store === undefined) throw new TypeError("spans need a store or a collector");
  return (listener) => new ClickHouseSpanExporter(store, listener);
}

/** Counts what waits and what is being written, so that memory is bounded when the store is slow. */
class BoundedProcessor implements SpanProcessor {
  readonly #batches: BatchSpanProcessor;
  readonly #log: Log;
  readonly #dropped;
  #pending = 0;
  #failing = false;

  constructor(makeExporter: MakeExporter, log: Log, metrics: Metrics) {
    this.#log = log;
    this.#dropped = metrics.counter(
      "courtside.spans.dropped",
      "{span}",
      "Spans that never came to the store",
    );
    const exported = metrics.counter(
      "courtside.spans.exported",
      "{span}",
      "Spans written to the store",
    );
    const exporter = makeExporter((spans, error) => {
      this.#pending -= spans;
      if (error === undefined) exported.add(spans);
      else this.#dropped.add(spans);
      this.#report(error);
    });
    this.#batches = new BatchSpanProcessor({
      exporter,
      maxQueueSize: MAX_PENDING_SPANS,
      maxExportBatchSize: BATCH_SPANS,
      scheduledDelayMillis: BATCH_DELAY_MS,
      exportTimeoutMillis: EXPORT_TIMEOUT_MS,
    });
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (this.#pending >= MAX_PENDING_SPANS) {
      this.#dropped.add(1);
      this.#report(new Error(`${MAX_PENDING_SPANS} spans are waiting for the store already`));
      return;
    }
    this.#pending += 1;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }

  /** One line when spans begin to be lost and one when they arrive again. */
  #report(error: Error | undefined): void {
    const failing = error !== undefined;
    if (failing === this.#failing) return;
    this.#failing = failing;
    if (failing) this.#log.warn("tracing.spans_dropped", { error: errorText(error) });
    else this.#log.info("tracing.spans_arrive_again");
  }
}

const KINDS: Readonly<Record<SpanKind, OtelSpanKind>> = {
  internal: OtelSpanKind.INTERNAL,
  producer: OtelSpanKind.PRODUCER,
  consumer: OtelSpanKind.CONSUMER,
  client: OtelSpanKind.CLIENT,
  server: OtelSpanKind.SERVER,
};

function startSpan(tracer: Tracer, name: string, options: SpanOptions): OtelSpan {
  const parent = options.parent === undefined ? undefined : spanContextOf(options.parent);
  const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
  const links = (options.links ?? []).slice(0, MAX_LINKS).flatMap((link) => {
    const linked = spanContextOf(link);
    return linked === undefined ? [] : [{ context: linked }];
  });
  const startTime = hrTimeOf(options.startTimeMs ?? nowMs());
  const kind = KINDS[options.kind ?? "internal"];
  return tracer.startSpan(
    name,
    { kind, startTime, links, attributes: { ...options.attributes } },
    context,
  );
}

function spanContextOf(traceparent: string): ReturnType<OtelSpan["spanContext"]> | undefined {
  const parsed = parseTraceParent(traceparent);
  if (parsed === undefined) return undefined;
  const { traceId, spanId, sampled } = parsed;
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return { traceId, spanId, traceFlags, isRemote: true };
}

class SpanAdapter implements Span {
  readonly traceparent: string;
  readonly traceId: string;
  readonly #span: OtelSpan;

  constructor(span: OtelSpan) {
    const { traceId, spanId, traceFlags } = span.spanContext();
    const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
    this.#span = span;
    this.traceId = traceId;
    this.traceparent = formatTraceParent({ traceId, spanId, sampled });
  }

  setAttributes(attributes: Parameters<Span["setAttributes"]>[0]): void {
    this.#span.setAttributes({ ...attributes });
  }

  fail(error: unknown): void {
    const message = errorText(error);
    const type = error instanceof Error ? error.name : typeof error;
    this.#span.addEvent(
      "exception",
      { "exception.type": type, "exception.message": message },
      hrTimeOf(nowMs()),
    );
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
  }

  end(endTimeMs: number = nowMs()): void {
    this.#span.end(hrTimeOf(endTimeMs));
  }
}

function nowMs(): number {
  return preciseMs(systemClock);
}

function hrTimeOf(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1000);
  return [seconds, Math.round((epochMs - seconds * 1000) * 1e6)];
}

async function withTimeout(work: Promise<void>, timeoutMs: number): Promise<void> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => timeout.reject(new Error(`not done within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    await Promise.race([work, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
