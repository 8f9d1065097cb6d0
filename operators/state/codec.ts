import { type DescMessage, type MessageShape, fromBinary, toBinary } from "@bufbuild/protobuf";

/** How one state value becomes bytes; `typeName` is compared when a snapshot is restored. */
export interface Codec<T> {
  /** Full name of the message type, or `string`, `double`. */
  readonly typeName: string;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** State as a Protobuf message: it evolves by the rules that messages evolve by. */
export function protoCodec<D extends DescMessage>(schema: D): Codec<MessageShape<D>> {
  return {
    typeName: schema.typeName,
    encode: (value) => toBinary(schema, value),
    decode: (bytes) => fromBinary(schema, bytes),
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** UTF-8. */
export const stringCodec: Codec<string> = {
  typeName: "string",
  encode: (value) => encoder.encode(value),
  decode: (bytes) => decoder.decode(bytes),
};

/** A 64-bit float; integers up to 2^53 are exact. */
export const numberCodec: Codec<number> = {
  typeName: "double",
  encode: (value) => new Uint8Array(Float64Array.of(value).buffer),
  decode: (bytes) => new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true),
};
