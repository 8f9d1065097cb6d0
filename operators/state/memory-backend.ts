import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  type NamedState,
  NamedStateSchema,
  type StateDescriptor,
  StateDescriptorSchema,
  StateEntrySchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { Codec } from "./codec.ts";
import type { ListState, MapState, StateHandles, StateSpec, ValueState } from "./keyed-state.ts";

type Cell = unknown;
type AnyCodec = Codec<unknown>;

/**
 * Keyed state of one operator, in memory, arranged by key group so that a group can be written, dropped or
 * moved alone.
 */
export class MemoryBackend<S extends StateSpec> {
  readonly handles: StateHandles<S>;
  readonly #uid: string;
  readonly #spec: S;
  /** state name → key group → key → value, list or map. */
  readonly #cells = new Map<string, Map<number, Map<string, Cell>>>();
  #key = "";
  #keyGroup = -1;

  constructor(uid: string, spec: S) {
    this.#uid = uid;
    this.#spec = spec;
    const handles: Record<string, unknown> = {};
    for (const [name, declaration] of Object.entries(spec)) {
      this.#cells.set(name, new Map());
      handles[name] = this.#handle(name, declaration.kind);
    }
    this.handles = handles as StateHandles<S>;
  }

  /** Points every handle at this key. */
  setKey(key: string, keyGroup: number): void {
    this.#key = key;
    this.#keyGroup = keyGroup;
  }

  descriptors(): StateDescriptor[] {
    return Object.entries(this.#spec).map(([stateName, { kind, codec }]) =>
      create(StateDescriptorSchema, {
        operatorUid: this.#uid,
        stateName,
        kind,
        typeName: (codec as AnyCodec).typeName,
      }),
    );
  }

  keyGroups(): Set<number> {
    const groups = new Set<number>();
    for (const byGroup of this.#cells.values())
      for (const group of byGroup.keys()) groups.add(group);
    return groups;
  }

  /** All state of one key group, keys in insertion order. */
  snapshot(keyGroup: number): NamedState[] {
    const states: NamedState[] = [];
    for (const [name, byGroup] of this.#cells) {
      const cells = byGroup.get(keyGroup);
      if (cells === undefined || cells.size === 0) continue;
      const state = create(NamedStateSchema, { name });
      const { kind, codec } = this.#declaration(name);
      for (const [key, cell] of cells) appendEntries(state, kind, codec, key, cell);
      states.push(state);
    }
    return states;
  }

  restore(keyGroup: number, states: readonly NamedState[]): void {
    for (const { name, entries } of states) {
      const { kind, codec } = this.#declaration(name);
      const cells = this.#group(name, keyGroup);
      for (const { key, mapKey, value } of entries) {
        const decoded = codec.decode(value);
        if (kind === "value") cells.set(key, decoded);
        else if (kind === "list") listOf(cells, key).push(decoded);
        else mapOf(cells, key).set(mapKey, decoded);
      }
    }
  }

  #declaration(name: string): { kind: "value" | "list" | "map"; codec: AnyCodec } {
    const declaration = this.#spec[name];
    assert(declaration !== undefined, `operator ${this.#uid} has no state ${name}`);
    return { kind: declaration.kind, codec: declaration.codec as AnyCodec };
  }

  #group(name: string, keyGroup: number): Map<string, Cell> {
    const byGroup = this.#cells.get(name);
    assert(byGroup !== undefined, `operator ${this.#uid} has no state ${name}`);
    let cells = byGroup.get(keyGroup);
    if (cells === undefined) byGroup.set(keyGroup, (cells = new Map()));
    return cells;
  }

  #handle(name: string, kind: "value" | "list" | "map"): unknown {
    const cells = (): Map<string, Cell> => this.#group(name, this.#keyGroup);
    const key = (): string => this.#key;
    if (kind === "value") return valueHandle(cells, key);
    return kind === "list" ? listHandle(cells, key) : mapHandle(cells, key);
  }
}

function valueHandle(cells: () => Map<string, Cell>, key: () => string): ValueState<unknown> {
  return {
    get: () => cells().get(key()),
    set: (value) => void cells().set(key(), value),
    clear: () => void cells().delete(key()),
  };
}

function listHandle(cells: () => Map<string, Cell>, key: () => string): ListState<unknown> {
  return {
    get: () => (cells().get(key()) as unknown[] | undefined) ?? [],
    add: (value) => void listOf(cells(), key()).push(value),
    set: (values) => void cells().set(key(), [...values]),
    clear: () => void cells().delete(key()),
  };
}

function mapHandle(cells: () => Map<string, Cell>, key: () => string): MapState<unknown> {
  const current = (): Map<string, unknown> | undefined =>
    cells().get(key()) as Map<string, unknown> | undefined;
  return {
    get: (mapKey) => current()?.get(mapKey),
    set: (mapKey, value) => void mapOf(cells(), key()).set(mapKey, value),
    delete: (mapKey) => {
      const map = current();
      if (map?.delete(mapKey) === true && map.size === 0) cells().delete(key());
    },
    entries: () => current()?.entries() ?? [],
    clear: () => void cells().delete(key()),
  };
}

function listOf(cells: Map<string, Cell>, key: string): unknown[] {
  let list = cells.get(key) as unknown[] | undefined;
  if (list === undefined) cells.set(key, (list = []));
  return list;
}

function mapOf(cells: Map<string, Cell>, key: string): Map<string, unknown> {
  let map = cells.get(key) as Map<string, unknown> | undefined;
  if (map === undefined) cells.set(key, (map = new Map()));
  return map;
}

function appendEntries(
  state: NamedState,
  kind: "value" | "list" | "map",
  codec: AnyCodec,
  key: string,
  cell: Cell,
): void {
  const push = (value: unknown, mapKey = ""): void =>
    void state.entries.push(create(StateEntrySchema, { key, mapKey, value: codec.encode(value) }));
  if (kind === "value") push(cell);
  else if (kind === "list") for (const value of cell as unknown[]) push(value);
  else for (const [mapKey, value] of cell as Map<string, unknown>) push(value, mapKey);
}
