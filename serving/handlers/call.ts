import { fromBinary, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { type CallState } from "../model/batcher.ts";
import { InvalidInputError } from "./validate.ts";
import { wireViolation } from "./wire.ts";

/** What a unary handler works on: bytes in, bytes out, and how many rows they were. */
export type BytesHandler = (
  request: Uint8Array,
  call: CallState,
) => Promise<{ readonly response: Buffer; readonly rows: number }>;

/** @throws InvalidInputError that names the field that cannot be read. */
export function decoded<S extends DescMessage>(schema: S, bytes: Uint8Array): MessageShape<S> {
  const violation = wireViolation(schema, bytes);
  if (violation !== undefined) throw new InvalidInputError([violation]);
  return fromBinary(schema, bytes);
}

/** A response of the library's making. */
export function answered<S extends DescMessage>(
  schema: S,
  message: MessageShape<S>,
): Promise<{ readonly response: Buffer; readonly rows: number }> {
  return Promise.resolve({ response: Buffer.from(toBinary(schema, message)), rows: 0 });
}

/** What the model has to know of a call. */
export function stateOf(call: {
  readonly cancelled: boolean;
  getDeadline(): Date | number;
}): CallState {
  const deadlineMs = Number(call.getDeadline());
  return {
    deadlineMs,
    get cancelled() {
      return call.cancelled;
    },
  };
}
