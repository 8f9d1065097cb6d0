/** The little of tracing that the code needs; the OpenTelemetry adapter fits behind it. */
export type SpanKind = "internal" | "producer" | "consumer" | "client" | "server";
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanOptions {
  readonly kind?: SpanKind;
  /** W3C `traceparent` of the parent; a span without one starts a trace. */
  readonly parent?: string;
  /** Epoch milliseconds, fractions allowed; default now. */
  readonly startTimeMs?: number;
  readonly attributes?: SpanAttributes;
  /** `traceparent`s of spans that led to this one without being its parent, for example of a window's plays. */
  readonly links?: readonly string[];
}

export interface Span {
  /** To put into a message header or gRPC metadata. */
  readonly traceparent: string;
  /** 32 hex digits. */
  readonly traceId: string;
  setAttributes(attributes: SpanAttributes): void;
  /** Marks the span as failed; it still has to be ended. */
  fail(error: unknown): void;
  /** @param endTimeMs - epoch milliseconds, fractions allowed; default now. */
  end(endTimeMs?: number): void;
}

/**
 * Sampling is decided once, where a play enters: whoever publishes it starts a root span and sends its
 * `traceparent`, or does neither. Everybody behind starts spans only for messages that carry one.
 */
export interface Tracing {
  start(name: string, options?: SpanOptions): Span;
  /** Sends what is buffered and stops. */
  shutdown(): Promise<void>;
}

const NO_SPAN: Span = { traceparent: "", traceId: "", setAttributes() {}, fail() {}, end() {} };

/** Traces nothing; for tests and for processes without a trace store. */
export const noTracing: Tracing = { start: () => NO_SPAN, shutdown: () => Promise.resolve() };
