import { HttpError } from "../http.ts";
import { type StoreReader } from "../store.ts";
import { type WireSpan } from "../wire.ts";
import { type TraceLine, type TracesView } from "../wire-views.ts";

/** Traces of one answer. */
const MAX_TRACES = 100;
/** Spans of one trace: a play makes about twenty, a window firing links to at most 128. */
const MAX_SPANS = 1_000;

export interface TraceSearch {
  readonly service: string;
  /** Part of a span's name. */
  readonly name: string;
  readonly minMs: number;
  readonly game: string;
}

const SEARCH = `
SELECT t.TraceId AS traceId, toUnixTimestamp64Milli(min(t.Timestamp)) AS startMs,
  (max(toUnixTimestamp64Nano(t.Timestamp) + toInt64(t.Duration)) - min(toUnixTimestamp64Nano(t.Timestamp))) / 1e6 AS durationMs,
  count() AS spans, argMin(t.SpanName, t.Timestamp) AS root, groupUniqArray(16)(t.ServiceName) AS services,
  toBool(countIf(t.StatusCode = 'Error') > 0) AS failed,
  any(p.game_id) AS gameId, any(p.play_number) AS playNumber
FROM courtside.otel_traces AS t
LEFT ANY JOIN (SELECT trace_id, game_id, play_number FROM courtside.predictions WHERE trace_id != '') AS p ON p.trace_id = t.TraceId
WHERE ({game:String} = '' OR p.game_id = {game:String})
GROUP BY t.TraceId
HAVING ({service:String} = '' OR countIf(t.ServiceName = {service:String}) > 0)
  AND ({name:String} = '' OR countIf(positionCaseInsensitive(t.SpanName, {name:String}) > 0) > 0)
  AND durationMs >= {minMs:Float64}
ORDER BY startMs DESC LIMIT ${String(MAX_TRACES)}`;

const SERVICES =
  "SELECT DISTINCT ServiceName AS name FROM courtside.otel_traces ORDER BY name LIMIT 32";

/** Latest traces that fit, newest first. */
export async function tracesView(store: StoreReader, search: TraceSearch): Promise<TracesView> {
  const [traces, services] = await Promise.all([
    store.rows<TraceLine>(SEARCH, { ...search }),
    store.rows<{ name: string }>(SERVICES),
  ]);
  return { traces, services: services.map(({ name }) => name) };
}

const TRACE = `
SELECT TraceId AS traceId, SpanId AS spanId, ParentSpanId AS parentSpanId, SpanName AS name, ServiceName AS service, SpanKind AS kind,
  intDiv(toUnixTimestamp64Nano(Timestamp), 1000) AS startUs, Duration / 1000 AS durationUs, StatusCode AS status,
  SpanAttributes AS attributes
FROM courtside.otel_traces
WHERE TraceId = {id:String}
ORDER BY Timestamp LIMIT ${String(MAX_SPANS)}`;

/** Spans of one trace in the order of their start. @throws HttpError 400 for what is no trace id */
export async function traceView(store: StoreReader, traceId: string): Promise<WireSpan[]> {
  if (!/^[0-9a-f]{32}$/u.test(traceId)) {
    throw new HttpError(400, "BAD_TRACE_ID", "a trace id has 32 hexadecimal digits");
  }
  return store.rows<WireSpan>(TRACE, { id: traceId });
}
