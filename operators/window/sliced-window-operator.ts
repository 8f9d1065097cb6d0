import { addTimeMs, MAX_TIME_MS, NO_TIME_MS } from "../runtime/element.ts";
import { KeyedScope } from "../runtime/keyed-scope.ts";
import type { Operator, OperatorContext, Outputs } from "../runtime/operator.ts";
import { listCodec, timedCodec, type Timed } from "../state/codec.ts";
import { type StateSpec, valueState } from "../state/keyed-state.ts";
import { eventTimeTrigger } from "./trigger.ts";
import { InvalidWindowError, type TimeWindow, WINDOW_NAMESPACES, windowStartMs } from "./window.ts";
import { WindowCall } from "./window-call.ts";
import type { WindowSpec } from "./window-spec.ts";

/** Accumulator of one slice; its event time is the slice's start. */
type Slice<A> = Timed<A> & {
  value: A;
  /** On the first slice of a block: all its slices joined, and how many they are. Not in snapshots. */
  block?: { readonly sum: A; readonly slices: number } | undefined;
};

/**
 * Slices that are joined once and kept. Blocks lie on a grid of their own, so what is joined with what does not
 * depend on history: sums of fractions are the same after a restart, to the last bit.
 */
const BLOCK_SLICES = 8;

/** Index of the slices among the states. */
const SLICES = 0;

/** True when windows of this spec can share slices and nobody could tell. */
export function canShareSlices(spec: WindowSpec<unknown, unknown, unknown, unknown>): boolean {
  const { sliding } = spec.assigner;
  return (
    sliding !== undefined &&
    sliding.sizeMs > sliding.slideMs &&
    spec.aggregate.merge !== undefined &&
    (spec.trigger ?? eventTimeTrigger) === eventTimeTrigger &&
    spec.evictor === undefined &&
    !("state" in spec)
  );
}

/**
 * Sliding event-time windows that share their parts: a record goes into one slice, whatever size / slide is,
 * and a firing joins the slices of its window. One timer a key, at the next end of a window that holds
 * something or at the end of the oldest slice. Gives what `WindowOperator` gives, in the same order.
 * @see Carbone et al., "Cutty: Aggregate Sharing for User-Defined Windows", CIKM 2016.
 */
export class SlicedWindowOperator<I, A, R, O> implements Operator<I> {
  /** Checkpointed: slices and the timer by key. */
  readonly state: KeyedScope<StateSpec, TimeWindow>;
  /** Records that were late for all their windows. */
  lateRecords = 0;
  readonly #spec: WindowSpec<I, A, R, O>;
  readonly #keyOf: (value: I) => string;
  readonly #outputs: Outputs<O>;
  readonly #latenessMs: number;
  readonly #sizeMs: number;
  readonly #slideMs: number;
  readonly #offsetMs: number;
  readonly #sliceMs: number;
  readonly #call: WindowCall<R, O, {}>;

  constructor(
    spec: WindowSpec<I, A, R, O>,
    keyOf: (value: I) => string,
    context: OperatorContext,
    outputs: Outputs<O>,
  ) {
    const { sliding } = spec.assigner;
    if (sliding === undefined) throw new InvalidWindowError("only sliding windows have slices");
    this.#spec = spec;
    this.#keyOf = keyOf;
    this.#outputs = outputs;
    this.#latenessMs = spec.allowedLatenessMs ?? 0;
    this.#sizeMs = sliding.sizeMs;
    this.#slideMs = sliding.slideMs;
    this.#offsetMs = sliding.offsetMs;
    this.#sliceMs = greatestCommonDivisor(sliding.sizeMs, sliding.slideMs);
    this.state = new KeyedScope<StateSpec, TimeWindow>(
      spec.uid,
      { slices: valueState(listCodec(timedCodec(spec.aggregate.codec))) },
      WINDOW_NAMESPACES,
      context,
      (_space, timeMs) => this.#onTimer(timeMs),
    );
    this.#call = new WindowCall(spec, this.state, outputs);
  }

  record(value: I, eventTimeMs: number): void {
    if (eventTimeMs === NO_TIME_MS)
      throw new InvalidWindowError(
        `operator ${this.#spec.uid}: a record without event time reached an event-time window; ` +
          "put timestamps() before it",
      );
    this.state.enter(this.#keyOf(value));
    const { watermarkMs } = this.state;
    const lastMs = this.#lastMaxMs(eventTimeMs);
    if (addTimeMs(lastMs, this.#latenessMs) <= watermarkMs) return this.#onLate(value, eventTimeMs);
    this.#add(value, eventTimeMs);
    // Windows that have fired already, but are not gone, fire again.
    if (eventTimeMs <= watermarkMs)
      for (let maxMs = lastMs; maxMs >= eventTimeMs; maxMs -= this.#slideMs)
        if (maxMs <= watermarkMs && addTimeMs(maxMs, this.#latenessMs) > watermarkMs)
          this.#fire(maxMs);
    // What other records wait for is in the pending timer already.
    if (lastMs > watermarkMs) this.#wakeAt(this.#nextMaxMs(Math.max(watermarkMs, eventTimeMs - 1)));
    this.#wakeAt(addTimeMs(lastMs, this.#latenessMs));
  }

  watermark(watermarkMs: number, scope: string): void {
    this.state.advance(watermarkMs, scope, this.#outputs.main);
  }

  status(idle: boolean): void {
    this.#outputs.main.status(idle);
  }

  #slices(): Slice<A>[] {
    return (this.state.store.entry.root.cells[SLICES] ?? []) as Slice<A>[];
  }

  #add(value: I, eventTimeMs: number): void {
    const { aggregate } = this.#spec;
    const startMs = windowStartMs(eventTimeMs, this.#offsetMs, this.#sliceMs);
    const slices = this.#slices();
    let at = slices.length;
    while (at > 0 && (slices[at - 1]?.eventTimeMs ?? 0) > startMs) at -= 1;
    const slice = slices[at - 1];
    // Only what has fired is in a block already.
    if (eventTimeMs <= this.state.watermarkMs)
      for (const near of slices.slice(Math.max(0, at - BLOCK_SLICES), at + BLOCK_SLICES))
        near.block = undefined;
    if (slice?.eventTimeMs === startMs) {
      slice.value = aggregate.add(slice.value, value);
      return;
    }
    slices.splice(at, 0, {
      eventTimeMs: startMs,
      value: aggregate.add(aggregate.create(), value),
      block: undefined,
    });
    this.state.store.entry.root.cells[SLICES] = slices;
  }

  #onTimer(timeMs: number): void {
    this.#fire(timeMs);
    const slices = this.#slices();
    let gone = 0;
    while (gone < slices.length && this.#goneMs(slices[gone]) <= timeMs) gone += 1;
    slices.splice(0, gone);
    if (slices.length === 0) {
      this.state.store.entry.root.cells[SLICES] = undefined;
      this.state.store.emptied();
    } else this.#schedule(timeMs);
  }

  /** Fires the window that ends at this time, if one does and it holds something. */
  #fire(maxMs: number): void {
    const startMs = maxMs + 1 - this.#sizeMs;
    if (windowStartMs(startMs, this.#offsetMs, this.#slideMs) !== startMs) return;
    const sum = this.#sum(startMs, maxMs);
    if (sum === undefined) return;
    const { root } = this.state.store.entry;
    this.#call.fire({ startMs, endMs: maxMs + 1 }, root, this.#spec.aggregate.result(sum));
  }

  /** Joins the slices from one time to another: whole blocks where they fit, single slices at the ends. */
  #sum(startMs: number, maxMs: number): A | undefined {
    const { aggregate } = this.#spec;
    const slices = this.#slices();
    const blockMs = BLOCK_SLICES * this.#sliceMs;
    let blockStartMs = windowStartMs(startMs, this.#offsetMs, blockMs);
    let sum: A | undefined;
    let at = 0;
    while (at < slices.length && (slices[at]?.eventTimeMs ?? 0) < startMs) at += 1;
    for (
      let slice = slices[at];
      slice !== undefined && slice.eventTimeMs <= maxMs;
      slice = slices[at]
    ) {
      while (slice.eventTimeMs >= blockStartMs + blockMs) blockStartMs += blockMs;
      const isWhole = blockStartMs >= startMs && blockStartMs + blockMs - 1 <= maxMs;
      const block = isWhole ? this.#block(slices, at, blockStartMs + blockMs) : undefined;
      sum = aggregate.merge?.(
        sum === undefined ? aggregate.create() : sum,
        block?.sum ?? slice.value,
      );
      at += block?.slices ?? 1;
    }
    return sum;
  }

  #block(slices: readonly Slice<A>[], from: number, endMs: number): NonNullable<Slice<A>["block"]> {
    const { aggregate } = this.#spec;
    const first = slices[from];
    if (first?.block !== undefined) return first.block;
    let sum = aggregate.create();
    let to = from;
    for (let slice = first; slice !== undefined && slice.eventTimeMs < endMs; slice = slices[to]) {
      sum = aggregate.merge?.(sum, slice.value) ?? sum;
      to += 1;
    }
    const block = { sum, slices: to - from };
    if (first !== undefined) first.block = block;
    return block;
  }

  /** Sets the key's timer to what its slices wait for behind this time. */
  #schedule(afterMs: number): void {
    const slices = this.#slices();
    const next = slices.find(({ eventTimeMs }) => this.#lastMaxMs(eventTimeMs) > afterMs);
    if (next !== undefined) this.#wakeAt(this.#nextMaxMs(Math.max(afterMs, next.eventTimeMs - 1)));
    this.#wakeAt(this.#goneMs(slices[0]));
  }

  /** The key has one timer: the earliest that was asked for. */
  #wakeAt(timeMs: number): void {
    const { root } = this.state.store.entry;
    const pendingMs = root.event?.onlyMs ?? Number.NaN;
    if (timeMs === MAX_TIME_MS || pendingMs <= timeMs) return;
    if (!Number.isNaN(pendingMs)) this.state.delete(root, pendingMs, "event");
    this.state.register(root, timeMs, "event");
  }

  /** The first end of a window behind this time. */
  #nextMaxMs(afterMs: number): number {
    const startMs = windowStartMs(afterMs + 1 - this.#sizeMs, this.#offsetMs, this.#slideMs);
    return startMs + this.#slideMs + this.#sizeMs - 1;
  }

  /** Latest time of the last window that holds this time. */
  #lastMaxMs(timeMs: number): number {
    return windowStartMs(timeMs, this.#offsetMs, this.#slideMs) + this.#sizeMs - 1;
  }

  /** When no window needs the slice any more. */
  #goneMs(slice: Slice<A> | undefined): number {
    return addTimeMs(this.#lastMaxMs(slice?.eventTimeMs ?? 0), this.#latenessMs);
  }

  #onLate(value: I, eventTimeMs: number): void {
    this.lateRecords += 1;
    const { lateTag } = this.#spec;
    if (lateTag !== undefined) this.#outputs.side(lateTag.id)?.record(value, eventTimeMs);
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
