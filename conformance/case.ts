import { MAX_TIME_MS, MIN_TIME_MS } from "../operators/mod.ts";

/** The case needs something that the runtime or this runner does not have; its line says what. */
export class Unsupported extends Error {}

/** A check did not hold; the message says step, expected and got. */
export class Mismatch extends Error {}

/** Anything that YAML can hold. */
export type Value = null | boolean | number | string | readonly Value[] | Fields;
export interface Fields {
  readonly [name: string]: Value;
}

/** One case of a file, with the fields of its kind. */
export interface Case extends Fields {
  readonly id: string;
  readonly kind: string;
}

/** Fields that every case may have. */
const COMMON = ["id", "kind", "src", "says", "dialect"];

/** A map whose keys are known. @throws Unsupported for any other key. */
export function fields(value: Value | undefined, known: readonly string[], what: string): Fields {
  if (value === undefined || value === null || typeof value !== "object" || Array.isArray(value))
    throw new Unsupported(`unsupported ${what}: ${JSON.stringify(value)}`);
  for (const name of Object.keys(value))
    if (!known.includes(name)) throw new Unsupported(`unsupported ${what} key ${name}`);
  return value as Fields;
}

/** The case's own fields, checked. */
export function config(of: Case, ...known: readonly string[]): Case {
  fields(of, [...COMMON, ...known], "config");
  return of;
}

export function list(value: Value | undefined): readonly Value[] {
  if (!Array.isArray(value))
    throw new Unsupported(`unsupported: ${JSON.stringify(value)} is no list`);
  return value as readonly Value[];
}

/** A map with one entry, or a bare name: `count: 3`, `event_time`. */
export function named(value: Value | undefined, what: string): readonly [string, Value] {
  if (typeof value === "string") return [value, null];
  const entries = Object.entries((value ?? {}) as Fields);
  const [only] = entries;
  if (only === undefined || entries.length > 1)
    throw new Unsupported(`unsupported ${what}: ${JSON.stringify(value)}`);
  return only;
}

/** A number, `MAX`, `MIN` or `MAX-n`. */
export function time(value: Value | undefined): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  if (value === "MAX") return MAX_TIME_MS;
  if (value === "MIN") return MIN_TIME_MS;
  const relative = typeof value === "string" ? /^(MAX|MIN)\s*([-+])\s*(\d+)$/.exec(value) : null;
  if (relative === null) throw new Unsupported(`unsupported time ${JSON.stringify(value)}`);
  const base = relative[1] === "MAX" ? MAX_TIME_MS : MIN_TIME_MS;
  return relative[2] === "-" ? base - Number(relative[3]) : base + Number(relative[3]);
}

export function times(value: Value | undefined): number[] {
  return list(value).map(time);
}

/** Entries of a map with integers as keys, ascending. */
export function byNumber(value: Value | undefined): readonly (readonly [number, Value])[] {
  return Object.entries((value ?? {}) as Fields)
    .map(([key, each]) => [Number(key), each] as const)
    .sort(([a], [b]) => a - b);
}

/** A name, of a split or a snapshot, as text. */
export function nameOf(value: Value | undefined): string {
  return typeof value === "string" ? value : keyText(value);
}

/** Keys and values are told apart by type too: `"5"` is not `5`. */
export function keyText(key: Value | undefined): string {
  return JSON.stringify(key ?? null);
}

export interface Step {
  readonly verb: string;
  readonly argument: Value;
  readonly ordered: boolean;
  /** Number and text of the step, for messages. */
  readonly label: string;
  readonly all: Fields;
}

/** Steps with one verb each; `beside` are keys that may stand next to it. */
export function steps(of: Case, beside: readonly string[] = []): readonly Step[] {
  return list(of["steps"]).map((each, i) => {
    const all = each as Fields;
    const verbs = Object.keys(all).filter((key) => key !== "ordered" && !beside.includes(key));
    const [verb] = verbs;
    if (verb === undefined || verbs.length > 1)
      throw new Unsupported(`unsupported step ${JSON.stringify(each)}`);
    return {
      verb,
      argument: all[verb] ?? null,
      ordered: all["ordered"] === true,
      label: `step ${String(i + 1)} ${JSON.stringify(each)}`,
      all,
    };
  });
}

export function unsupportedStep({ verb }: Step): never {
  throw new Unsupported(`unsupported step verb ${verb}`);
}

/** @throws Mismatch when the two differ. */
export function same(label: string, expected: unknown, got: unknown): void {
  if (text(expected) !== text(got))
    throw new Mismatch(`${label}: expected ${text(expected)} got ${text(got)}`);
}

/** Compares as multisets, or in order. */
export function sameRows(
  label: string,
  expected: readonly unknown[],
  got: readonly unknown[],
  ordered = false,
): void {
  const order = (rows: readonly unknown[]): string[] => {
    const texts = rows.map(text);
    return ordered ? texts : texts.sort();
  };
  if (text(order(expected)) !== text(order(got)))
    throw new Mismatch(`${label}: expected ${text(expected)} got ${text(got)}`);
}

/** JSON with the keys of maps in order, and `MAX` and `MIN` by their names. */
function text(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => {
    if (each === MAX_TIME_MS) return "MAX";
    if (each === MIN_TIME_MS) return "MIN";
    if (typeof each !== "object" || each === null || Array.isArray(each)) return each;
    return Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
