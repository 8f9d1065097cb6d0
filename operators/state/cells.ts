import type { Clock } from "../../base/clock.ts";
import { addTimeMs } from "../runtime/element.ts";
import type { Codec } from "./codec.ts";
import type {
  Aggregate,
  FoldingState,
  ListState,
  MapState,
  StateDeclaration,
  TimeToLive,
  ValueState,
} from "./keyed-state.ts";

/** A declared state as the store works with it. */
export interface CellType {
  readonly name: string;
  readonly kind: StateDeclaration<unknown>["kind"];
  readonly codec: Codec<unknown>;
  readonly aggregate: Aggregate<unknown, unknown, unknown> | undefined;
  /** Undefined for state that lives until it is cleared. */
  readonly life: Lifetime | undefined;
}

/** What a handle speaks of now. */
export interface Cursor {
  space: { readonly cells: unknown[] };
  /** Told when a cell has become empty. */
  emptied(): void;
}

/** The smallest thing that lives and expires alone: a value, an element of a list, an entry of a map. */
export interface Unit {
  readonly mapKey: string;
  readonly value: unknown;
  /** 0 for state without a time to live. */
  readonly accessMs: number;
}

interface Stamped {
  readonly value: unknown;
  accessMs: number;
}

export function cellType(
  name: string,
  declaration: StateDeclaration<unknown>,
  clock: Clock,
): CellType {
  const { kind, codec, ttl, aggregate } = declaration;
  return {
    name,
    kind,
    codec,
    aggregate,
    life: ttl === undefined ? undefined : new Lifetime(ttl, clock),
  };
}

/** Time to live of one state: values lie in the cells with the time of their last access. */
export class Lifetime {
  readonly cleanupKeys: number;
  readonly #ttl: TimeToLive;
  readonly #clock: Clock;

  constructor(ttl: TimeToLive, clock: Clock) {
    this.#ttl = ttl;
    this.#clock = clock;
    this.cleanupKeys = ttl.cleanupKeys ?? 0;
  }

  stamp(value: unknown): Stamped {
    return { value, accessMs: this.#clock.nowMs() };
  }

  isExpired({ accessMs }: Stamped): boolean {
    return addTimeMs(accessMs, this.#ttl.ttlMs) <= this.#clock.nowMs();
  }

  isKeptInSnapshots(unit: Stamped): boolean {
    return this.#ttl.cleanupInSnapshot !== true || !this.isExpired(unit);
  }

  /** What a reader sees; a read may count as access. */
  read(unit: Stamped): unknown {
    if (this.isExpired(unit))
      return this.#ttl.visibility === "if-not-cleaned" ? unit.value : undefined;
    if (this.#ttl.refresh === "read-and-write") unit.accessMs = this.#clock.nowMs();
    return unit.value;
  }

  /** The cell without what has expired; undefined when nothing is left. */
  sweep({ kind }: CellType, cell: unknown): unknown {
    if (kind === "list") {
      const left = (cell as Stamped[]).filter((unit) => !this.isExpired(unit));
      return left.length === 0 ? undefined : left;
    }
    if (kind !== "map") return this.isExpired(cell as Stamped) ? undefined : cell;
    const map = cell as Map<string, Stamped>;
    for (const [mapKey, unit] of map) if (this.isExpired(unit)) map.delete(mapKey);
    return map.size === 0 ? undefined : map;
  }
}

/** The units of a cell, in order. */
export function* unitsOf({ kind, life }: CellType, cell: unknown): Iterable<Unit> {
  const pairs: Iterable<readonly [string, unknown]> =
    kind === "map"
      ? (cell as Map<string, unknown>)
      : (kind === "list" ? (cell as unknown[]) : [cell]).map((each) => ["", each] as const);
  for (const [mapKey, raw] of pairs) {
    if (life === undefined) yield { mapKey, value: raw, accessMs: 0 };
    else if (life.isKeptInSnapshots(raw as Stamped)) yield { mapKey, ...(raw as Stamped) };
  }
}

/** Puts a unit of a snapshot back. @returns the cell. */
export function appendUnit({ kind, life }: CellType, cell: unknown, unit: Unit): unknown {
  const { mapKey, value, accessMs } = unit;
  const raw = life === undefined ? value : { value, accessMs };
  if (kind === "list") {
    const list = (cell as unknown[] | undefined) ?? [];
    list.push(raw);
    return list;
  }
  if (kind !== "map") return raw;
  return ((cell as Map<string, unknown> | undefined) ?? new Map<string, unknown>()).set(
    mapKey,
    raw,
  );
}

/** The object that an operator uses a state by; it always speaks of the cursor's cells. */
export function makeHandle(type: CellType, index: number, cursor: Cursor): unknown {
  const { kind, life } = type;
  if (kind === "list") return listHandle(life, type, index, cursor);
  if (kind === "map") return mapHandle(life, index, cursor);
  const value = valueHandle(life, index, cursor);
  return type.aggregate === undefined ? value : foldingHandle(type.aggregate, value);
}

function clearCell(index: number, cursor: Cursor): void {
  cursor.space.cells[index] = undefined;
  cursor.emptied();
}

function valueHandle(
  life: Lifetime | undefined,
  index: number,
  cursor: Cursor,
): ValueState<unknown> {
  const clear = (): void => clearCell(index, cursor);
  if (life === undefined)
    return {
      get: () => cursor.space.cells[index],
      set: (value) => {
        cursor.space.cells[index] = value;
      },
      clear,
    };
  return {
    get: () => {
      const unit = cursor.space.cells[index] as Stamped | undefined;
      if (unit === undefined) return undefined;
      const value = life.read(unit);
      if (life.isExpired(unit)) clear();
      return value;
    },
    set: (value) => {
      cursor.space.cells[index] = life.stamp(value);
    },
    clear,
  };
}

function foldingHandle(
  aggregate: Aggregate<unknown, unknown, unknown>,
  state: ValueState<unknown>,
): FoldingState<unknown, unknown> {
  return {
    get: () => {
      const accumulator = state.get();
      return accumulator === undefined ? undefined : aggregate.result(accumulator);
    },
    add: (value) => state.set(aggregate.add(state.get() ?? aggregate.create(), value)),
    clear: () => state.clear(),
  };
}

function listHandle(
  life: Lifetime | undefined,
  type: CellType,
  index: number,
  cursor: Cursor,
): ListState<unknown> {
  const list = (): unknown[] | undefined => cursor.space.cells[index] as unknown[] | undefined;
  const wrap = (value: unknown): unknown => (life === undefined ? value : life.stamp(value));
  const clear = (): void => clearCell(index, cursor);
  return {
    get: () => {
      const units = list() ?? [];
      if (life === undefined) return units;
      const seen = units.map((unit) => life.read(unit as Stamped));
      if (units.some((unit) => life.isExpired(unit as Stamped))) {
        cursor.space.cells[index] = life.sweep(type, units);
        cursor.emptied();
      }
      return seen.filter((value) => value !== undefined);
    },
    add: (value) => {
      const units = list();
      if (units === undefined) cursor.space.cells[index] = [wrap(value)];
      else units.push(wrap(value));
    },
    set: (values) => {
      if (values.length === 0) clear();
      else cursor.space.cells[index] = values.map(wrap);
    },
    clear,
  };
}

function mapHandle(life: Lifetime | undefined, index: number, cursor: Cursor): MapState<unknown> {
  const map = (): Map<string, unknown> | undefined =>
    cursor.space.cells[index] as Map<string, unknown> | undefined;
  const remove = (mapKey: string): void => {
    const current = map();
    if (current?.delete(mapKey) === true && current.size === 0) clearCell(index, cursor);
  };
  const read = (mapKey: string, raw: unknown): unknown => {
    if (life === undefined || raw === undefined) return raw;
    const value = life.read(raw as Stamped);
    if (life.isExpired(raw as Stamped)) remove(mapKey);
    return value;
  };
  return {
    get: (mapKey) => read(mapKey, map()?.get(mapKey)),
    set: (mapKey, value) => {
      let current = map();
      if (current === undefined) cursor.space.cells[index] = current = new Map<string, unknown>();
      current.set(mapKey, life === undefined ? value : life.stamp(value));
    },
    delete: remove,
    *entries() {
      for (const [mapKey, raw] of map() ?? []) {
        const value = read(mapKey, raw);
        if (value !== undefined) yield [mapKey, value];
      }
    },
    clear: () => clearCell(index, cursor),
  };
}
