import { MAX_TIME_MS, type OutputTag, type Watermark } from "../runtime/element.ts";
import { KeyedScope } from "../runtime/keyed-scope.ts";
import type { Operator, OperatorContext, Outputs } from "../runtime/operator.ts";
import type { KeyedTimer } from "../runtime/timer-queue.ts";
import type { Codec } from "../state/codec.ts";
import { mapState, type MapStateDeclaration } from "../state/keyed-state.ts";
import { cleanupTimeMs, maxTimeMs, type TimeWindow, type WindowAssigner } from "./window.ts";

/** Incremental aggregate of a pane: only the accumulator is kept, never the records. */
export interface Aggregate<I, A, R> {
  readonly codec: Codec<A>;
  create(): A;
  /** May change and return the accumulator that it is given. */
  add(accumulator: A, value: I): A;
  result(accumulator: A): R;
}

/** A keyed window operator: which windows, what is kept of a pane, what a firing gives. */
export interface WindowSpec<I, A, R, O> {
  readonly uid: string;
  readonly assigner: WindowAssigner;
  readonly aggregate: Aggregate<I, A, R>;
  /** Makes the output records of a firing; zero, one or several. */
  emit(key: string, window: TimeWindow, result: R): readonly O[];
  /** How long after its end a window still takes records and fires again; default 0. */
  readonly allowedLatenessMs?: number;
  /** Where records go that are late for all their windows; without it they are dropped and counted. */
  readonly lateTag?: OutputTag<I>;
}

/**
 * Keyed event-time windows. A _pane_ is the content of one window for one key. The assigner says which
 * windows a record belongs to; a pane fires when the watermark passes its end, and again for every record
 * that comes within the allowed lateness. @see Flink, WindowOperator.
 */
export class WindowOperator<I, A, R, O> implements Operator<I> {
  /** Checkpointed: panes by window, their timers, watermarks by key. */
  readonly state: KeyedScope<{ panes: MapStateDeclaration<A> }>;
  /** Records that were late for all their windows. */
  lateRecords = 0;
  // Configuration.
  readonly #spec: WindowSpec<I, A, R, O>;
  readonly #keyOf: (value: I) => string;
  readonly #outputs: Outputs<O>;
  readonly #latenessMs: number;

  constructor(
    spec: WindowSpec<I, A, R, O>,
    keyOf: (value: I) => string,
    context: OperatorContext,
    outputs: Outputs<O>,
  ) {
    this.#spec = spec;
    this.#keyOf = keyOf;
    this.#outputs = outputs;
    this.#latenessMs = spec.allowedLatenessMs ?? 0;
    const panes = mapState(spec.aggregate.codec);
    this.state = new KeyedScope(spec.uid, { panes }, context, (timer) => this.#onTimer(timer));
  }

  record(value: I, eventTimeMs: number): void {
    const key = this.#keyOf(value);
    const keyGroup = this.state.enter(key);
    const watermarkMs = this.state.timers.watermarkMs(key);
    const windows = this.#spec.assigner.assign(eventTimeMs);
    let late = true;
    for (const window of windows) {
      if (cleanupTimeMs(window, this.#latenessMs) <= watermarkMs) continue;
      late = false;
      this.#add(key, keyGroup, window, value, watermarkMs);
    }
    if (late && eventTimeMs + this.#latenessMs <= watermarkMs) this.#onLate(value, eventTimeMs);
  }

  watermark(watermark: Watermark): void {
    this.state.advance(watermark, this.#outputs.main);
  }

  #add(key: string, keyGroup: number, window: TimeWindow, value: I, watermarkMs: number): void {
    const { panes } = this.state.backend.handles;
    const id = windowId(window);
    const before = panes.get(id);
    const accumulator = this.#spec.aggregate.add(before ?? this.#spec.aggregate.create(), value);
    if (accumulator !== before) panes.set(id, accumulator);
    // A pane that is there has its timers already: they go with it.
    if (before === undefined) this.#registerTimers(key, keyGroup, window, id, watermarkMs);
    if (maxTimeMs(window) <= watermarkMs) this.#fire(key, window);
  }

  #registerTimers(
    key: string,
    keyGroup: number,
    window: TimeWindow,
    namespace: string,
    watermarkMs: number,
  ): void {
    const fireMs = maxTimeMs(window);
    const cleanupMs = cleanupTimeMs(window, this.#latenessMs);
    if (fireMs > watermarkMs)
      this.state.timers.register({ key, keyGroup, namespace, timeMs: fireMs });
    if (cleanupMs < MAX_TIME_MS && cleanupMs !== fireMs)
      this.state.timers.register({ key, keyGroup, namespace, timeMs: cleanupMs });
  }

  #onTimer(timer: KeyedTimer): void {
    const window = parseWindowId(timer.namespace);
    if (timer.timeMs === maxTimeMs(window)) this.#fire(timer.key, window);
    if (timer.timeMs === cleanupTimeMs(window, this.#latenessMs))
      this.state.backend.handles.panes.delete(timer.namespace);
  }

  #fire(key: string, window: TimeWindow): void {
    const accumulator = this.state.backend.handles.panes.get(windowId(window));
    if (accumulator === undefined) return;
    const result = this.#spec.aggregate.result(accumulator);
    for (const output of this.#spec.emit(key, window, result))
      this.#outputs.main.record(output, maxTimeMs(window));
  }

  #onLate(value: I, eventTimeMs: number): void {
    this.lateRecords += 1;
    const { lateTag } = this.#spec;
    if (lateTag !== undefined) this.#outputs.side(lateTag.id)?.record(value, eventTimeMs);
  }
}

function windowId(window: TimeWindow): string {
  return `${String(window.startMs)}/${String(window.endMs)}`;
}

function parseWindowId(id: string): TimeWindow {
  const slash = id.indexOf("/");
  return { startMs: Number(id.slice(0, slash)), endMs: Number(id.slice(slash + 1)) };
}
