import { status } from "@grpc/grpc-js";
import { CourtsideError } from "../base/errors.ts";
import { InvalidInputError } from "./handlers/validate.ts";
import { OverloadedError } from "./model/batcher.ts";
import { SchemaMismatchError, UnknownModelError } from "./model/registry.ts";

/** What a caller is told of an error. */
export interface CallStatus {
  readonly code: status;
  readonly details: string;
}

/** The only place where errors become gRPC statuses; the text of an unknown error stays inside. */
export function toStatus(error: unknown): CallStatus {
  if (!(error instanceof CourtsideError)) {
    return { code: status.INTERNAL, details: "internal error; the server's log has the cause" };
  }
  return { code: codeOf(error), details: error.message };
}

function codeOf(error: CourtsideError): status {
  if (error instanceof InvalidInputError) return status.INVALID_ARGUMENT;
  if (error instanceof UnknownModelError) return status.NOT_FOUND;
  if (error instanceof SchemaMismatchError) return status.FAILED_PRECONDITION;
  if (error instanceof OverloadedError) return status.RESOURCE_EXHAUSTED;
  return error.retryable ? status.UNAVAILABLE : status.FAILED_PRECONDITION;
}
