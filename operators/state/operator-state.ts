import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  KeyGroupStateSchema,
  type NamedState,
  NamedStateSchema,
  type OperatorState,
  OperatorStateSchema,
  type StateDescriptor,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { Clock } from "../../base/clock.ts";
import { type Cursor, makeHandle, cellType, unitsOf, appendUnit, type CellType } from "./cells.ts";
import { ByteWriter } from "./byte-writer.ts";
import type { Codec } from "./codec.ts";
import { describeState } from "./descriptors.ts";
import {
  listState,
  type ListState,
  mapState,
  type MapState,
  type StateDeclaration,
} from "./keyed-state.ts";

/**
 * What becomes of state without a key at another parallelism: the elements are dealt out, each task gets all
 * of them, or each gets a copy of what every task has.
 */
export type Redistribution = "split" | "union" | "broadcast";

/** Declares state of the operator itself. */
export interface OperatorStateDeclaration<H> {
  readonly redistribution: Redistribution;
  readonly state: StateDeclaration<H>;
}

/** A list a task; at another parallelism its elements are dealt out evenly, or given to everyone. */
export function operatorListState<T>(
  codec: Codec<T>,
  redistribution: "split" | "union" = "split",
): OperatorStateDeclaration<ListState<T>> {
  return { redistribution, state: listState(codec) };
}

/** A map that is the same in every task, for what a broadcast stream says. */
export function broadcastState<T>(codec: Codec<T>): OperatorStateDeclaration<MapState<T>> {
  return { redistribution: "broadcast", state: mapState(codec) };
}

export type OperatorStateSpec = Readonly<Record<string, OperatorStateDeclaration<unknown>>>;

export type OperatorStateHandles<S extends OperatorStateSpec> = {
  readonly [N in keyof S]: S[N] extends OperatorStateDeclaration<infer H> ? H : never;
};

const KIND_PREFIX = "operator-";

/** State of one operator in one task that belongs to no key. */
export class OperatorStateStore<S extends OperatorStateSpec> {
  readonly handles: OperatorStateHandles<S>;
  readonly #uid: string;
  readonly #spec: S;
  readonly #types: readonly CellType[];
  readonly #cursor: Cursor = { space: { cells: [] }, emptied: () => {} };

  constructor(uid: string, spec: S, clock: Clock) {
    this.#uid = uid;
    this.#spec = spec;
    this.#types = Object.entries(spec).map(([name, { state }]) => cellType(name, state, clock));
    this.handles = Object.fromEntries(
      this.#types.map((type, index) => [type.name, makeHandle(type, index, this.#cursor)]),
    ) as OperatorStateHandles<S>;
  }

  descriptors(): StateDescriptor[] {
    return this.#types.map(({ name, codec }) =>
      describeState(
        this.#uid,
        name,
        KIND_PREFIX + (this.#spec[name]?.redistribution ?? "split"),
        codec,
      ),
    );
  }

  snapshot(): Uint8Array | undefined {
    const out = new ByteWriter();
    out.text(1, this.#uid);
    const emptyBytes = out.size;
    for (const [index, type] of this.#types.entries()) {
      const cell = this.#cursor.space.cells[index];
      if (cell === undefined) continue;
      const state = new ByteWriter();
      const entry = new ByteWriter();
      state.text(1, type.name);
      for (const { mapKey, value } of unitsOf(type, cell)) {
        entry.text(3, mapKey);
        entry.field(4, type.codec.encode(value));
        state.nest(2, entry);
      }
      out.nest(2, state);
    }
    return out.size === emptyBytes ? undefined : out.take();
  }

  restore({ states }: OperatorState): void {
    const { cells } = this.#cursor.space;
    for (const { name, entries } of states) {
      const index = this.#types.findIndex((type) => type.name === name);
      const type = this.#types[index];
      for (const { mapKey, value } of type === undefined ? [] : entries)
        if (type !== undefined)
          cells[index] = appendUnit(type, cells[index], {
            mapKey,
            value: type.codec.decode(value),
            accessMs: 0,
          });
    }
  }
}

/**
 * Deals the operator state of the old tasks out to the new ones.
 * @param old - each old task's state of the group behind its last key group, as it was snapshot.
 * @returns the same for each new task.
 */
export function redistribute(
  old: readonly Uint8Array[],
  descriptors: readonly StateDescriptor[],
  parallelism: number,
): Uint8Array[] {
  const tasks = old.map((bytes) => fromBinary(KeyGroupStateSchema, bytes).operators);
  const result = Array.from({ length: parallelism }, (): Map<string, OperatorState> => new Map());
  const seen = new Set<string>();
  for (const { operatorUid: uid, stateName, kind } of descriptors) {
    const name = `${uid}/${stateName}`;
    if (!kind.startsWith(KIND_PREFIX) || seen.has(name)) continue;
    seen.add(name);
    const lists = tasks.map(
      (operators) =>
        operators.find((each) => each.uid === uid)?.states.find(({ name }) => name === stateName)
          ?.entries ?? [],
    );
    const dealt = deal(lists, kind.slice(KIND_PREFIX.length) as Redistribution, parallelism);
    for (const [i, entries] of dealt.entries()) {
      if (entries.length === 0) continue;
      const operator = result[i]?.get(uid) ?? create(OperatorStateSchema, { uid });
      operator.states.push(create(NamedStateSchema, { name: stateName, entries: [...entries] }));
      result[i]?.set(uid, operator);
    }
  }
  return result.map((operators) =>
    toBinary(
      KeyGroupStateSchema,
      create(KeyGroupStateSchema, { operators: [...operators.values()] }),
    ),
  );
}

function deal(
  lists: readonly NamedState["entries"][],
  redistribution: Redistribution,
  parallelism: number,
): NamedState["entries"][] {
  const tasks = Array.from({ length: parallelism }, (_each, i) => i);
  if (redistribution === "broadcast") {
    const copies = lists.filter((entries) => entries.length > 0);
    return tasks.map((i) => copies[i % Math.max(1, copies.length)] ?? []);
  }
  const all = lists.flat();
  if (redistribution === "union") return tasks.map(() => all);
  if (lists.length === parallelism) return [...lists];
  const from = (i: number): number => Math.floor((i * all.length) / parallelism);
  return tasks.map((i) => all.slice(from(i), from(i + 1)));
}
