import type { IncomingMessage } from "node:http";
import { Readable, type Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from "node:zlib";
import { CLICKHOUSE_CODE, refusal } from "./query-error.ts";
import type { NamedSession, SessionState } from "./session-pool.ts";
import { createLz4Decompress } from "./lz4.ts";
import { parseStatement, type Statement } from "./statement.ts";

/** Longest statement; rows of an INSERT count only when they come without `?query=`. */
const MAX_STATEMENT_BYTES = 64 * 1024 * 1024;
const DEFAULT_SESSION_TIMEOUT_S = 60;
const MAX_SESSION_TIMEOUT_S = 3600;

/** `default` may do everything, `reader` only what the gate lets pass. */
export type User = "default" | "reader";

/** A request for one statement, in the terms of this server. */
export interface StatementRequest {
  readonly user: User;
  readonly statement: Statement;
  /** The statement as it came, without rows. */
  readonly text: string;
  readonly state: SessionState;
  readonly named: NamedSession | undefined;
  /** Format of the result. */
  readonly format: string;
  /** The same when the statement does not name one. */
  readonly defaultFormat: string;
  /** Rows of an INSERT; undefined when there are none. */
  readonly rows: Readable | undefined;
  readonly decompressors: readonly (Readable & Writable)[];
}

/**
 * Reads what a client wants: statement, settings, parameters and rows from the query string, the headers and
 * the body, as ClickHouse's HTTP interface lays them out.
 *
 * @returns undefined when the request carries no statement.
 * @throws QueryError
 */
export async function readStatementRequest(
  request: IncomingMessage,
  url: URL,
): Promise<StatementRequest | undefined> {
  const user = userOf(request, url.searchParams);
  const body = await readBody(request, url.searchParams);
  if (body.statement === undefined) return undefined;
  const { statement, parameters } = body;
  if (request.method === "GET" && statement.kind !== "read") {
    throw refusal(
      CLICKHOUSE_CODE.readonly,
      "READONLY",
      "Cannot execute query in readonly mode. GET only reads; use POST for statements that change something.",
    );
  }
  for (const name of statement.placeholders) {
    // The engine keeps parameters of earlier requests, so it would not miss this one.
    if (parameters.has(name)) continue;
    throw refusal(
      CLICKHOUSE_CODE.unknownParameter,
      "UNKNOWN_QUERY_PARAMETER",
      `Substitution \`${name}\` is not set`,
    );
  }
  const defaultFormat =
    (url.searchParams.get("default_format") ?? header(request, "x-clickhouse-format")) ||
    "TabSeparated";
  return {
    user,
    statement,
    text: body.text,
    state: sessionState(request, url.searchParams, statement, parameters),
    named: namedSession(url.searchParams),
    format: (statement.kind === "read" ? statement.format : undefined) ?? defaultFormat,
    defaultFormat,
    rows: body.rows,
    decompressors: body.decompressors,
  };
}

interface Body {
  readonly statement: Statement | undefined;
  readonly text: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly rows: Readable | undefined;
  readonly decompressors: readonly (Readable & Writable)[];
}

async function readBody(request: IncomingMessage, search: URLSearchParams): Promise<Body> {
  const decompressors = decompressorsFor(request);
  const inUrl = (search.get("query") ?? "").trim();
  const parameters = new Map<string, string>();
  for (const [name, value] of search) {
    if (name.startsWith("param_")) parameters.set(name.slice("param_".length), value);
  }
  const insert = inUrl === "" ? undefined : parseStatement(inUrl);
  if (insert?.kind === "insert" && insert.inlineData === "") {
    const empty = request.headers["content-length"] === "0";
    const rows = empty ? undefined : request;
    return { statement: insert, text: inUrl, parameters, rows, decompressors };
  }
  const bytes = await readText(request, decompressors);
  const form = await readForm(request, bytes);
  for (const [name, value] of form?.parameters ?? []) parameters.set(name, value);
  const inBody = form?.query ?? bytes.toString("utf8");
  const text = [inUrl, inBody].filter((part) => part.trim() !== "").join("\n");
  if (text === "")
    return { statement: undefined, text, parameters, rows: undefined, decompressors: [] };
  const statement = parseStatement(text);
  const inline = statement.kind === "insert" ? statement.inlineData : "";
  const rows = inline.trim() === "" ? undefined : Readable.from([inline]);
  const withoutRows = inline === "" ? text : text.slice(0, text.length - inline.length);
  return { statement, text: withoutRows.trim(), parameters, rows, decompressors: [] };
}

async function readText(
  request: IncomingMessage,
  decompressors: readonly (Readable & Writable)[],
): Promise<Buffer> {
  let sizeBytes = 0;
  const limited = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_STATEMENT_BYTES) {
        throw refusal(
          CLICKHOUSE_CODE.queryIsTooLarge,
          "QUERY_IS_TOO_LARGE",
          `A statement may have ${MAX_STATEMENT_BYTES} bytes; send an INSERT as ?query= and its rows as the body`,
        );
      }
      yield chunk;
    }
  };
  let source: Readable = request;
  for (const step of decompressors) source = source.pipe(step);
  return buffer(limited(source));
}

interface Form {
  readonly query: string;
  readonly parameters: ReadonlyMap<string, string>;
}

async function readForm(request: IncomingMessage, bytes: Buffer): Promise<Form | undefined> {
  const contentType = request.headers["content-type"] ?? "";
  if (!contentType.startsWith("multipart/form-data")) return undefined;
  const parsed = new Response(new Uint8Array(bytes), { headers: { "content-type": contentType } });
  const parameters = new Map<string, string>();
  let query = "";
  for (const [name, value] of await parsed.formData()) {
    const text = typeof value === "string" ? value : await value.text();
    if (name === "query") query += text;
    else if (name.startsWith("param_")) parameters.set(name.slice("param_".length), text);
  }
  return { query, parameters };
}

function decompressorsFor(request: IncomingMessage): readonly (Readable & Writable)[] {
  const encoding = request.headers["content-encoding"];
  switch (encoding) {
    case undefined:
    case "":
    case "identity":
      return [];
    case "gzip":
      return [createGunzip()];
    case "deflate":
      return [createInflate()];
    case "br":
      return [createBrotliDecompress()];
    case "zstd":
      return [createZstdDecompress()];
    case "lz4":
      return [createLz4Decompress()];
    default:
      throw refusal(
        CLICKHOUSE_CODE.unknownCompression,
        "UNKNOWN_COMPRESSION_METHOD",
        `Unknown content encoding ${encoding}; send gzip, deflate, br, zstd, lz4 or none`,
      );
  }
}

/** There are two users without a password, as `default` is in a ClickHouse that was just installed. */
function userOf(request: IncomingMessage, search: URLSearchParams): User {
  const basic = /^Basic (.*)$/.exec(request.headers.authorization ?? "")?.[1];
  const [basicUser, ...basicPassword] = Buffer.from(basic ?? "", "base64")
    .toString("utf8")
    .split(":");
  const user =
    search.get("user") ?? (header(request, "x-clickhouse-user") || basicUser || "default");
  const password =
    search.get("password") ?? (header(request, "x-clickhouse-key") || basicPassword.join(":"));
  if ((user === "default" || user === "reader") && password === "") return user;
  throw refusal(
    CLICKHOUSE_CODE.authenticationFailed,
    "AUTHENTICATION_FAILED",
    `${user}: Authentication failed: password is incorrect, or there is no user with such name; ` +
      "the embedded server has the users default and reader, without a password",
  );
}

/** Parameters of the interface that are neither settings nor placeholders. */
const NO_SETTINGS = new Set(
  [
    "query database default_format query_id session_id session_timeout session_check close_session",
    "user password quota_key compress decompress client_protocol_version buffer_size stacktrace",
    "wait_end_of_query send_progress_in_http_headers http_response_buffer_size",
    "http_headers_progress_interval_ms enable_http_compression http_zlib_compression_level",
    "http_native_compression_disable_checksumming_on_decompress",
    "http_write_exception_in_output_format cancel_http_readonly_queries_on_client_close",
    "http_response_headers add_http_cors_header",
  ].flatMap((line) => line.split(" ")),
);

function sessionState(
  request: IncomingMessage,
  search: URLSearchParams,
  statement: Statement,
  parameters: ReadonlyMap<string, string>,
): SessionState {
  const settings = new Map<string, string>();
  for (const [name, value] of search) {
    if (NO_SETTINGS.has(name) || name.startsWith("param_")) continue;
    if (name === "role") {
      throw refusal(CLICKHOUSE_CODE.notImplemented, "NOT_IMPLEMENTED", "There are no roles here");
    }
    if (!/^[A-Za-z_][\w.]*$/.test(name)) {
      throw refusal(CLICKHOUSE_CODE.unknownSetting, "UNKNOWN_SETTING", `Unknown setting ${name}`);
    }
    settings.set(name, value);
  }
  const database = search.get("database") ?? header(request, "x-clickhouse-database");
  return {
    database: database === "" ? undefined : database,
    settings,
    parameters: new Map([...parameters].filter(([name]) => statement.placeholders.includes(name))),
    discard: statement.kind === "other" && statement.changesSession,
  };
}

function namedSession(search: URLSearchParams): NamedSession | undefined {
  const id = search.get("session_id");
  if (id === null || id === "") return undefined;
  const asked = Number(search.get("session_timeout") ?? DEFAULT_SESSION_TIMEOUT_S);
  const timeoutS = Number.isFinite(asked) && asked > 0 ? asked : DEFAULT_SESSION_TIMEOUT_S;
  return { id, timeoutS: Math.min(timeoutS, MAX_SESSION_TIMEOUT_S) };
}

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return typeof value === "string" ? value : "";
}
