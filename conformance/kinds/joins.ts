import { type IntervalJoin, outputTag } from "../../operators/mod.ts";
import type { KeyedScope } from "../../operators/runtime/keyed-scope.ts";
import { Harness, type HarnessSnapshot } from "../../testing/mod.ts";
import {
  byNumber,
  type Case,
  config,
  fields,
  list,
  nameOf,
  sameRows,
  same,
  steps,
  time,
  times,
  Unsupported,
  unsupportedStep,
  type Value,
} from "../case.ts";
import { jsonCodec } from "../doubles.ts";

type Side = "left" | "right";
const KEY = "k";
const LATE = { left: outputTag<number>("late-left"), right: outputTag<number>("late-right") };

interface Bounds {
  readonly lowerMs: number;
  readonly upperMs: number;
  readonly lowerInclusive: boolean;
  readonly upperInclusive: boolean;
}

function flag(value: Value | undefined): boolean {
  if (typeof value !== "boolean")
    throw new Unsupported(`unsupported flag ${JSON.stringify(value)}`);
  return value;
}

function boundsOf([lower, lowerInclusive, upper, upperInclusive]: readonly Value[]): Bounds {
  return {
    lowerMs: time(lower),
    lowerInclusive: flag(lowerInclusive),
    upperMs: time(upper),
    upperInclusive: flag(upperInclusive),
  };
}

class Join {
  readonly #harness: Harness<number>;

  constructor(bounds: Bounds, from?: HarnessSnapshot) {
    const spec: IntervalJoin<number, number, readonly number[]> = {
      ...bounds,
      uid: "join",
      leftCodec: jsonCodec<number>(),
      rightCodec: jsonCodec<number>(),
      join: (left, right) => [left, right],
      lateLeft: LATE.left,
      lateRight: LATE.right,
    };
    this.#harness = new Harness<number>(
      (left, collect, input) => {
        const right = input<number>("right");
        const joined = left
          .keyBy(() => KEY)
          .intervalJoin(
            right.keyBy(() => KEY),
            spec,
          );
        collect(joined);
        collect(joined.side(LATE.left), "late-left");
        collect(joined.side(LATE.right), "late-right");
      },
      from === undefined ? {} : { from },
    );
  }

  feed(side: Side, timeMs: number): void {
    if (side === "left") this.#harness.record(KEY, timeMs, timeMs);
    else this.#harness.recordTo("right", KEY, timeMs, timeMs);
  }

  watermark(side: Side, timeMs: number): void {
    if (side === "left") this.#harness.watermark(timeMs);
    else this.#harness.watermarkTo("right", timeMs);
  }

  /** Pairs, with the time that each left at. */
  pairs(): readonly unknown[] {
    return this.#harness.takeEmitted().flatMap((each) => {
      if (each.kind !== "record") return [];
      const pair = each.value as readonly number[];
      same(`time of ${JSON.stringify(pair)}`, Math.max(...pair), each.eventTimeMs);
      return [pair];
    });
  }

  late(side: Side): readonly unknown[] {
    return this.#harness.take(`late-${side}`);
  }

  buffered(side: Side): number[] {
    const scope = this.#harness.operators[0]?.state as KeyedScope<{}, string> | undefined;
    return [...(scope?.store.entries() ?? [])].flatMap(({ root }) => {
      const kept = root.cells[side === "left" ? 0 : 1] ?? [];
      return (kept as readonly { readonly eventTimeMs: number }[]).map((each) => each.eventTimeMs);
    });
  }

  snapshot(): HarnessSnapshot {
    return this.#harness.snapshot();
  }
}

/** Interval joins. */
export const joinKinds = {
  ijoin_bounds(of: Case): void {
    for (const row of list(config(of, "table")["table"])) {
      const columns = list(row);
      for (const order of [
        ["left", "right"],
        ["right", "left"],
      ] as const) {
        const join = new Join(boundsOf(columns));
        for (const side of order)
          for (const timeMs of [1, 2, 3, 4]) {
            join.feed(side, timeMs);
            join.watermark(side, timeMs);
          }
        const label = `${JSON.stringify(columns.slice(0, 4))} ${order[0]} first`;
        sameRows(label, list(columns[4]), join.pairs());
        for (const side of order) sameRows(`${label} late`, [], join.late(side));
      }
    }
  },

  ijoin_cleanup(of: Case): void {
    for (const row of list(config(of, "table")["table"])) {
      const columns = list(row);
      const join = new Join(boundsOf(columns));
      for (const timeMs of [1, 2, 3, 4, 5])
        for (const side of ["left", "right"] as const) join.feed(side, timeMs);
      for (const [timeMs, buffers] of byNumber(columns[4])) {
        for (const side of ["left", "right"] as const) join.watermark(side, timeMs);
        const [left, right] = list(buffers);
        const label = `${JSON.stringify(columns.slice(0, 4))} at ${String(timeMs)}`;
        sameRows(`${label} left`, times(left), join.buffered("left"));
        sameRows(`${label} right`, times(right), join.buffered("right"));
      }
    }
  },

  ijoin(of: Case): void {
    config(of, "op", "steps");
    const op = fields(of["op"], ["lower", "upper", "lower_incl", "upper_incl"], "op");
    const bounds = boundsOf([
      op["lower"] ?? null,
      op["lower_incl"] ?? true,
      op["upper"] ?? null,
      op["upper_incl"] ?? true,
    ]);
    const snapshots = new Map<string, HarnessSnapshot>();
    const late: Record<Side, unknown[]> = { left: [], right: [] };
    let join = new Join(bounds);
    for (const step of steps(of)) {
      const { verb, argument, label } = step;
      if (verb === "left" || verb === "right") join.feed(verb, time(argument));
      else if (verb === "wml") join.watermark("left", time(argument));
      else if (verb === "wmr") join.watermark("right", time(argument));
      else if (verb === "out") sameRows(label, list(argument), join.pairs(), step.ordered);
      else if (verb === "snapshot") snapshots.set(nameOf(argument), join.snapshot());
      else if (verb === "restore") {
        join = new Join(bounds, snapshots.get(nameOf(argument)));
        late.left = [];
        late.right = [];
      } else if (verb === "late_left") sameRows(label, times(argument), late.left, true);
      else if (verb === "late_right") sameRows(label, times(argument), late.right, true);
      else unsupportedStep(step);
      for (const side of ["left", "right"] as const) late[side].push(...join.late(side));
    }
  },
};
