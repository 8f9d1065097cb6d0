import { type Ask, checkReadOnly, READER_SETTINGS, SqlError } from "./read-only-sql.ts";
import { CLICKHOUSE_CODE, QueryError, refusal } from "./query-error.ts";
import type { StatementRequest } from "./http-request.ts";
import { type SessionPool, type SessionState } from "./session-pool.ts";
import { parseStatement } from "./statement.ts";

/** Settings of a reader that only change how the result is written, or that make a limit stricter. */
const FREE_SETTING =
  /^(?:output_format_\w+|date_time_output_format|session_timezone|log_comment|extremes|max_block_size|readonly|async_insert|wait_for_async_insert|interactive_delay)$/;

const NO_STATE: SessionState = {
  database: undefined,
  settings: new Map(),
  parameters: new Map(),
  discard: false,
};

/**
 * What a statement of the user `reader` becomes: passed by the gate, in the engine's own spelling, under limits.
 *
 * @param pool - sessions in the reader's role.
 * @throws QueryError that says what is not allowed.
 */
export async function readerRequest(
  pool: SessionPool,
  wanted: StatementRequest,
): Promise<StatementRequest> {
  if (wanted.named !== undefined) throw denied("session_id: a reader keeps nothing");
  if (wanted.statement.kind === "insert")
    throw denied(
      "INSERT is not allowed here: only SELECT, WITH, SHOW, DESCRIBE, EXPLAIN, EXISTS are",
    );
  const limits = limitsOf(wanted.state.settings);
  const { sql } = await gate(askOf(pool), wanted.statement.sql);
  const statement = parseStatement(sql);
  const format = (statement.kind === "read" ? statement.format : undefined) ?? wanted.defaultFormat;
  return { ...wanted, statement, format, state: { ...wanted.state, settings: limits } };
}

async function gate(ask: Ask, sql: string): ReturnType<typeof checkReadOnly> {
  try {
    return await checkReadOnly(ask, sql);
  } catch (error) {
    throw error instanceof SqlError && !(error.cause instanceof QueryError)
      ? denied(error.message)
      : error instanceof SqlError
        ? error.cause
        : error;
  }
}

function denied(what: string): QueryError {
  return refusal(CLICKHOUSE_CODE.accessDenied, "ACCESS_DENIED", `reader: ${what}`);
}

/** Messages of the parser repeat the statement, which may be long; nobody reads on. */
const MAX_MESSAGE_CHARACTERS = 2_000;

/** The error as a reader is told it: its beginning, and the name of the code at its end. */
export function shortened(error: QueryError): QueryError {
  const { message, clickhouseCode } = error;
  if (message.length <= MAX_MESSAGE_CHARACTERS) return error;
  const end = /(?: \([A-Z_]+\))? \(version [^()]*(?:\([^()]*\))?\)$/.exec(message)?.[0] ?? "";
  const text = `${message.slice(0, MAX_MESSAGE_CHARACTERS)}…${end}`;
  return new QueryError(clickhouseCode, text, { cause: error });
}

function limitsOf(asked: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const limits = new Map<string, string>(
    Object.entries(READER_SETTINGS).map(([name, value]) => [name, String(value)]),
  );
  for (const [name, value] of asked) {
    const limit = limits.get(name);
    if (limit !== undefined && /^\d+$/.test(limit)) {
      // Zero would be no limit at all.
      if (Number(value) > 0) limits.set(name, String(Math.min(Number(value), Number(limit))));
    } else if (FREE_SETTING.test(name)) limits.set(name, value);
    else
      throw refusal(
        CLICKHOUSE_CODE.readonly,
        "READONLY",
        `Cannot modify '${name}' setting in readonly mode`,
      );
  }
  limits.set("readonly", "1");
  return limits;
}

function askOf(pool: SessionPool): Ask {
  return async (sql, parameters) => {
    const escaped = Object.entries(parameters).map(
      ([name, value]) => [name, escapeText(value)] as const,
    );
    const state = { ...NO_STATE, parameters: new Map(escaped) };
    const { bytes } = await pool.run(state, undefined, (session) =>
      session.query(sql, "JSONCompactEachRow"),
    );
    const lines = Buffer.from(bytes).toString("utf8").trim();
    return lines === "" ? [] : lines.split("\n").map((line) => (JSON.parse(line) as [string])[0]);
  };
}

/** Parameters come in the escaped form of the TabSeparated format. */
function escapeText(text: string): string {
  return text
    .replaceAll("\\", "\\\\")
    .replaceAll("\t", "\\t")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\0", "\\0");
}
