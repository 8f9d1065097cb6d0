import type { Attributes, HrTime } from "@opentelemetry/api";
import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import type { ClickHouseClient } from "@clickhouse/client";

/** What the exporter needs of the client. */
export type SpanStore = Pick<ClickHouseClient, "insert">;

/** How a batch of spans fared. */
export type ExportListener = (spans: number, error: Error | undefined) => void;

/**
 * Writes spans to `otel_traces` in the Collector's schema. A batch that fails is dropped and reported to
 * `listener`; it is not sent again, so spans are written at most once.
 */
export class ClickHouseSpanExporter implements SpanExporter {
  readonly #store: SpanStore;
  readonly #listener: ExportListener;

  constructor(store: SpanStore, listener: ExportListener) {
    this.#store = store;
    this.#listener = listener;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    void this.#exportThen(spans, done);
  }

  async #exportThen(spans: ReadableSpan[], done: (result: ExportResult) => void): Promise<void> {
    done(await this.#send(spans));
  }

  async #send(spans: readonly ReadableSpan[]): Promise<ExportResult> {
    try {
      const values = spans.map((span) => rowOf(span));
      await this.#store.insert({ table: "otel_traces", values, format: "JSONEachRow" });
      this.#listener(spans.length, undefined);
      return { code: ExportResultCode.SUCCESS };
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      this.#listener(spans.length, error);
      return { code: ExportResultCode.FAILED, error };
    }
  }

  /** Nothing to do: the client belongs to whoever opened it. */
  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/** Names of `SpanKind` and `SpanStatusCode` as the Collector writes them. */
const KINDS = ["Internal", "Server", "Client", "Producer", "Consumer"] as const;
const STATUSES = ["Unset", "Ok", "Error"] as const;

/** One row of `otel_traces`. */
export function rowOf(span: ReadableSpan): Record<string, unknown> {
  const { traceId, spanId, traceState } = span.spanContext();
  const resource = textsOf(span.resource.attributes);
  return {
    Timestamp: timestampOf(span.startTime),
    TraceId: traceId,
    SpanId: spanId,
    ParentSpanId: span.parentSpanContext?.spanId ?? "",
    TraceState: traceState?.serialize() ?? "",
    SpanName: span.name,
    SpanKind: KINDS[span.kind],
    ServiceName: resource["service.name"] ?? "",
    ResourceAttributes: resource,
    ScopeName: span.instrumentationScope.name,
    ScopeVersion: span.instrumentationScope.version ?? "",
    SpanAttributes: textsOf(span.attributes),
    Duration: span.duration[0] * 1e9 + span.duration[1],
    StatusCode: STATUSES[span.status.code],
    StatusMessage: span.status.message ?? "",
    "Events.Timestamp": span.events.map((event) => timestampOf(event.time)),
    "Events.Name": span.events.map((event) => event.name),
    "Events.Attributes": span.events.map((event) => textsOf(event.attributes ?? {})),
    "Links.TraceId": span.links.map((link) => link.context.traceId),
    "Links.SpanId": span.links.map((link) => link.context.spanId),
    "Links.TraceState": span.links.map((link) => link.context.traceState?.serialize() ?? ""),
    "Links.Attributes": span.links.map((link) => textsOf(link.attributes ?? {})),
  };
}

/** Seconds with nine decimals: a number would lose the nanoseconds. */
function timestampOf([seconds, nanoseconds]: HrTime): string {
  return `${seconds}.${String(nanoseconds).padStart(9, "0")}`;
}

function textsOf(attributes: Attributes): Record<string, string> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      name,
      typeof value === "string" ? value : JSON.stringify(value ?? null),
    ]),
  );
}
