import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Log } from "../../base/log.ts";
import type { EngineResult, EngineSession } from "./engine.ts";
import { readStatementRequest, type StatementRequest } from "./http-request.ts";
import {
  commonHeaders,
  compressor,
  contentTypeOf,
  responseEncoding,
  sendError,
  sendWhole,
  STREAMABLE_FORMATS,
  summaryOf,
  trailingError,
} from "./http-response.ts";
import { GO_CLIENT_HELLO, goClientHello } from "./native-hello.ts";
import { QueryError, queryErrorFrom } from "./query-error.ts";
import { quote, type SessionPool } from "./session-pool.ts";
import type { Spool } from "./spool.ts";
import type { InsertStatement } from "./statement.ts";

/** Longer than the idle time of clients (2.5 s in the JavaScript one), so that the client is who closes. */
const KEEP_ALIVE_MS = 10_000;
/** Query strings carry statements, parameters and settings. */
const MAX_HEADER_BYTES = 1024 * 1024;

export interface HttpServerParts {
  readonly pool: SessionPool;
  readonly spool: Spool;
  readonly log: Log;
}

/**
 * ClickHouse's HTTP interface over the embedded engine: `/ping` and statements at `/`, with settings,
 * parameters, sessions, formats, compression and errors as its clients expect them. Not there: roles,
 * progress headers, `system.query_log`, external tables.
 *
 * @returns a server that does not listen yet.
 */
export function createHttpServer(parts: HttpServerParts): Server {
  const options = { keepAliveTimeout: KEEP_ALIVE_MS, maxHeaderSize: MAX_HEADER_BYTES };
  return createServer(options, (request, response) => {
    handle(parts, request, response).catch((error: unknown) => {
      parts.log.error("clickhouse.request_failed", error);
      response.destroy();
    });
  });
}

interface Exchange {
  readonly parts: HttpServerParts;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly queryId: string;
}

async function handle(
  parts: HttpServerParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://127.0.0.1");
  const queryId = url.searchParams.get("query_id") ?? randomUUID();
  const plain = (status: number, text: string): void => {
    const headers = { ...commonHeaders(queryId), "Content-Type": "text/plain; charset=UTF-8" };
    sendWhole(response, { status, headers, encoding: undefined }, Buffer.from(text));
  };
  if (!isLocalCaller(request)) return plain(403, "Web pages of other origins may not ask here.\n");
  if (url.pathname === "/ping" || url.pathname === "/replicas_status") return plain(200, "Ok.\n");
  if (url.pathname !== "/") {
    return plain(
      404,
      `There is no handler for ${url.pathname}; statements go to /, checks to /ping.\n`,
    );
  }
  if (request.method !== "GET" && request.method !== "POST") return plain(200, "");
  try {
    const wanted = await readStatementRequest(request, url);
    if (wanted === undefined) return plain(200, "Ok.\n");
    await answer({ parts, request, response, url, queryId }, wanted);
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

async function answer(exchange: Exchange, wanted: StatementRequest): Promise<void> {
  const { statement } = wanted;
  if (statement.kind === "insert") return insert(exchange, wanted, statement);
  if (statement.sql === GO_CLIENT_HELLO)
    return send(exchange, "Native", { bytes: goClientHello() });
  const tag = `/* request ${randomUUID()} */`;
  const sql = `${statement.sql}\n${tag}`;
  await killedWithClient(exchange, tag, async () => {
    await exchange.parts.pool.run(wanted.state, wanted.named, async (session) => {
      const streams =
        statement.kind === "read" &&
        statement.streamable &&
        STREAMABLE_FORMATS.has(wanted.format) &&
        exchange.url.searchParams.get("wait_end_of_query") !== "1";
      if (streams) await stream(exchange, session, sql, wanted.format);
      else send(exchange, wanted.format, await session.query(sql, wanted.format));
    });
  });
}

async function insert(
  exchange: Exchange,
  wanted: StatementRequest,
  statement: InsertStatement,
): Promise<void> {
  const { rows, decompressors, state, named } = wanted;
  if (rows === undefined) return send(exchange, wanted.format, {});
  const { pool, spool } = exchange.parts;
  // In the statement itself, not by SET: one call less, and no token can stay behind.
  const inline = new Map([...state.settings].filter(([name]) => name !== "readonly"));
  const remaining = new Map([...state.settings].filter(([name]) => name === "readonly"));
  await spool.with(rows, decompressors, async (path, sizeBytes) => {
    if (sizeBytes === 0) return send(exchange, wanted.format, {});
    const tag = `/* request ${randomUUID()} */`;
    const sql = `${tag} ${insertFromFile(statement, path, inline)}`;
    await killedWithClient(exchange, tag, async () => {
      const result = await pool.run({ ...state, settings: remaining }, named, (session) =>
        session.query(sql),
      );
      send(exchange, wanted.format, { ...result, bytes: new Uint8Array() });
    });
  });
}

function insertFromFile(
  statement: InsertStatement,
  path: string,
  settings: ReadonlyMap<string, string>,
): string {
  const assignments = [...settings].map(([name, value]) => `${name} = ${quote(value)}`);
  // The statement's own settings come last and win.
  if (statement.settings !== "") assignments.push(statement.settings);
  const clause = assignments.length === 0 ? "" : ` SETTINGS ${assignments.join(", ")}`;
  return `${statement.target} FROM INFILE ${quote(path)} COMPRESSION 'none'${clause} FORMAT ${statement.format}`;
}

/** When the client goes away while `work` runs, its statement is stopped. */
async function killedWithClient(
  { parts, response }: Exchange,
  tag: string,
  work: () => Promise<void>,
): Promise<void> {
  const onClose = (): void => {
    if (response.writableFinished) return;
    parts.pool
      .kill(tag)
      .catch((error: unknown) => parts.log.error("clickhouse.kill_failed", error));
  };
  response.once("close", onClose);
  try {
    await work();
  } catch (error) {
    const { clickhouseCode, message } = queryErrorFrom(error);
    throw new QueryError(clickhouseCode, message.replaceAll(tag, "").trim(), { cause: error });
  } finally {
    response.off("close", onClose);
  }
}

function send(exchange: Exchange, format: string, result: Partial<EngineResult>): void {
  const { request, response, url, queryId } = exchange;
  const headers = {
    ...commonHeaders(queryId),
    "Content-Type": contentTypeOf(format),
    "X-ClickHouse-Format": format,
    "X-ClickHouse-Summary": summaryOf(result),
  };
  const encoding = responseEncoding(request, url.searchParams);
  sendWhole(response, { status: 200, headers, encoding }, result.bytes ?? new Uint8Array());
}

/** Sends a result piece by piece, so that its size never counts against this process. */
async function stream(
  exchange: Exchange,
  session: EngineSession,
  sql: string,
  format: string,
): Promise<void> {
  const pieces = session.stream(sql, format);
  try {
    const first = await pieces.next();
    if (first.done === true) return send(exchange, format, {});
    // An error in the first two pieces can still be an ordinary error answer, and a short result a whole one.
    const second = await pieces.next();
    if (second.done === true) return send(exchange, format, { bytes: first.value });
    await sendPieces(exchange, format, [first.value, second.value], pieces);
  } finally {
    await pieces.return();
  }
}

async function sendPieces(
  { request, response, url, queryId }: Exchange,
  format: string,
  ready: readonly Uint8Array[],
  pieces: AsyncIterable<Uint8Array>,
): Promise<void> {
  const tag = randomBytes(8).toString("hex");
  const encoding = responseEncoding(request, url.searchParams);
  response.writeHead(200, {
    ...commonHeaders(queryId),
    "Content-Type": contentTypeOf(format),
    "X-ClickHouse-Format": format,
    "X-ClickHouse-Exception-Tag": tag,
    ...(encoding !== undefined && { "Content-Encoding": encoding }),
  });
  const out = encoding === undefined ? response : compressor(encoding);
  if (out !== response) out.pipe(response);
  const write = async (piece: Uint8Array): Promise<void> => {
    if (out.write(piece) || response.destroyed) return;
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    await once(out, "drain", { signal: gone.signal }).catch(() => undefined);
  };
  try {
    for (const piece of ready) await write(piece);
    for await (const piece of pieces) {
      if (response.destroyed) return;
      await write(piece);
    }
  } catch (error) {
    await write(trailingError(queryErrorFrom(error), tag));
  }
  out.end();
}
