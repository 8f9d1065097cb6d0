import {
  type DescField,
  type DescMessage,
  fromBinary,
  type MessageShape,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

/** One field of a message that state is made of. */
export interface Field {
  /** Full name of the message that has the field. */
  readonly message: string;
  readonly number: number;
  readonly name: string;
  readonly type: string;
}

/** How one state value becomes bytes; type and fields are compared when a snapshot is restored. */
export interface Codec<T> {
  /** Full name of the message type, or `string`, `double`. */
  readonly typeName: string;
  /** Fields of the message and of the messages in it; absent for scalars. */
  readonly fields?: () => readonly Field[];
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** State as a Protobuf message: it evolves by the rules that messages evolve by. */
export function protoCodec<D extends DescMessage>(schema: D): Codec<MessageShape<D>> {
  return {
    typeName: schema.typeName,
    fields: () => fieldsOf(schema, new Map()),
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

/** A value with its event time: the eight bytes of the time, then the value's own. */
export function timedCodec<T>(codec: Codec<T>): Codec<Timed<T>> {
  return {
    ...wrapped(codec, (inner) => `timed<${inner}>`),
    encode: ({ value, eventTimeMs }) =>
      Buffer.concat([numberCodec.encode(eventTimeMs), codec.encode(value)]),
    decode: (bytes) => ({
      eventTimeMs: numberCodec.decode(bytes),
      value: codec.decode(bytes.subarray(8)),
    }),
  };
}

export interface Timed<T> {
  readonly value: T;
  readonly eventTimeMs: number;
}

/** A list as one value: each element behind its length. */
export function listCodec<T>(codec: Codec<T>): Codec<T[]> {
  return {
    ...wrapped(codec, (inner) => `list<${inner}>`),
    encode: (values) => {
      const writer = new BinaryWriter();
      for (const value of values) writer.bytes(codec.encode(value));
      return writer.finish();
    },
    decode: (bytes) => {
      const reader = new BinaryReader(bytes);
      const values: T[] = [];
      while (reader.pos < reader.len) values.push(codec.decode(reader.bytes()));
      return values;
    },
  };
}

function wrapped<T>(
  { typeName, fields }: Codec<T>,
  name: (inner: string) => string,
): Pick<Codec<T>, "typeName" | "fields"> {
  return { typeName: name(typeName), ...(fields === undefined ? {} : { fields }) };
}

function fieldsOf(schema: DescMessage, seen: Map<string, Field[]>): Field[] {
  if (!seen.has(schema.typeName)) {
    const own: Field[] = [];
    seen.set(schema.typeName, own);
    for (const field of schema.fields) {
      const { number, name } = field;
      own.push({ message: schema.typeName, number, name, type: typeOf(field) });
      if (field.message !== undefined) fieldsOf(field.message, seen);
    }
  }
  return [...seen.values()].flat();
}

function typeOf(field: DescField): string {
  const scalar = (type: ScalarType | undefined): string =>
    (ScalarType[type ?? ScalarType.STRING] ?? "").toLowerCase();
  const inner = field.message?.typeName ?? field.enum?.typeName ?? scalar(field.scalar);
  if (field.fieldKind === "map") return `map<${scalar(field.mapKey)}, ${inner}>`;
  return field.fieldKind === "list" ? `repeated ${inner}` : inner;
}
