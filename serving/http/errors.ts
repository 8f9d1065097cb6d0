import { CourtsideError } from "../../base/errors.ts";
import { PredictDeadlineError, PredictRejectedError, PredictUnavailableError } from "../client.ts";
import { NoExplanationError } from "../handlers/explain.ts";
import { InvalidInputError, type Violation } from "../handlers/validate.ts";
import { TooManyCallsError } from "../limits.ts";
import { CallExpiredError, OverloadedError } from "../model/batcher.ts";
import { SchemaMismatchError, UnknownModelError } from "../model/registry.ts";
import { retryAfterMsOf, UnauthenticatedError } from "../status.ts";

/** The request cannot be read as an HTTP request for a prediction. */
export class HttpRequestError extends CourtsideError {
  override readonly code: string;
  override readonly retryable = false;
  readonly httpStatus: number;

  constructor(httpStatus: number, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.httpStatus = httpStatus;
    this.code = code;
  }
}

/** What a caller is told of an error; the body is `{"error": {...}}` of all but the status. */
export interface HttpError {
  readonly httpStatus: number;
  readonly code: string;
  readonly message: string;
  readonly violations?: readonly Violation[];
  /** How long to wait before another try, milliseconds. */
  readonly retryAfterMs?: number;
}

/** Violations of one answer; a body can be wrong in thousands of places. */
const MAX_VIOLATIONS = 64;
/** A scoring server that is away is back within a second or two. */
const AWAY_RETRY_MS = 1_000;

/**
 * The only place where errors become HTTP statuses; the text of an unknown error stays inside.
 * @param bodyLimit - of the route, bytes.
 */
export function toHttpError(error: unknown, bodyLimit = 0): HttpError {
  const told = ownError(error) ?? remoteError(error) ?? frameworkError(error, bodyLimit);
  if (told !== undefined) return told;
  return {
    httpStatus: 500,
    code: "INTERNAL",
    message: "internal error; the server's log has the cause",
  };
}

function ownError(error: unknown): HttpError | undefined {
  if (!(error instanceof CourtsideError)) return undefined;
  const { message } = error;
  if (error instanceof InvalidInputError) {
    const violations = error.violations.slice(0, MAX_VIOLATIONS);
    return { httpStatus: 400, code: "INVALID_ARGUMENT", message, violations };
  }
  if (error instanceof HttpRequestError) {
    return { httpStatus: error.httpStatus, code: error.code, message };
  }
  if (error instanceof UnauthenticatedError) {
    return {
      httpStatus: 401,
      code: "UNAUTHENTICATED",
      message: message.replace("metadata", "header"),
    };
  }
  if (error instanceof UnknownModelError) return { httpStatus: 404, code: "NOT_FOUND", message };
  if (error instanceof SchemaMismatchError || error instanceof NoExplanationError) {
    return { httpStatus: 412, code: "FAILED_PRECONDITION", message };
  }
  if (error instanceof OverloadedError || error instanceof TooManyCallsError) {
    const retryAfterMs = retryAfterMsOf(error) ?? AWAY_RETRY_MS;
    return { httpStatus: 429, code: "RESOURCE_EXHAUSTED", message, retryAfterMs };
  }
  if (error instanceof CallExpiredError) {
    return { httpStatus: 503, code: "DEADLINE_EXCEEDED", message, retryAfterMs: AWAY_RETRY_MS };
  }
  return undefined;
}

/** Statuses of a scoring server elsewhere, as HTTP has them. */
const HTTP_OF_STATUS: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  UNAUTHENTICATED: 502,
  NOT_FOUND: 404,
  FAILED_PRECONDITION: 412,
  RESOURCE_EXHAUSTED: 429,
};

function remoteError(error: unknown): HttpError | undefined {
  if (error instanceof PredictRejectedError) {
    const { status: code, message } = error;
    const httpStatus = HTTP_OF_STATUS[code] ?? 500;
    if (httpStatus === 500) return undefined;
    const retryAfterMs = error.retryAfterMs ?? (error.retryable ? AWAY_RETRY_MS : undefined);
    return { httpStatus, code, message, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  }
  if (error instanceof PredictUnavailableError || error instanceof PredictDeadlineError) {
    const { code, message } = error;
    return { httpStatus: 503, code, message, retryAfterMs: AWAY_RETRY_MS };
  }
  return undefined;
}

/** What the framework refuses by itself, in this server's words. */
function frameworkError(error: unknown, bodyLimit: number): HttpError | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  switch (error.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return {
        httpStatus: 413,
        code: "BODY_TOO_LARGE",
        message: `the body must be at most ${bodyLimit} bytes`,
      };
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return {
        httpStatus: 400,
        code: "INVALID_BODY",
        message: "the body is not as long as content-length says",
      };
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
      return { httpStatus: 400, code: "INVALID_JSON", message: "the body is empty" };
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return {
        httpStatus: 415,
        code: "UNSUPPORTED_MEDIA_TYPE",
        message: "content-type must be application/json",
      };
    case "FST_ERR_BAD_URL":
      return { httpStatus: 400, code: "INVALID_URL", message: "the path is no valid URL path" };
    default:
      return undefined;
  }
}
