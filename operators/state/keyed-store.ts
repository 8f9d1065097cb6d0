import assert from "node:assert/strict";
import type { Clock } from "../../base/clock.ts";
import {
  type NamedState,
  type StateDescriptor,
  type StateEntry,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { ByteWriter } from "./byte-writer.ts";
import { describeState } from "./descriptors.ts";
import type { StateHandles, StateSpec } from "./keyed-state.ts";
import { KeyEntry, Space } from "./space.ts";
import { appendUnit, type CellType, cellType, type Cursor, makeHandle, unitsOf } from "./cells.ts";

/** How namespaces are told apart and written down. */
export interface NamespaceCodec<N> {
  same(a: N, b: N): boolean;
  encode(namespace: N): string;
  decode(text: string): N;
}

/**
 * Keyed state of one operator, in memory: key group → key → namespaces → states. A group can be written,
 * dropped or moved alone; an access costs one look-up a record, for the key, and none a state.
 */
export class KeyedStore<S extends StateSpec, N> {
  /** Handles of the current key. */
  readonly handles: StateHandles<S>;
  /** The same states in the current namespace. */
  readonly spaceHandles: StateHandles<S>;
  readonly types: readonly CellType[];
  entry: KeyEntry<N>;
  readonly #namespaces: NamespaceCodec<N>;
  readonly #uid: string;
  readonly #groups: (Map<string, KeyEntry<N>> | undefined)[] = [];
  readonly #rootCursor: Cursor;
  readonly #spaceCursor: Cursor;
  readonly #cleanupKeys: number;
  #cleaner: Iterator<KeyEntry<N>> | undefined;
  /** The current key may have lost its last state. */
  #unsettled = false;

  constructor(uid: string, spec: S, namespaces: NamespaceCodec<N>, clock: Clock) {
    this.#uid = uid;
    this.#namespaces = namespaces;
    this.types = Object.entries(spec).map(([name, each]) => cellType(name, each, clock));
    this.#cleanupKeys = Math.max(0, ...this.types.map(({ life }) => life?.cleanupKeys ?? 0));
    this.entry = new KeyEntry<N>("", -1);
    const emptied = (): void => {
      this.#unsettled = true;
    };
    this.#rootCursor = { space: this.entry.root, emptied };
    this.#spaceCursor = { space: this.entry.root, emptied };
    const handles = (cursor: Cursor): StateHandles<S> =>
      Object.fromEntries(
        this.types.map((type, index) => [type.name, makeHandle(type, index, cursor)]),
      ) as StateHandles<S>;
    this.handles = handles(this.#rootCursor);
    this.spaceHandles = handles(this.#spaceCursor);
  }

  /** Undefined when nothing is known of the key. */
  find(key: string, keyGroup: number): KeyEntry<N> | undefined {
    if (this.#unsettled) this.#settle();
    return this.entry.key === key && this.entry.keyGroup === keyGroup
      ? this.entry
      : this.#groups[keyGroup]?.get(key);
  }

  /** Makes the entry of a key that nothing is known of; one that stays empty goes by itself. */
  create(key: string, keyGroup: number): KeyEntry<N> {
    this.#settle();
    const entry = new KeyEntry<N>(key, keyGroup);
    (this.#groups[keyGroup] ??= new Map<string, KeyEntry<N>>()).set(key, entry);
    return entry;
  }

  /** Points everything at this key. */
  enter(entry: KeyEntry<N>): void {
    if (this.entry !== entry) {
      if (this.#unsettled) this.#settle();
      this.entry = entry;
      this.#rootCursor.space = entry.root;
      // A key without state must not stay: looked at when the next one is entered.
      if (entry.root.cells.length === 0) this.#unsettled = true;
    }
    if (this.#cleanupKeys > 0) this.#clean();
  }

  /** Points `spaceHandles` at a namespace. */
  enterSpace(space: Space<N>): void {
    this.#spaceCursor.space = space;
  }

  findSpace(namespace: N): Space<N> | undefined {
    const { children } = this.entry;
    // The newest first: records mostly belong to the latest window.
    for (let i = children.length - 1; i >= 0; i -= 1) {
      const child = children[i];
      if (child?.namespace !== undefined && this.#namespaces.same(child.namespace, namespace))
        return child;
    }
    return undefined;
  }

  /** The namespace of the current key, made when it is not there. */
  space(namespace: N): Space<N> {
    let space = this.findSpace(namespace);
    if (space === undefined) {
      space = new Space<N>(this.entry, namespace);
      this.entry.children.push(space);
      this.#unsettled = true;
    }
    return space;
  }

  /** Says that state or timers of the current key went away. */
  emptied(): void {
    this.#unsettled = true;
  }

  *entries(keyGroup?: number): Iterable<KeyEntry<N>> {
    this.#settle();
    if (keyGroup !== undefined) yield* this.#groups[keyGroup]?.values() ?? [];
    else for (const group of this.#groups) yield* group?.values() ?? [];
  }

  /** Rough, for metrics: keys held. */
  get size(): number {
    return this.#groups.reduce((sum, group) => sum + (group?.size ?? 0), 0);
  }

  descriptors(): StateDescriptor[] {
    return this.types.map(({ name, kind, codec }) => describeState(this.#uid, name, kind, codec));
  }

  /** Writes all state of one key group as `NamedState`s into field `field`. */
  write(keyGroup: number, field: number, into: ByteWriter): void {
    const entry = new ByteWriter();
    const state = new ByteWriter();
    this.#settle();
    for (const [index, type] of this.types.entries()) {
      const { name, codec } = type;
      for (const { key, root, children } of this.#groups[keyGroup]?.values() ?? [])
        for (const space of children.length === 0 ? [root] : [root, ...children]) {
          if (space.cells[index] === undefined) continue;
          for (const unit of unitsOf(type, space.cells[index])) {
            entry.text(1, key);
            if (space.namespace !== undefined)
              entry.text(2, this.#namespaces.encode(space.namespace));
            entry.text(3, unit.mapKey);
            entry.field(4, codec.encode(unit.value));
            entry.integer(5, unit.accessMs);
            if (state.size === 0) state.text(1, name);
            state.nest(2, entry);
          }
        }
      if (state.size > 0) into.nest(field, state);
    }
  }

  restore(keyGroup: number, states: readonly NamedState[]): void {
    for (const { name, entries } of states) {
      const index = this.types.findIndex((type) => type.name === name);
      const type = this.types[index];
      // Its descriptor was compared: state that is not there any more was allowed to stay behind.
      if (type !== undefined)
        for (const each of entries) this.#restore(keyGroup, type, index, each);
    }
  }

  /** The entry and namespace that something in a snapshot belongs to. */
  spaceAt(keyGroup: number, key: string, namespace: string): Space<N> {
    const entry = this.find(key, keyGroup) ?? this.create(key, keyGroup);
    this.enter(entry);
    return namespace === "" ? entry.root : this.space(this.#namespaces.decode(namespace));
  }

  #restore(
    keyGroup: number,
    type: CellType,
    index: number,
    { key, namespace, mapKey, value, lastAccessMs }: StateEntry,
  ): void {
    const { cells } = this.spaceAt(keyGroup, key, namespace);
    assert(this.#groups[keyGroup]?.has(key) === true, "a restored key is of the group it lies in");
    cells[index] = appendUnit(type, cells[index], {
      mapKey,
      value: type.codec.decode(value),
      accessMs: Number(lastAccessMs),
    });
  }

  /** Lets go of what is empty under the key that was worked on. */
  #settle(): void {
    if (!this.#unsettled) return;
    this.#unsettled = false;
    const { entry } = this;
    if (entry.children.some((space) => space.isEmpty()))
      entry.children = entry.children.filter((space) => !space.isEmpty());
    if (entry.children.length > 0 || entry.watermarkMs !== undefined || !entry.root.isEmpty())
      return;
    if (this.#groups[entry.keyGroup]?.get(entry.key) === entry) {
      this.#groups[entry.keyGroup]?.delete(entry.key);
      this.entry = new KeyEntry<N>("", -1);
    }
  }

  /** Looks for expired values in the next few keys, so that those which nobody asks for go too. */
  #clean(): void {
    for (let i = 0; i < this.#cleanupKeys; i += 1) {
      this.#cleaner ??= this.#all();
      const next = this.#cleaner.next();
      if (next.done === true) {
        this.#cleaner = undefined;
        return;
      }
      const entry = next.value;
      for (const { cells } of entry.spaces())
        for (const [index, type] of this.types.entries())
          if (type.life !== undefined && cells[index] !== undefined)
            cells[index] = type.life.sweep(type, cells[index]);
      if (entry === this.entry) this.#unsettled = true;
      else if (
        entry.watermarkMs === undefined &&
        [...entry.spaces()].every((space) => space.isEmpty())
      )
        this.#groups[entry.keyGroup]?.delete(entry.key);
    }
  }

  *#all(): Iterator<KeyEntry<N>> {
    for (const group of this.#groups) yield* group?.values() ?? [];
  }
}
