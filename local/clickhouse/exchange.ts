import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import type { Log } from "../../base/log.ts";
import type { EngineSession } from "./engine.ts";
import type { StatementRequest } from "./http-request.ts";
import {
  commonHeaders,
  compressor,
  contentTypeOf,
  responseEncoding,
  sendWhole,
  STREAMABLE_FORMATS,
  trailingError,
} from "./http-response.ts";
import { GO_CLIENT_HELLO, goClientHello } from "./native-hello.ts";
import { ProgressHeaders } from "./progress.ts";
import { QueryError, queryErrorFrom } from "./query-error.ts";
import { quote, type SessionPool } from "./session-pool.ts";
import type { Spool } from "./spool.ts";
import type { InsertStatement } from "./statement.ts";
import { type Counts, insertCounts, NO_COUNTS, readCounts, summaryText } from "./summary.ts";

/** One statement on its way from a request to its answer. */
export interface Exchange {
  readonly pool: SessionPool;
  readonly spool: Spool;
  readonly log: Log;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly queryId: string;
  /** Comment in the statement's text, by which the engine's list of what runs is searched. */
  readonly tag: string;
  readonly progress: ProgressHeaders;
}

/** @param tag - from `newTag`. */
export function createExchange(
  parts: Omit<Exchange, "progress" | "tag">,
  tag: string = newTag(),
): Exchange {
  const progress = new ProgressHeaders(parts.response, commonHeaders(parts.queryId));
  return { ...parts, tag, progress };
}

/** A comment that no other statement has. */
export function newTag(): string {
  return `/* request ${randomUUID()} */`;
}

/** Runs the statement and sends its answer. @returns what it read and wrote. @throws QueryError before any answer. */
export async function answer(exchange: Exchange, wanted: StatementRequest): Promise<Counts> {
  const { statement } = wanted;
  if (statement.kind === "insert") return insert(exchange, wanted, statement);
  if (statement.sql === GO_CLIENT_HELLO)
    return send(exchange, "Native", goClientHello(), { ...NO_COUNTS, resultRows: 1 });
  const sql = `${statement.sql}\n${exchange.tag}`;
  return watched(exchange, () =>
    exchange.pool.run(wanted.state, wanted.named, async (session) => {
      const streams =
        statement.kind === "read" &&
        statement.streamable &&
        STREAMABLE_FORMATS.has(wanted.format) &&
        exchange.url.searchParams.get("wait_end_of_query") !== "1";
      if (streams) return stream(exchange, session, sql, wanted.format);
      const result = await session.query(killWithoutWaiting(sql), wanted.format);
      if (killWithoutWaiting(sql) !== sql) await exchange.pool.untilCancelledAreGone();
      const counts = readCounts(result, wanted.format, exchange.progress.last);
      return send(exchange, wanted.format, result.bytes, counts);
    }),
  );
}

/** `KILL … SYNC` would wait inside the engine for a statement whose end waits for the engine: we wait instead. */
function killWithoutWaiting(sql: string): string {
  return /^\s*kill\s/i.test(sql)
    ? sql.replace(/\bSYNC\b(?=\s*(?:\/\*[^*]*\*\/\s*)?$)/i, "ASYNC")
    : sql;
}

async function insert(
  exchange: Exchange,
  wanted: StatementRequest,
  statement: InsertStatement,
): Promise<Counts> {
  const { rows, decompressors, state, named } = wanted;
  const nothing = new Uint8Array();
  if (rows === undefined) return send(exchange, wanted.format, nothing, NO_COUNTS);
  const { pool, spool, tag } = exchange;
  // In the statement itself, not by SET: one call less, and no token can stay behind.
  const inline = new Map([...state.settings].filter(([name]) => name !== "readonly"));
  const remaining = new Map([...state.settings].filter(([name]) => name === "readonly"));
  return spool.with(rows, decompressors, async (path, sizeBytes) => {
    if (sizeBytes === 0) return send(exchange, wanted.format, nothing, NO_COUNTS);
    const sql = `${tag} ${insertFromFile(statement, path, inline)}`;
    return watched(exchange, async () => {
      const result = await pool.run({ ...state, settings: remaining }, named, (session) =>
        session.query(sql),
      );
      return send(exchange, wanted.format, nothing, insertCounts(result));
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

/** While `work` runs the client hears of its progress, and when the client goes away its statement is stopped. */
async function watched(exchange: Exchange, work: () => Promise<Counts>): Promise<Counts> {
  const { pool, response, log, tag, progress, url } = exchange;
  const onClose = (): void => {
    if (response.writableFinished) return;
    pool.kill(tag).catch((error: unknown) => log.error("clickhouse.kill_failed", error));
  };
  response.once("close", onClose);
  progress.watch(url.searchParams, async () => (await pool.running(tag))?.counts);
  try {
    return await work();
  } catch (error) {
    const { clickhouseCode, message } = queryErrorFrom(error);
    throw new QueryError(clickhouseCode, message.replaceAll(tag, "").trim(), { cause: error });
  } finally {
    progress.stop();
    response.off("close", onClose);
  }
}

function send(exchange: Exchange, format: string, bytes: Uint8Array, counts: Counts): Counts {
  const { request, response, url, progress } = exchange;
  progress.stop();
  const headers = {
    ...answerHeaders(exchange, format),
    "X-ClickHouse-Summary": summaryText(counts),
  };
  const encoding = responseEncoding(request, url.searchParams);
  if (progress.begun) {
    const length = { "Content-Length": String(bytes.length) };
    progress.end({ ...headers, ...length }).end(bytes);
  } else sendWhole(response, { status: 200, headers, encoding }, bytes);
  return counts;
}

function answerHeaders({ queryId }: Exchange, format: string): Record<string, string> {
  return {
    ...commonHeaders(queryId),
    "Content-Type": contentTypeOf(format),
    "X-ClickHouse-Format": format,
  };
}

/** Sends a result piece by piece, so that its size never counts against this process. */
async function stream(
  exchange: Exchange,
  session: EngineSession,
  sql: string,
  format: string,
): Promise<Counts> {
  const startMs = performance.now();
  const pieces = session.stream(sql, format);
  let resultBytes = 0;
  const counts = (): Counts => ({
    ...NO_COUNTS,
    ...exchange.progress.last,
    resultBytes,
    elapsedNs: Math.round((performance.now() - startMs) * 1e6),
  });
  try {
    const first = await pieces.next();
    if (first.done === true) return send(exchange, format, new Uint8Array(), counts());
    // An error in the first two pieces can still be an ordinary error answer, and a short result a whole one.
    const second = await pieces.next();
    resultBytes = first.value.length;
    if (second.done === true) return send(exchange, format, first.value, counts());
    resultBytes += second.value.length;
    await sendPieces(exchange, format, [first.value, second.value], pieces, (sizeBytes) => {
      resultBytes += sizeBytes;
    });
    return counts();
  } finally {
    await pieces.return();
  }
}

async function sendPieces(
  exchange: Exchange,
  format: string,
  ready: readonly Uint8Array[],
  pieces: AsyncIterable<Uint8Array>,
  onPiece: (sizeBytes: number) => void,
): Promise<void> {
  const { response } = exchange;
  const tag = randomBytes(8).toString("hex");
  const out = openBody(exchange, {
    ...answerHeaders(exchange, format),
    "X-ClickHouse-Exception-Tag": tag,
  });
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
      onPiece(piece.length);
      await write(piece);
    }
  } catch (error) {
    await write(trailingError(queryErrorFrom(error), tag));
  }
  out.end();
}

/** Where the body of unknown length goes, behind a head that is sent now. */
function openBody(exchange: Exchange, headers: Record<string, string>): Writable {
  const { request, response, url, progress } = exchange;
  progress.stop();
  if (progress.begun) return progress.end(headers);
  const encoding = responseEncoding(request, url.searchParams);
  response.writeHead(200, {
    ...headers,
    ...(encoding !== undefined && { "Content-Encoding": encoding }),
  });
  if (encoding === undefined) return response;
  const out = compressor(encoding);
  out.pipe(response);
  return out;
}
