import { type DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { board, stat, table, timeSeries, WHOLE } from "../panels.ts";

/** The store itself: sizes, parts, merges, questions. */
export function clickhouseBoard(): DashboardBuilder {
  return board({
    uid: "courtside-clickhouse",
    title: "Courtside · ClickHouse",
    description: "Tables, parts and queries of the store.",
    from: "now-1h",
    refresh: "10s",
    page: "#/sql",
  })
    .withPanel(
      stat({
        title: "Rows",
        description: "In all tables of the project.",
        sql: "SELECT sum(rows) AS rows FROM system.parts WHERE database = 'courtside' AND active",
      }),
    )
    .withPanel(
      stat({
        title: "On disk",
        description: "Compressed.",
        unit: "bytes",
        sql: "SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE database = 'courtside' AND active",
      }),
    )
    .withPanel(
      stat({
        title: "Active parts",
        description: "Thousands in one table mean that merges do not keep up with inserts.",
        sql: "SELECT count() AS parts FROM system.parts WHERE database = 'courtside' AND active",
      }),
    )
    .withPanel(
      stat({
        title: "Up",
        description: "Since the server was started.",
        unit: "s",
        sql: "SELECT uptime() AS uptime_s",
      }),
    )
    .withPanel(
      table({
        title: "Tables",
        description: "Rows, size and how well they compress.",
        sql: `SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes, count() AS parts,
  round(sum(data_uncompressed_bytes) / greatest(1, sum(data_compressed_bytes)), 1) AS compression
FROM system.parts WHERE database = 'courtside' AND active GROUP BY table ORDER BY bytes DESC`,
      }),
    )
    .withPanel(
      table({
        title: "Largest parts",
        description:
          "Merges make few large parts of many small ones; many of level 0 are inserts that wait for them.",
        sql: `SELECT table, name AS part, rows, bytes_on_disk AS bytes, level, part_type, modification_time
FROM system.parts WHERE database = 'courtside' AND active ORDER BY bytes DESC LIMIT 30`,
      }),
    )
    .withPanel(
      timeSeries({
        title: "Rows that arrived",
        description: "Predictions by the time at which they became visible, a second.",
        span: WHOLE,
        sql: `SELECT $__timeInterval_ms(inserted_at) AS time, count() / ($__interval_s) AS rows
FROM courtside.predictions WHERE $__timeFilter_ms(inserted_at) GROUP BY time ORDER BY time`,
      }),
    )
    .withPanel(
      timeSeries({
        title: "Questions a second",
        description: "Finished statements by kind, from the query log.",
        sql: `SELECT $__timeInterval(event_time) AS time, query_kind AS kind, count() / ($__interval_s) AS queries
FROM system.query_log WHERE type = 'QueryFinish' AND $__timeFilter(event_time) GROUP BY time, kind ORDER BY time`,
      }),
    )
    .withPanel(
      table({
        title: "Slowest questions",
        description: "Of the chosen time, from the query log.",
        sql: `SELECT query_duration_ms AS duration_ms, read_rows, memory_usage AS memory_bytes, substring(query, 1, 200) AS query
FROM system.query_log WHERE type = 'QueryFinish' AND $__timeFilter(event_time) ORDER BY duration_ms DESC LIMIT 30`,
      }),
    );
}
