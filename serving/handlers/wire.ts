import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { type Violation } from "./validate.ts";

/**
 * Looks through an encoded message for what a decoder would misread or refuse without saying where: fields of
 * another type, text that is no UTF-8, lengths past the end.
 * @param prefix - put before each field, for example `requests[3].`.
 * @returns the first thing that is wrong; undefined when the bytes are a message of `desc`.
 */
export function wireViolation(
  desc: DescMessage,
  bytes: Uint8Array,
  prefix = "",
): Violation | undefined {
  return walk(tableOf(desc), { bytes, at: 0 }, bytes.length, prefix, 0);
}

/** Wire types of protobuf. */
const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;
/** Nested messages; the contract nests three deep. */
const MAX_DEPTH = 16;
const MAX_VARINT_BYTES = 10;

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

interface Entry {
  readonly name: string;
  readonly rule: string;
  readonly wireType: number;
  /** A repeated number may come packed. */
  readonly isPackable: boolean;
  readonly isText: boolean;
  readonly message: DescMessage | undefined;
}

type Table = ReadonlyMap<number, Entry>;

const tables = new Map<DescMessage, Table>();

function tableOf(desc: DescMessage): Table {
  let table = tables.get(desc);
  if (table === undefined) {
    table = new Map(desc.fields.map((field) => [field.number, entryOf(field)]));
    tables.set(desc, table);
  }
  return table;
}

const FIXED64_TYPES: ReadonlySet<ScalarType> = new Set([
  ScalarType.DOUBLE,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);
const FIXED32_TYPES: ReadonlySet<ScalarType> = new Set([
  ScalarType.FLOAT,
  ScalarType.FIXED32,
  ScalarType.SFIXED32,
]);

function entryOf(field: DescField): Entry {
  const { name, fieldKind } = field;
  const message = fieldKind === "message" || fieldKind === "list" ? field.message : undefined;
  const isMap = fieldKind === "map";
  const scalar = "scalar" in field && fieldKind !== "map" ? field.scalar : undefined;
  let wireType = VARINT;
  if (
    message !== undefined ||
    isMap ||
    scalar === ScalarType.STRING ||
    scalar === ScalarType.BYTES
  ) {
    wireType = DELIMITED;
  } else if (scalar !== undefined && FIXED64_TYPES.has(scalar)) wireType = FIXED64;
  else if (scalar !== undefined && FIXED32_TYPES.has(scalar)) wireType = FIXED32;
  const isText = scalar === ScalarType.STRING;
  const isPackable = fieldKind === "list" && wireType !== DELIMITED;
  return {
    name,
    rule: `must be ${TYPE_WORDS[wireType] ?? ""}`,
    wireType,
    isPackable,
    isText,
    message,
  };
}

const TYPE_WORDS: Readonly<Record<number, string>> = {
  [VARINT]: "a whole number or flag (wire type 0)",
  [FIXED64]: "a double (wire type 1)",
  [DELIMITED]: "text, bytes or a message (wire type 2)",
  [FIXED32]: "a float (wire type 5)",
};

function walk(
  table: Table,
  cursor: Cursor,
  end: number,
  prefix: string,
  depth: number,
): Violation | undefined {
  const { bytes } = cursor;
  const cut = (name: string): Violation => cutOff(prefix + name);
  while (cursor.at < end) {
    const tag = varint(cursor, end);
    if (tag < 0) return cut("message");
    const number = Math.floor(tag / 8);
    const wireType = tag % 8;
    const entry = table.get(number);
    const name = entry?.name ?? `field ${number}`;
    if (number === 0)
      return { field: `${prefix}message`, value: "field number 0", rule: "must be protobuf" };
    if (entry !== undefined && entry.wireType !== wireType) {
      if (!entry.isPackable || wireType !== DELIMITED) {
        return { field: prefix + name, value: `wire type ${wireType}`, rule: entry.rule };
      }
    }
    if (wireType === VARINT) {
      if (varint(cursor, end) < 0) return cut(name);
    } else if (wireType === DELIMITED) {
      const length = varint(cursor, end);
      if (length < 0 || cursor.at + length > end) return cut(name);
      const to = cursor.at + length;
      if (entry?.isText === true && !isUtf8(bytes, cursor.at, to)) {
        return {
          field: prefix + name,
          value: hexText(bytes, cursor.at, to),
          rule: "must be UTF-8",
        };
      }
      if (entry?.isPackable === true && !isPacked(cursor, to, entry.wireType)) {
        return {
          field: prefix + name,
          value: `${length} bytes`,
          rule: "must be complete numbers, packed",
        };
      }
      if (entry?.message !== undefined) {
        if (depth >= MAX_DEPTH)
          return {
            field: prefix + name,
            value: "nested",
            rule: `must be at most ${MAX_DEPTH} deep`,
          };
        const found = walk(tableOf(entry.message), cursor, to, `${prefix}${name}.`, depth + 1);
        if (found !== undefined) return found;
      }
      cursor.at = to;
    } else if (wireType === FIXED64 || wireType === FIXED32) {
      cursor.at += wireType === FIXED64 ? 8 : 4;
      if (cursor.at > end) return cut(name);
    } else {
      return {
        field: prefix + name,
        value: `wire type ${wireType}`,
        rule: "must be protobuf (no groups)",
      };
    }
  }
  return undefined;
}

/** @returns the number, exact up to 2^53; -1 when it does not end in time. */
function varint(cursor: Cursor, end: number): number {
  const { bytes } = cursor;
  let value = 0;
  let scale = 1;
  for (let i = 0; i < MAX_VARINT_BYTES && cursor.at < end; i += 1) {
    const byte = bytes[cursor.at] ?? 0;
    cursor.at += 1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 128;
  }
  return -1;
}

function cutOff(field: string): Violation {
  return { field, value: "bytes that end early", rule: "must be complete" };
}

/** True when a packed list ends with its last number; the cursor is moved. */
function isPacked(cursor: Cursor, to: number, wireType: number): boolean {
  if (wireType === FIXED64) return (to - cursor.at) % 8 === 0;
  if (wireType === FIXED32) return (to - cursor.at) % 4 === 0;
  while (cursor.at < to) if (varint(cursor, to) < 0) return false;
  return true;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

function isUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  let i = from;
  // Names are ASCII mostly.
  while (i < to && (bytes[i] ?? 0) < 0x80) i += 1;
  if (i === to) return true;
  try {
    decoder.decode(bytes.subarray(from, to));
    return true;
  } catch {
    // The decoder has no other way to say so.
    return false;
  }
}

/** Bytes of a wrong text that an error repeats. */
const MAX_HEX_BYTES = 16;

function hexText(bytes: Uint8Array, from: number, to: number): string {
  const shown = bytes.subarray(from, Math.min(to, from + MAX_HEX_BYTES));
  return `0x${Buffer.from(shown).toString("hex")}${to - from > MAX_HEX_BYTES ? "…" : ""}`;
}

/**
 * The encoded messages of a repeated field at the top of a message, without a copy.
 * @param bytes - that {@link wireViolation} has nothing against at the top level.
 */
export function* messagesIn(bytes: Uint8Array, fieldNumber: number): Generator<Uint8Array> {
  const cursor: Cursor = { bytes, at: 0 };
  while (cursor.at < bytes.length) {
    const tag = varint(cursor, bytes.length);
    const wireType = tag % 8;
    if (tag < 0) return;
    if (wireType === DELIMITED) {
      const length = varint(cursor, bytes.length);
      const from = cursor.at;
      cursor.at += Math.max(0, length);
      if (Math.floor(tag / 8) === fieldNumber) yield bytes.subarray(from, cursor.at);
    } else if (wireType === VARINT) varint(cursor, bytes.length);
    else if (wireType === FIXED64) cursor.at += 8;
    else if (wireType === FIXED32) cursor.at += 4;
    else return;
  }
}

/** A message whose fields are checked one by one later: only its own tags and lengths. */
export function outerViolation(desc: DescMessage, bytes: Uint8Array): Violation | undefined {
  const shallow = new Map(
    [...tableOf(desc)].map(([number, entry]) => [number, { ...entry, message: undefined }]),
  );
  return walk(shallow, { bytes, at: 0 }, bytes.length, "", 0);
}
