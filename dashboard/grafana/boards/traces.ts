import { type DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { checkpointFailures } from "../annotations.ts";
import {
  barChart,
  board,
  link,
  table,
  textBox,
  timeSeries,
  traceView,
  variable,
  WHOLE,
} from "../panels.ts";

/** Where the time goes: every stage, and single plays from feed to pixel. */
export function tracesBoard(): DashboardBuilder {
  return board({
    uid: "courtside-traces",
    title: "Courtside · Latency and traces",
    description: "Latency of every play, time by stage of the sampled ones, and their traces.",
    from: "now-1h",
    refresh: "10s",
    page: "#/traces",
  })
    .withVariable(
      variable(
        "service",
        "Service",
        "SELECT ServiceName FROM courtside.otel_traces GROUP BY ServiceName ORDER BY ServiceName LIMIT 50",
      ),
    )
    .withVariable(textBox("trace", "Trace id", ""))
    .annotation(checkpointFailures())
    .withPanel(
      timeSeries({
        title: "Publish to prediction, quantiles",
        description: "Every play.",
        unit: "ms",
        sql: `SELECT $__timeInterval_ms(ingest_time) AS time, quantile(0.5)(publish_to_prediction_ms) AS p50,
  quantile(0.95)(publish_to_prediction_ms) AS p95, quantile(0.99)(publish_to_prediction_ms) AS p99
FROM courtside.play_latency WHERE $__timeFilter_ms(ingest_time) GROUP BY time ORDER BY time`,
      }),
    )
    .withPanel(
      barChart({
        title: "Plays by latency",
        description: "Publish to prediction in powers of two, milliseconds.",
        sql: `SELECT concat('< ', toString(bound), ' ms') AS latency, count() AS plays FROM (
  SELECT toUInt32(pow(2, ceil(log2(greatest(1, publish_to_prediction_ms + 1))))) AS bound
  FROM courtside.play_latency WHERE $__timeFilter_ms(ingest_time)
) GROUP BY bound ORDER BY bound`,
      }),
    )
    .withPanel(
      table({
        title: "Time by stage",
        description: "Spans of the sampled plays, milliseconds.",
        sql: `SELECT ServiceName AS service, SpanName AS span, count() AS spans, quantile(0.5)(Duration) / 1e6 AS p50_ms,
  quantile(0.99)(Duration) / 1e6 AS p99_ms, countIf(StatusCode = 'Error') AS failed
FROM courtside.otel_traces WHERE $__timeFilter_ms(Timestamp) GROUP BY service, span ORDER BY p50_ms DESC LIMIT 100`,
      }),
    )
    .withPanel(
      timeSeries({
        title: "Spans of the chosen service, p99",
        description: "By name of the span, milliseconds.",
        unit: "ms",
        sql: `SELECT $__timeInterval_ms(Timestamp) AS time, SpanName AS span, quantile(0.99)(Duration) / 1e6 AS p99
FROM courtside.otel_traces WHERE ServiceName = '\${service}' AND $__timeFilter_ms(Timestamp)
GROUP BY time, span ORDER BY time`,
      }),
    )
    .withPanel(
      table({
        title: "Traces",
        description: "Newest first; a row shows its trace below, or the play on the page.",
        span: WHOLE,
        height: 9,
        sql: `SELECT t.TraceId AS trace_id, min(t.Timestamp) AS start,
  (max(toUnixTimestamp64Nano(t.Timestamp) + toInt64(t.Duration)) - min(toUnixTimestamp64Nano(t.Timestamp))) / 1e6 AS duration_ms,
  count() AS spans, argMin(t.SpanName, t.Timestamp) AS root, countIf(t.StatusCode = 'Error') AS failed,
  any(p.game_id) AS game_id, any(p.play_number) AS play
FROM courtside.otel_traces AS t
LEFT ANY JOIN (SELECT trace_id, game_id, play_number FROM courtside.predictions WHERE trace_id != '') AS p ON p.trace_id = t.TraceId
WHERE $__timeFilter_ms(t.Timestamp) GROUP BY t.TraceId ORDER BY start DESC LIMIT 200`,
      }).dataLinks([
        link(
          "Show below",
          "/d/courtside-traces?var-trace=${__data.fields.trace_id}&${__url_time_range}",
        ),
        link("Open on the page", "${page}/#/trace/${__data.fields.trace_id}"),
        link("Open the play", "${page}/#/game/${__data.fields.game_id}/play/${__data.fields.play}"),
      ]),
    )
    .withPanel(
      traceView({
        title: "Trace",
        description: "The trace of the text box above; without one the newest.",
        span: WHOLE,
        height: 14,
        sql: `SELECT TraceId AS traceID, SpanId AS spanID, ParentSpanId AS parentSpanID, ServiceName AS serviceName,
  SpanName AS operationName, Timestamp AS startTime, Duration / 1e6 AS duration,
  arrayMap(key -> map('key', key, 'value', SpanAttributes[key]), mapKeys(SpanAttributes)) AS tags,
  arrayMap(key -> map('key', key, 'value', ResourceAttributes[key]), mapKeys(ResourceAttributes)) AS serviceTags,
  StatusCode AS statusCode, SpanKind AS kind
FROM courtside.otel_traces
WHERE TraceId = if('\${trace}' = '', (SELECT argMax(TraceId, Timestamp) FROM courtside.otel_traces), '\${trace}')
ORDER BY startTime LIMIT 1000`,
      }),
    );
}
