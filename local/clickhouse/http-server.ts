import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Log } from "../../base/log.ts";
import { CONSOLE_PAGE } from "./console.ts";
import type { ServerMetrics } from "./server-metrics.ts";
import { answer, createExchange, newTag } from "./exchange.ts";
import { readStatementRequest, type StatementRequest } from "./http-request.ts";
import { commonHeaders, sendError, sendWhole } from "./http-response.ts";
import { queryErrorFrom } from "./query-error.ts";
import type { LoggedQuery, QueryLog } from "./query-log.ts";
import { readerRequest, shortened } from "./reader.ts";
import { quote, type SessionPool } from "./session-pool.ts";
import type { Spool } from "./spool.ts";
import { parseStatement } from "./statement.ts";

/** Longer than the idle time of clients (2.5 s in the JavaScript one), so that the client is who closes. */
const KEEP_ALIVE_MS = 10_000;
/** Query strings carry statements, parameters and settings. */
const MAX_HEADER_BYTES = 1024 * 1024;

export interface HttpServerParts {
  readonly pool: SessionPool;
  /** Sessions in the reader's role. */
  readonly readers: SessionPool;
  readonly spool: Spool;
  readonly queryLog: QueryLog;
  readonly log: Log;
  readonly metrics: ServerMetrics;
}

/**
 * ClickHouse's HTTP interface over the embedded engine: `/ping`, a console at `/play` and statements at `/`, with
 * settings, parameters, sessions, formats, compression, progress and errors as its clients expect them. Not
 * there: other users than `default` and `reader`, roles, external tables.
 *
 * @returns a server that does not listen yet.
 */
export function createHttpServer(parts: HttpServerParts): Server {
  const options = { keepAliveTimeout: KEEP_ALIVE_MS, maxHeaderSize: MAX_HEADER_BYTES };
  const running = new Map<string, string>();
  return createServer(options, (request, response) => {
    handle(parts, running, request, response).catch((error: unknown) => {
      parts.log.error("clickhouse.request_failed", error);
      response.destroy();
    });
  });
}

/** Tags of running statements by the ids that clients gave them. */
type Running = Map<string, string>;

async function handle(
  parts: HttpServerParts,
  running: Running,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://127.0.0.1");
  const queryId = url.searchParams.get("query_id") || randomUUID();
  const plain = (status: number, text: string, type = "text/plain"): void => {
    const headers = { ...commonHeaders(queryId), "Content-Type": `${type}; charset=UTF-8` };
    sendWhole(response, { status, headers, encoding: undefined }, Buffer.from(text));
  };
  if (!isLocalCaller(request)) return plain(403, "Web pages of other origins may not ask here.\n");
  if (url.pathname === "/ping" || url.pathname === "/replicas_status") return plain(200, "Ok.\n");
  if (url.pathname === "/play") return plain(200, CONSOLE_PAGE, "text/html");
  if (url.pathname !== "/") {
    return plain(
      404,
      `There is no handler for ${url.pathname}; statements go to /, checks to /ping, people to /play.\n`,
    );
  }
  if (request.method !== "GET" && request.method !== "POST") return plain(200, "");
  try {
    const wanted = await readStatementRequest(request, url);
    if (wanted === undefined) return plain(200, "Ok.\n");
    if (isFlushLogs(wanted)) {
      await parts.queryLog.flush();
      return plain(200, "");
    }
    await run(parts, running, { request, response, url, queryId }, wanted);
  } catch (error) {
    sendError(response, queryId, queryErrorFrom(error));
  }
}

/** A page in a browser can reach loopback addresses, by its own name for them or with its own Origin. */
function isLocalCaller(request: IncomingMessage): boolean {
  const { host = "", origin } = request.headers;
  const name = host.replace(/:\d+$/, "");
  if (!["127.0.0.1", "localhost", "[::1]"].includes(name)) return false;
  return origin === undefined || origin === `http://${host}`;
}

/** The log is kept here, so the engine cannot write it out. */
function isFlushLogs({ user, statement }: StatementRequest): boolean {
  return (
    user === "default" &&
    statement.kind === "other" &&
    /^system\s+flush\s+logs\b/i.test(statement.sql)
  );
}

interface Wire {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly queryId: string;
}

/** Runs a statement, notes it in the query log and keeps its id while it runs. */
async function run(
  parts: HttpServerParts,
  running: Running,
  wire: Wire,
  asked: StatementRequest,
): Promise<void> {
  const { queryLog, spool, log } = parts;
  const logged = loggedQuery(wire, asked);
  const tag = newTag();
  const pool = asked.user === "reader" ? parts.readers : parts.pool;
  const exchange = createExchange({ ...wire, pool, spool, log }, tag);
  queryLog.started(logged);
  const done = parts.metrics.begin(asked.user, asked.statement.kind);
  running.set(wire.queryId, tag);
  try {
    const allowed = asked.user === "reader" ? await readerRequest(pool, asked) : asked;
    const wanted = await withEngineIds(pool, running, allowed);
    const counts = await answer(exchange, wanted);
    queryLog.finished(logged, counts);
    done("ok", counts.writtenRows);
  } catch (error) {
    const whole = queryErrorFrom(error);
    const queryError = asked.user === "reader" ? shortened(whole) : whole;
    queryLog.failed(logged, queryError);
    done("error", 0);
    if (!exchange.progress.begun) throw queryError;
    // The status went out with the first progress, so a header tells.
    exchange.progress
      .end({ "X-ClickHouse-Exception-Code": String(queryError.clickhouseCode) })
      .end(`${queryError.message}\n`);
  } finally {
    if (running.get(wire.queryId) === tag) running.delete(wire.queryId);
  }
}

function loggedQuery({ request, queryId }: Wire, wanted: StatementRequest): LoggedQuery {
  return {
    queryId,
    sql: wanted.text,
    user: wanted.user,
    method: request.method ?? "",
    userAgent: request.headers["user-agent"] ?? "",
    database: wanted.state.database ?? "default",
    settings: wanted.state.settings,
    startMs: Date.now(),
  };
}

/** Statements that look at what runs: the engine has ids of its own there, so clients' ids are put into its words. */
const LOOKS_AT_RUNNING = /system\s*\.\s*processes|^\s*kill\s+query/i;

async function withEngineIds(
  pool: SessionPool,
  running: Running,
  wanted: StatementRequest,
): Promise<StatementRequest> {
  const { statement } = wanted;
  if (statement.kind === "insert" || !LOOKS_AT_RUNNING.test(statement.sql)) return wanted;
  let { sql } = statement;
  const parameters = new Map(wanted.state.parameters);
  for (const [queryId, tag] of running) {
    const literal = quote(queryId);
    const named = [...parameters].filter(([, value]) => value === queryId);
    if (!sql.includes(literal) && named.length === 0) continue;
    const found = await pool.running(tag);
    if (found === undefined) continue;
    sql = sql.replaceAll(literal, quote(found.engineQueryId));
    for (const [name] of named) parameters.set(name, found.engineQueryId);
  }
  const state = { ...wanted.state, parameters };
  return { ...wanted, statement: parseStatement(sql), state };
}
