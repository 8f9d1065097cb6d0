import { addTimeMs, type OutputTag } from "../runtime/element.ts";
import { KeyedScope, type TimeDomain } from "../runtime/keyed-scope.ts";
import type { Operator, OperatorContext, Outputs } from "../runtime/operator.ts";
import { type Codec, listCodec, type Timed, timedCodec } from "../state/codec.ts";
import { valueState } from "../state/keyed-state.ts";
import { TEXT_NAMESPACES } from "../state/namespaces.ts";
import { InvalidWindowError } from "../window/window.ts";

/** Joins records of one key whose times are close: `left + lower <= right <= left + upper`. */
export interface IntervalJoin<L, R, O> {
  readonly uid: string;
  readonly lowerMs: number;
  readonly upperMs: number;
  /** Whether exactly `lowerMs` counts; default true. */
  readonly lowerInclusive?: boolean;
  readonly upperInclusive?: boolean;
  readonly leftCodec: Codec<L>;
  readonly rightCodec: Codec<R>;
  /** Results carry the later of the two times. */
  join(left: L, right: R, key: string): O;
  /** Where records go that are before the watermark already. */
  readonly lateLeft?: OutputTag<L>;
  readonly lateRight?: OutputTag<R>;
}

const SIDES = ["left", "right"] as const;

/**
 * Keeps the records of both sides, ordered by time, until the watermark says that nothing can join them any
 * more. One timer a side and key, at the oldest record. @see Flink, IntervalJoinOperator.
 */
export class IntervalJoinOperator<L, R, O> {
  readonly inputs: readonly Operator<never>[];
  readonly scope: KeyedScope<ReturnType<typeof buffers>, string>;
  readonly #spec: IntervalJoin<L, R, O>;
  readonly #outputs: Outputs<O>;
  /** Bounds with their ends included, since times are whole milliseconds. */
  readonly #lowerMs: number;
  readonly #upperMs: number;

  constructor(
    spec: IntervalJoin<L, R, O>,
    keys: readonly [(value: L) => string, (value: R) => string],
    context: OperatorContext,
    outputs: Outputs<O>,
  ) {
    this.#spec = spec;
    this.#outputs = outputs;
    this.#lowerMs = spec.lowerMs + (spec.lowerInclusive === false ? 1 : 0);
    this.#upperMs = spec.upperMs - (spec.upperInclusive === false ? 1 : 0);
    this.scope = new KeyedScope(
      spec.uid,
      buffers(spec),
      TEXT_NAMESPACES,
      context,
      (_space, timeMs, _domain: TimeDomain) => this.#clean(timeMs),
    );
    this.inputs = SIDES.map((side, i) => ({
      state: this.scope,
      record: (value: never, eventTimeMs: number) => {
        const keyOf = keys[i] as (value: never) => string;
        this.#record(side, keyOf(value), { value, eventTimeMs });
      },
      watermark: (watermarkMs, scope) => this.scope.advance(watermarkMs, scope, outputs.main),
      status: (idle) => outputs.main.status(idle),
    }));
  }

  /** @throws InvalidWindowError when no pair can ever fit. */
  static check({ uid, lowerMs, upperMs }: IntervalJoin<unknown, unknown, unknown>): void {
    if (!Number.isSafeInteger(lowerMs) || !Number.isSafeInteger(upperMs) || lowerMs > upperMs)
      throw new InvalidWindowError(
        `interval join ${uid}: bounds ${String(lowerMs)}..${String(upperMs)} ms must be integers, the lower ` +
          "one not above the upper one",
      );
  }

  /** Records of one side that are still kept for a key, by time. */
  buffered(side: "left" | "right", key: string): readonly number[] {
    this.scope.enter(key);
    return (this.scope.store.handles[side].get() ?? []).map(({ eventTimeMs }) => eventTimeMs);
  }

  #record(side: "left" | "right", key: string, timed: Timed<unknown>): void {
    this.scope.enter(key);
    const { eventTimeMs } = timed;
    const isLeft = side === "left";
    if (eventTimeMs < this.scope.watermarkMs) {
      const tag = isLeft ? this.#spec.lateLeft : this.#spec.lateRight;
      if (tag !== undefined) this.#outputs.side(tag.id)?.record(timed.value, eventTimeMs);
      return;
    }
    const { handles } = this.scope.store;
    const own = handles[side].get() ?? [];
    own.splice(firstFrom(own, eventTimeMs + 1), 0, timed);
    handles[side].set(own);
    const cleanupMs = this.#cleanupMs(side, eventTimeMs);
    this.scope.register(this.scope.store.entry.root, cleanupMs, "event");
    const other = handles[isLeft ? "right" : "left"].get() ?? [];
    const fromMs = eventTimeMs + (isLeft ? this.#lowerMs : -this.#upperMs);
    const toMs = eventTimeMs + (isLeft ? this.#upperMs : -this.#lowerMs);
    for (let i = firstFrom(other, fromMs); i < other.length; i += 1) {
      const match = other[i];
      if (match === undefined || match.eventTimeMs > toMs) return;
      const [left, right] = isLeft ? [timed, match] : [match, timed];
      const joined = this.#spec.join(left.value as L, right.value as R, key);
      this.#outputs.main.record(joined, Math.max(eventTimeMs, match.eventTimeMs));
    }
  }

  #clean(nowMs: number): void {
    const { handles } = this.scope.store;
    for (const side of SIDES) {
      const kept = handles[side].get();
      if (kept === undefined) continue;
      let gone = 0;
      while (gone < kept.length && this.#cleanupMs(side, kept[gone]?.eventTimeMs ?? 0) <= nowMs)
        gone += 1;
      kept.splice(0, gone);
      if (kept.length === 0) handles[side].clear();
    }
  }

  /** When nothing that is still to come can join a record of this side. */
  #cleanupMs(side: "left" | "right", eventTimeMs: number): number {
    return addTimeMs(eventTimeMs, Math.max(0, side === "left" ? this.#upperMs : -this.#lowerMs));
  }
}

/** Index of the first record that is not before the time. */
function firstFrom(records: readonly Timed<unknown>[], timeMs: number): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((records[middle]?.eventTimeMs ?? 0) < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

// eslint-disable-next-line typescript/explicit-function-return-type -- the handles' types are the point
function buffers(spec: IntervalJoin<unknown, unknown, unknown>) {
  return {
    left: valueState(listCodec(timedCodec(spec.leftCodec))),
    right: valueState(listCodec(timedCodec(spec.rightCodec))),
  };
}
