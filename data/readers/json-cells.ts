import { ID_MAX, type Problem } from "./row-cells.ts";

/** Anything out of `JSON.parse`. */
export type Json = unknown;
export type JsonRecord = Readonly<Record<string, Json>>;

/** The value when it is an object. */
export function record(value: Json): JsonRecord | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonRecord)
    : undefined;
}

export function member(value: Json, name: string): Json {
  return record(value)?.[name];
}

/** The elements, none when it is no array. */
export function list(value: Json): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** Text or number as text, else "". */
export function text(value: Json): string {
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : "";
}

/** An id, a number or spelled as text; 0 for whatever is none. */
export function idOf(value: Json): number {
  const id = Number(text(value) || 0);
  return Number.isInteger(id) && id > 0 && id <= ID_MAX ? id : 0;
}

/** `JSON.parse` that gives undefined for what is no JSON. */
export function parseJson(source: string): Json {
  try {
    return JSON.parse(source) as Json;
  } catch {
    return undefined;
  }
}

/** Typed view of one JSON object; the first wrong value is kept as `problem`. */
export class JsonCells {
  readonly #record: JsonRecord;
  problem: Problem | undefined;

  constructor(value: Json) {
    const found = record(value);
    this.#record = found ?? {};
    if (found === undefined) this.reject("MALFORMED_ROW", "the action is no JSON object");
  }

  reject(reason: string, message: string): void {
    this.problem ??= { reason, message };
  }

  text(name: string): string {
    return text(this.#record[name]);
  }

  /** A whole number, also spelled as text; 0 when missing or null. */
  id(name: string): number {
    return this.#whole(name, ID_MAX) ?? 0;
  }

  requiredInt(name: string, min: number, max: number): number {
    const value = this.#whole(name, max);
    if (value !== undefined && value >= min) return value;
    const found = this.text(name);
    this.reject("BAD_NUMBER", `${name} is "${found}", expected a number from ${min} to ${max}`);
    return min;
  }

  decimal(name: string): number | undefined {
    const value = this.#record[name];
    return typeof value === "number" && Number.isFinite(value) ? value : undefined;
  }

  #whole(name: string, max: number): number | undefined {
    const found = this.text(name);
    if (found === "") return undefined;
    const value = Number(found);
    if (Number.isInteger(value) && value >= 0 && value <= max) return value;
    this.reject("BAD_NUMBER", `${name} is "${found}", expected a whole number from 0 to ${max}`);
    return undefined;
  }
}
