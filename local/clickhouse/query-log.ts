import type { Log } from "../../base/log.ts";
import type { Engine, EngineSession } from "./engine.ts";
import type { QueryError } from "./query-error.ts";
import type { Counts } from "./summary.ts";

/** A statement reaches the log within it; `SYSTEM FLUSH LOGS` does not wait. */
const FLUSH_INTERVAL_MS = 1_000;
/** Entries that wait for the next flush; beyond it they are counted and left out. */
const MAX_WAITING = 10_000;
/** As ClickHouse's `log_queries_cut_to_length`. */
const MAX_QUERY_CHARACTERS = 100_000;
/** Database of the table behind the view `system.query_log`: tables of `system` do not outlive the process. */
const DATABASE = "courtside_server";

/** A statement of a client, as far as the log tells about it. */
export interface LoggedQuery {
  readonly queryId: string;
  readonly sql: string;
  readonly user: string;
  readonly method: string;
  readonly userAgent: string;
  readonly database: string;
  readonly settings: ReadonlyMap<string, string>;
  readonly startMs: number;
}

/** `system.query_log` of the embedded server, which the engine itself does not keep. */
export class QueryLog {
  readonly #session: EngineSession;
  readonly #log: Log;
  #waiting: string[] = [];
  #left = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  private constructor(session: EngineSession, log: Log) {
    this.#session = session;
    this.#log = log;
  }

  static async open(engine: Engine, log: Log): Promise<QueryLog> {
    const session = engine.openSession();
    for (const statement of SCHEMA) await session.query(statement);
    return new QueryLog(session, log);
  }

  started(query: LoggedQuery): void {
    this.#add(query, { type: "QueryStart" });
  }

  finished(query: LoggedQuery, counts: Counts): void {
    const { readRows, readBytes, writtenRows, writtenBytes, resultRows, resultBytes } = counts;
    this.#add(query, {
      type: "QueryFinish",
      query_duration_ms: Date.now() - query.startMs,
      read_rows: readRows,
      read_bytes: readBytes,
      written_rows: writtenRows,
      written_bytes: writtenBytes,
      result_rows: resultRows,
      result_bytes: resultBytes,
    });
  }

  failed(query: LoggedQuery, error: QueryError): void {
    this.#add(query, {
      type: "ExceptionWhileProcessing",
      query_duration_ms: Date.now() - query.startMs,
      exception_code: error.clickhouseCode,
      exception: error.message,
    });
  }

  /** Makes what was logged so far visible. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = this.#flushing.then(() => this.#insert());
    await this.#flushing;
  }

  #add(query: LoggedQuery, fields: Record<string, unknown>): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#left += 1;
      return;
    }
    const nowMs = Date.now();
    this.#waiting.push(
      JSON.stringify({
        event_time_microseconds: seconds(nowMs),
        query_start_time_microseconds: seconds(query.startMs),
        query_id: query.queryId,
        initial_query_id: query.queryId,
        query: query.sql.slice(0, MAX_QUERY_CHARACTERS),
        user: query.user,
        initial_user: query.user,
        http_method: query.method === "GET" ? 1 : 2,
        http_user_agent: query.userAgent,
        current_database: query.database,
        log_comment: query.settings.get("log_comment") ?? "",
        Settings: Object.fromEntries(query.settings),
        ...fields,
      }),
    );
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_INTERVAL_MS).unref();
  }

  async #insert(): Promise<void> {
    const rows = this.#waiting;
    if (rows.length === 0) return;
    this.#waiting = [];
    if (this.#left > 0) {
      this.#log.warn("clickhouse.query_log_left_out", { queries: this.#left });
      this.#left = 0;
    }
    try {
      // JSON has no blank lines, behind which the engine would stop reading rows.
      await this.#session.query(
        `INSERT INTO ${DATABASE}.query_log FORMAT JSONEachRow\n${rows.join("\n")}`,
      );
    } catch (error) {
      this.#log.error("clickhouse.query_log_failed", error, { queries: rows.length });
    }
  }
}

/** The columns of ClickHouse's own log that clients and dashboards ask for; three days of it. */
const SCHEMA = [
  `CREATE DATABASE IF NOT EXISTS ${DATABASE}`,
  `CREATE TABLE IF NOT EXISTS ${DATABASE}.query_log
  (
    hostname LowCardinality(String) DEFAULT hostName(),
    type Enum8('QueryStart' = 1, 'QueryFinish' = 2, 'ExceptionBeforeStart' = 3, 'ExceptionWhileProcessing' = 4),
    event_date Date DEFAULT toDate(event_time_microseconds),
    event_time DateTime('UTC') DEFAULT toDateTime(event_time_microseconds, 'UTC'),
    event_time_microseconds DateTime64(6, 'UTC'),
    query_start_time DateTime('UTC') DEFAULT toDateTime(query_start_time_microseconds, 'UTC'),
    query_start_time_microseconds DateTime64(6, 'UTC'),
    query_duration_ms UInt64,
    read_rows UInt64,
    read_bytes UInt64,
    written_rows UInt64,
    written_bytes UInt64,
    result_rows UInt64,
    result_bytes UInt64,
    memory_usage UInt64,
    current_database LowCardinality(String),
    query String CODEC(ZSTD(1)),
    normalized_query_hash UInt64 DEFAULT normalizedQueryHash(query),
    query_kind LowCardinality(String) DEFAULT upper(extract(query, '^[\\\\s(]*(\\\\w+)')),
    exception_code Int32,
    exception String CODEC(ZSTD(1)),
    is_initial_query UInt8 DEFAULT 1,
    user LowCardinality(String),
    query_id String,
    initial_user LowCardinality(String),
    initial_query_id String,
    interface UInt8 DEFAULT 2,
    http_method UInt8,
    http_user_agent LowCardinality(String),
    log_comment String,
    Settings Map(LowCardinality(String), String)
  )
  ENGINE = MergeTree
  PARTITION BY event_date
  ORDER BY (event_date, event_time)
  TTL event_date + INTERVAL 3 DAY`,
  `CREATE OR REPLACE VIEW system.query_log AS SELECT * FROM ${DATABASE}.query_log`,
];

/** As text: a number with decimals is not read as a time. */
function seconds(epochMs: number): string {
  return (epochMs / 1000).toFixed(6);
}
