import type { Codec } from "./codec.ts";

/** One value a key. `get` returns the live object: change it in place or `set` another. */
export interface ValueState<T> {
  get(): T | undefined;
  set(value: T): void;
  clear(): void;
}

/** A list a key, in the order of `add`. */
export interface ListState<T> {
  get(): readonly T[];
  add(value: T): void;
  set(values: readonly T[]): void;
  clear(): void;
}

/** A map a key, in insertion order. */
export interface MapState<T> {
  get(mapKey: string): T | undefined;
  set(mapKey: string, value: T): void;
  delete(mapKey: string): void;
  entries(): Iterable<readonly [string, T]>;
  clear(): void;
}

/** One value a key that swallows what is added to it; of the same type, or by way of an aggregate. */
export interface FoldingState<I, R> {
  get(): R | undefined;
  add(value: I): void;
  clear(): void;
}

/** How values are folded: only the accumulator is kept, never the values. */
export interface Aggregate<I, A, R> {
  readonly codec: Codec<A>;
  create(): A;
  /** May change and return the accumulator that it is given. */
  add(accumulator: A, value: I): A;
  result(accumulator: A): R;
  /**
   * Joins two accumulators; may change and return the first. Needed by windows that merge; lets sliding
   * windows share their slices.
   */
  merge?(into: A, from: A): A;
}

/** When state that nobody uses goes away, in processing time. */
export interface TimeToLive {
  /** A value is expired when this much has passed since its last access. */
  readonly ttlMs: number;
  /** What counts as access: writing, or reading too. */
  readonly refresh: "write" | "read-and-write";
  /** Whether reading an expired value that is still there gives it once more, or nothing. */
  readonly visibility: "never" | "if-not-cleaned";
  /** Keys whose expired values are looked for at every access; default 0: only what is accessed is removed. */
  readonly cleanupKeys?: number;
  /** Leave expired values out of snapshots; default false. */
  readonly cleanupInSnapshot?: boolean;
}

type Kind = "value" | "list" | "map" | "reducing" | "aggregating";

/** Declares a state; the name it gets in the operator's `state` object is part of the snapshot. */
export interface StateDeclaration<H> {
  readonly kind: Kind;
  readonly codec: Codec<unknown>;
  readonly ttl?: TimeToLive | undefined;
  /** For the kinds that fold. */
  readonly aggregate?: Aggregate<unknown, unknown, unknown>;
  /** Only for the compiler: what the operator gets to use it by. */
  readonly handle?: H;
}

/** Declares one value a key. */
export function valueState<T>(codec: Codec<T>, ttl?: TimeToLive): StateDeclaration<ValueState<T>> {
  return { kind: "value", codec, ttl };
}

/** Declares a list a key. Its elements live and expire one by one. */
export function listState<T>(codec: Codec<T>, ttl?: TimeToLive): StateDeclaration<ListState<T>> {
  return { kind: "list", codec, ttl };
}

/** Declares a map from strings a key. Its entries live and expire one by one. */
export function mapState<T>(codec: Codec<T>, ttl?: TimeToLive): StateDeclaration<MapState<T>> {
  return { kind: "map", codec, ttl };
}

/** Declares a value a key that is the reduction of all that was added. */
export function reducingState<T>(
  codec: Codec<T>,
  reduce: (a: T, b: T) => T,
  ttl?: TimeToLive,
): StateDeclaration<FoldingState<T, T>> {
  return {
    kind: "reducing",
    codec,
    ttl,
    aggregate: reduceBy(codec, reduce) as Aggregate<unknown, unknown, unknown>,
  };
}

/** Declares a value a key that aggregates all that was added. */
export function aggregatingState<I, A, R>(
  aggregate: Aggregate<I, A, R>,
  ttl?: TimeToLive,
): StateDeclaration<FoldingState<I, R>> {
  return {
    kind: "aggregating",
    codec: aggregate.codec,
    ttl,
    aggregate: aggregate,
  };
}

/** All states of an operator by name. */
export type StateSpec = Readonly<Record<string, StateDeclaration<unknown>>>;

/** The handles that an operator with this spec gets; they always speak of the current key. */
export type StateHandles<S extends StateSpec> = {
  readonly [N in keyof S]: S[N] extends StateDeclaration<infer H> ? H : never;
};

/** An aggregate that keeps one value of the input's own type. */
export function reduceBy<T>(codec: Codec<T>, reduce: (a: T, b: T) => T): Aggregate<T, T, T> {
  // The first value starts the fold: there is no neutral element, and `undefined` never leaves.
  const fold = (a: T | undefined, b: T): T => (a === undefined ? b : reduce(a, b));
  return {
    codec,
    create: () => undefined as T,
    add: fold,
    result: (value) => value,
    merge: fold,
  };
}
