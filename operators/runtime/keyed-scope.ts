import { keyGroupOf } from "../../base/key-group.ts";
import { CourtsideError } from "../../base/errors.ts";
import type { OperatorState } from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { ByteWriter } from "../state/byte-writer.ts";
import type { StateSpec } from "../state/keyed-state.ts";
import { KeyedStore, type NamespaceCodec } from "../state/keyed-store.ts";
import { type KeyEntry, type Space, TimerCell } from "../state/space.ts";
import { MIN_TIME_MS, type Output, TASK_SCOPE } from "./element.ts";
import type { OperatorContext, OperatorStateAccess } from "./operator.ts";
import { TimerHeap } from "./timer-heap.ts";

/** A record reached an operator under a key that belongs to another key group than its input message. */
export class KeyGroupMismatchError extends CourtsideError {
  override readonly code = "KEY_GROUP_MISMATCH";
  override readonly retryable = false;
}

/** Which clock a timer waits for. */
export type TimeDomain = "event" | "processing";

/** Called with the timer's key already entered. */
export type OnTimer<N> = (space: Space<N>, timeMs: number, domain: TimeDomain) => void;

/**
 * What every keyed operator has: state by key and namespace, timers of both kinds, and both in the snapshot.
 * A timer is identified by domain, key, namespace and time. Event time runs by scope: watermarks of the task
 * fire the timers of all keys in the order of time; a watermark of one key gives that key a clock of its
 * own, whose position is state.
 */
export class KeyedScope<S extends StateSpec, N> implements OperatorStateAccess {
  readonly uid: string;
  readonly store: KeyedStore<S, N>;
  readonly #context: OperatorContext;
  readonly #namespaces: NamespaceCodec<N>;
  readonly #onTimer: OnTimer<N>;
  readonly #event: TimerHeap<N>;
  readonly #processing: TimerHeap<N>;
  /** Keys with a clock of their own; undefined while there is none. */
  #clocked: Set<KeyEntry<N>> | undefined;
  #watermarkMs = MIN_TIME_MS;

  constructor(
    uid: string,
    spec: S,
    namespaces: NamespaceCodec<N>,
    context: OperatorContext,
    onTimer: OnTimer<N>,
  ) {
    this.uid = uid;
    this.store = new KeyedStore(uid, spec, namespaces, context.clock);
    this.#context = context;
    this.#namespaces = namespaces;
    this.#onTimer = onTimer;
    const text = (namespace: N): string => namespaces.encode(namespace);
    this.#event = new TimerHeap(text);
    this.#processing = new TimerHeap(text);
  }

  /**
   * Points state at the key of a record.
   * @throws KeyGroupMismatchError when the key is not of the input message's group: a task holds whole key
   *   groups, so a key of another one would put state where no restore looks for it.
   */
  enter(key: string): KeyEntry<N> {
    const { keyGroup } = this.#context.origin;
    let entry = this.store.find(key, keyGroup);
    if (entry === undefined) {
      if (keyGroupOf(key, this.#context.keyGroups) !== keyGroup)
        throw new KeyGroupMismatchError(
          `operator ${this.uid}: key ${key} is not of key group ${String(keyGroup)}, by which its message ` +
            "came; publish by the same key, or repartition the stream by the new one",
        );
      entry = this.store.create(key, keyGroup);
    }
    this.#enter(entry);
    return entry;
  }

  /** Points state at a key that the caller knows to be of this group. */
  enterOwn(key: string, keyGroup: number): KeyEntry<N> {
    const entry = this.store.find(key, keyGroup) ?? this.store.create(key, keyGroup);
    this.#enter(entry);
    return entry;
  }

  /** Watermark that holds for the current key. */
  get watermarkMs(): number {
    return Math.max(this.#watermarkMs, this.store.entry.watermarkMs ?? MIN_TIME_MS);
  }

  get nowMs(): number {
    return this.#context.clock.nowMs();
  }

  register(space: Space<N>, timeMs: number, domain: TimeDomain): void {
    if (domain === "processing")
      return this.#processing.register((space.processing ??= new TimerCell(space)), timeMs);
    const cell = (space.event ??= new TimerCell(space));
    const { entry } = space;
    if (entry.watermarkMs === undefined) return this.#event.register(cell, timeMs);
    cell.set(timeMs, 0);
    entry.earliestMs = Math.min(entry.earliestMs, timeMs);
  }

  delete(space: Space<N>, timeMs: number, domain: TimeDomain): void {
    const cell = domain === "event" ? space.event : space.processing;
    if (cell === undefined) return;
    if (domain === "event" && space.entry.watermarkMs !== undefined) cell.delete(timeMs);
    else (domain === "event" ? this.#event : this.#processing).delete(cell, timeMs);
    this.store.emptied();
  }

  /** Fires what is due, then passes the watermark on: results come before the watermark that made them. */
  advance(watermarkMs: number, scope: string, out: Output<never>): void {
    if (scope !== TASK_SCOPE) {
      if (!this.#advanceKey(this.enter(scope), watermarkMs)) return;
    } else {
      if (watermarkMs <= this.#watermarkMs) return;
      this.#watermarkMs = watermarkMs;
      this.#fire(this.#event, watermarkMs, "event");
      for (const entry of this.#clocked ?? []) this.#fireKey(entry, watermarkMs);
    }
    out.watermark(watermarkMs, scope);
  }

  processingTime(nowMs: number): void {
    this.#fire(this.#processing, nowMs, "processing");
  }

  nextWakeUpMs(): number | undefined {
    return this.#processing.earliestMs();
  }

  /** Timers that are pending, over all keys. */
  pending(domain: TimeDomain): number {
    if (domain === "processing") return this.#processing.size;
    let own = 0;
    for (const entry of this.#clocked ?? [])
      for (const { event } of entry.spaces()) own += event?.size ?? 0;
    return this.#event.size + own;
  }

  descriptors(): ReturnType<OperatorStateAccess["descriptors"]> {
    return this.store.descriptors();
  }

  snapshot(keyGroup: number): Uint8Array | undefined {
    const out = new ByteWriter();
    out.text(1, this.uid);
    const emptyBytes = out.size;
    this.store.write(keyGroup, 2, out);
    const part = new ByteWriter();
    for (const entry of this.store.entries(keyGroup)) {
      for (const space of entry.spaces())
        for (const cell of [space.event, space.processing])
          for (const timeMs of cell?.times() ?? []) {
            part.text(1, entry.key);
            if (space.namespace !== undefined)
              part.text(2, this.#namespaces.encode(space.namespace));
            part.integer(3, timeMs);
            part.integer(4, cell === space.processing ? 1 : 0);
            out.nest(3, part);
          }
      // Late data must not be taken again after a restore; a watermark of the task comes again by itself.
      if (entry.watermarkMs === undefined || entry.watermarkMs === MIN_TIME_MS) continue;
      part.text(1, entry.key);
      part.integer(2, entry.watermarkMs);
      out.nest(4, part);
    }
    return out.size === emptyBytes ? undefined : out.take();
  }

  restore(keyGroup: number, { states, timers, watermarks }: OperatorState): void {
    this.store.restore(keyGroup, states);
    for (const { key, watermarkMs } of watermarks)
      this.#clockOf(this.store.spaceAt(keyGroup, key, "").entry, Number(watermarkMs));
    for (const { key, namespace, timeMs, processingTime } of timers)
      this.register(
        this.store.spaceAt(keyGroup, key, namespace),
        Number(timeMs),
        processingTime ? "processing" : "event",
      );
  }

  #enter(entry: KeyEntry<N>): void {
    this.#context.markDirty(entry.keyGroup);
    this.store.enter(entry);
  }

  /** The clock reads its new time already; what a firing registers up to it fires too. */
  #fire(heap: TimerHeap<N>, untilMs: number, domain: TimeDomain): void {
    for (let dueMs = heap.earliestMs(); dueMs !== undefined; dueMs = heap.earliestMs()) {
      const cell = heap.earliest();
      if (dueMs > untilMs || cell === undefined) return;
      this.#enter(cell.space.entry);
      heap.delete(cell, dueMs);
      this.store.emptied();
      this.#onTimer(cell.space, dueMs, domain);
    }
  }

  #advanceKey(entry: KeyEntry<N>, watermarkMs: number): boolean {
    if (watermarkMs <= Math.max(entry.watermarkMs ?? MIN_TIME_MS, this.#watermarkMs)) return false;
    this.#clockOf(entry, watermarkMs);
    this.#fireKey(entry, watermarkMs);
    return true;
  }

  /** Gives the key a clock of its own; timers that it registered before move to it. */
  #clockOf(entry: KeyEntry<N>, watermarkMs: number): void {
    if (entry.watermarkMs === undefined) {
      (this.#clocked ??= new Set()).add(entry);
      for (const space of entry.spaces())
        for (const timeMs of space.event?.times() ?? []) {
          if (space.event !== undefined) this.#event.delete(space.event, timeMs);
          space.event?.set(timeMs, 0);
          entry.earliestMs = Math.min(entry.earliestMs, timeMs);
        }
    }
    entry.watermarkMs = watermarkMs;
  }

  /** A key has few timers: looking at them all beats a heap for each of thousands of keys. */
  #fireKey(entry: KeyEntry<N>, untilMs: number): void {
    while (entry.earliestMs <= untilMs) {
      let earliestMs = Number.POSITIVE_INFINITY;
      let due: TimerCell<N> | undefined;
      for (const { event } of entry.spaces())
        for (const timeMs of event?.times() ?? [])
          if (timeMs < earliestMs) {
            earliestMs = timeMs;
            due = event;
          }
      entry.earliestMs = earliestMs;
      if (due === undefined || earliestMs > untilMs) return;
      this.#enter(entry);
      due.delete(earliestMs);
      this.store.emptied();
      this.#onTimer(due.space, earliestMs, "event");
    }
  }
}
