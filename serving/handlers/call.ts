import { fromBinary, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { type CallState } from "../model/batcher.ts";
import { InvalidInputError } from "./validate.ts";
import { wireViolation } from "./wire.ts";

/** What a unary handler works on: bytes in, bytes out, and how many rows they were. */
export type BytesHandler = (
  request: Uint8Array,
  call: CallState,
) => Promise<{ readonly response: Buffer; readonly rows: number }>;

/**
 * @param prefix - put before each field, for example `requests[3].`.
 * @throws InvalidInputError that names the field that cannot be read.
 */
export function decoded<S extends DescMessage>(
  schema: S,
  bytes: Uint8Array,
  prefix = "",
): MessageShape<S> {
  const violation = wireViolation(schema, bytes, prefix);
  if (violation !== undefined) throw new InvalidInputError([violation]);
  return read(schema, bytes, prefix);
}

/** What is wrong inside of a map, the library finds, without saying where. */
function read<S extends DescMessage>(
  schema: S,
  bytes: Uint8Array,
  prefix: string,
): MessageShape<S> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    const violation = { field: `${prefix}message`, value: `${bytes.length} bytes` };
    throw new InvalidInputError([{ ...violation, rule: "must be protobuf of its type" }], {
      cause: error,
    });
  }
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
