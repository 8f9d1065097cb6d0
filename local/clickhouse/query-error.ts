import { CourtsideError, errorText } from "../../base/errors.ts";
import { isErrno } from "../process.ts";

/** Codes of ClickHouse that this server raises itself. */
export const CLICKHOUSE_CODE = {
  tooManySimultaneousQueries: 202,
  readonly: 164,
  syntaxError: 62,
  unknownSetting: 115,
  unknownCompression: 89,
  cannotDecompress: 271,
  notEnoughSpace: 243,
  queryIsTooLarge: 307,
  sessionIsLocked: 373,
  unknownParameter: 456,
  notImplemented: 48,
  accessDenied: 497,
  authenticationFailed: 516,
  unknownException: 1002,
} as const;

/** A statement was refused or failed. The text is in ClickHouse's own form, so that clients can parse it. */
export class QueryError extends CourtsideError {
  override readonly code = "QUERY_FAILED";
  override readonly retryable = false;
  readonly clickhouseCode: number;

  constructor(clickhouseCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.clickhouseCode = clickhouseCode;
  }

  get httpStatus(): number {
    return httpStatusOf(this.clickhouseCode);
  }
}

/** @param name - ClickHouse's name of the code, for example `SYNTAX_ERROR`; clients parse it from the text. */
export function refusal(code: number, name: string, message: string): QueryError {
  return new QueryError(
    code,
    `Code: ${code}. DB::Exception: ${message} (${name}) (version ${ENGINE_VERSION})`,
  );
}

/** What the engine or the system threw, with the code that is in its text. */
export function queryErrorFrom(error: unknown): QueryError {
  if (error instanceof QueryError) return error;
  if (isErrno(error, "ENOSPC")) {
    return refusal(CLICKHOUSE_CODE.notEnoughSpace, "NOT_ENOUGH_SPACE", DISK_FULL);
  }
  const text = errorText(error);
  const match = /Code: (\d+)\. DB::(?:\w+)?Exception: ([\s\S]*)/.exec(text);
  const code = match === null ? CLICKHOUSE_CODE.unknownException : Number(match[1]);
  const message = (match?.[2] ?? text).trim().replace(/(?=\(NOT_ENOUGH_SPACE\))/, `${DISK_FULL} `);
  const version = message.includes("(version ") ? "" : ` (version ${ENGINE_VERSION})`;
  return new QueryError(code, `Code: ${code}. DB::Exception: ${message}${version}`, {
    cause: error,
  });
}

/** ClickHouse release inside the `chdb` package; its error texts end with it. */
export const ENGINE_VERSION = "26.7.2.1";

const DISK_FULL =
  "The disk under the tables is full: free some space there, or start with another --data directory.";

// As in ClickHouse's src/Server/HTTP/exceptionCodeToHTTPStatus.cpp.
const FORBIDDEN = new Set([164, 192, 193, 194, 497, 516]);
const BAD_REQUEST = new Set([
  6, 10, 15, 16, 20, 26, 27, 36, 38, 41, 42, 43, 44, 53, 57, 62, 69, 70, 72, 80, 82, 89, 117, 179,
  184, 215, 349, 386, 271, 456, 457,
]);
const NOT_FOUND = new Set([46, 47, 50, 56, 60, 63, 73, 81, 115, 511]);

function httpStatusOf(code: number): number {
  if (FORBIDDEN.has(code)) return 403;
  if (BAD_REQUEST.has(code)) return 400;
  if (NOT_FOUND.has(code)) return 404;
  if (code === CLICKHOUSE_CODE.queryIsTooLarge) return 413;
  if (code === CLICKHOUSE_CODE.notImplemented) return 501;
  if (code === CLICKHOUSE_CODE.notEnoughSpace) return 507;
  return code === 159 ? 408 : 500;
}
