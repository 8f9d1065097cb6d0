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

/** Declares a state; the name it gets in the operator's `state` object is part of the snapshot. */
export type StateDeclaration<T = never> =
  | { readonly kind: "value"; readonly codec: Codec<T> }
  | { readonly kind: "list"; readonly codec: Codec<T> }
  | { readonly kind: "map"; readonly codec: Codec<T> };

export type ValueStateDeclaration<T> = { readonly kind: "value"; readonly codec: Codec<T> };
export type ListStateDeclaration<T> = { readonly kind: "list"; readonly codec: Codec<T> };
export type MapStateDeclaration<T> = { readonly kind: "map"; readonly codec: Codec<T> };

/** Declares one value a key. */
export function valueState<T>(codec: Codec<T>): ValueStateDeclaration<T> {
  return { kind: "value", codec };
}

/** Declares a list a key. */
export function listState<T>(codec: Codec<T>): ListStateDeclaration<T> {
  return { kind: "list", codec };
}

/** Declares a map from strings a key. */
export function mapState<T>(codec: Codec<T>): MapStateDeclaration<T> {
  return { kind: "map", codec };
}

/** All states of an operator by name. */
export type StateSpec = Readonly<
  Record<string, { kind: "value" | "list" | "map"; codec: unknown }>
>;

/** The handles that an operator with this spec gets; they always speak of the current key. */
export type StateHandles<S extends StateSpec> = {
  readonly [N in keyof S]: S[N] extends ValueStateDeclaration<infer T>
    ? ValueState<T>
    : S[N] extends ListStateDeclaration<infer T>
      ? ListState<T>
      : S[N] extends MapStateDeclaration<infer T>
        ? MapState<T>
        : never;
};
