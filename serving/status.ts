import { Metadata, status } from "@grpc/grpc-js";
import { CourtsideError } from "../base/errors.ts";
import { NoExplanationError } from "./handlers/explain.ts";
import { InvalidInputError } from "./handlers/validate.ts";
import { TooManyCallsError } from "./limits.ts";
import { CallExpiredError, OverloadedError } from "./model/batcher.ts";
import { SchemaMismatchError, UnknownModelError } from "./model/registry.ts";

/** What a caller is told of an error. */
export interface CallStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata?: Metadata;
}

/** Trailer that tells how long to wait before another try, milliseconds (gRPC proposal A6). */
export const PUSHBACK_TRAILER = "grpc-retry-pushback-ms";
/** Characters of an error in a trailer; escaped, they are at most nine times as many bytes. */
const MAX_DETAILS_CHARS = 1_500;

/** No token, or not one of the server's. */
export class UnauthenticatedError extends CourtsideError {
  override readonly code = "UNAUTHENTICATED";
  override readonly retryable = false;
}

/** The only place where errors become gRPC statuses; the text of an unknown error stays inside. */
export function toStatus(error: unknown): CallStatus {
  if (!(error instanceof CourtsideError)) {
    return { code: status.INTERNAL, details: "internal error; the server's log has the cause" };
  }
  // A lone half of a character pair cannot be escaped, and the library would fail on it.
  const details = error.message.slice(0, MAX_DETAILS_CHARS).toWellFormed();
  const waitMs = retryAfterMsOf(error);
  if (waitMs === undefined) return { code: codeOf(error), details };
  const metadata = new Metadata();
  metadata.set(PUSHBACK_TRAILER, String(waitMs));
  return { code: codeOf(error), details, metadata };
}

/** How long a caller should wait before it tries again; undefined when that would not help. */
export function retryAfterMsOf(error: unknown): number | undefined {
  if (error instanceof OverloadedError || error instanceof TooManyCallsError) {
    return error.retryAfterMs;
  }
  return undefined;
}

function codeOf(error: CourtsideError): status {
  if (error instanceof InvalidInputError) return status.INVALID_ARGUMENT;
  if (error instanceof UnknownModelError) return status.NOT_FOUND;
  if (error instanceof SchemaMismatchError) return status.FAILED_PRECONDITION;
  if (error instanceof NoExplanationError) return status.FAILED_PRECONDITION;
  if (error instanceof UnauthenticatedError) return status.UNAUTHENTICATED;
  if (error instanceof OverloadedError || error instanceof TooManyCallsError) {
    return status.RESOURCE_EXHAUSTED;
  }
  if (error instanceof CallExpiredError) {
    return error.reason === "deadline" ? status.DEADLINE_EXCEEDED : status.CANCELLED;
  }
  return error.retryable ? status.UNAVAILABLE : status.FAILED_PRECONDITION;
}
