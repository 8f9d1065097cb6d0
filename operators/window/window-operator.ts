import { create } from "@bufbuild/protobuf";
import {
  type OperatorState,
  OperatorStateSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { MAX_TIME_MS, type OutputTag, TASK_SCOPE, type Watermark } from "../runtime/element.ts";
import { keyGroupOfRecord } from "../runtime/key-check.ts";
import type {
  Operator,
  OperatorContext,
  OperatorStateAccess,
  Outputs,
} from "../runtime/operator.ts";
import type { KeyedTimer } from "../runtime/timer-queue.ts";
import { TimerService } from "../runtime/timer-service.ts";
import type { Codec } from "../state/codec.ts";
import { mapState } from "../state/keyed-state.ts";
import { MemoryBackend } from "../state/memory-backend.ts";
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
export class WindowOperator<I, A, R, O> implements Operator<I>, OperatorStateAccess {
  readonly uid: string;
  readonly state: OperatorStateAccess = this;
  /** Records that were late for all their windows. */
  lateRecords = 0;
  // Configuration.
  readonly #spec: WindowSpec<I, A, R, O>;
  readonly #keyOf: (value: I) => string;
  readonly #context: OperatorContext;
  readonly #outputs: Outputs<O>;
  readonly #latenessMs: number;
  // Checkpointed.
  readonly #backend: MemoryBackend<{ panes: ReturnType<typeof mapState<A>> }>;
  readonly #timers: TimerService;

  constructor(
    spec: WindowSpec<I, A, R, O>,
    keyOf: (value: I) => string,
    context: OperatorContext,
    outputs: Outputs<O>,
  ) {
    this.uid = spec.uid;
    this.#spec = spec;
    this.#keyOf = keyOf;
    this.#context = context;
    this.#outputs = outputs;
    this.#latenessMs = spec.allowedLatenessMs ?? 0;
    this.#backend = new MemoryBackend(spec.uid, { panes: mapState(spec.aggregate.codec) });
    this.#timers = new TimerService((timer) => this.#onTimer(timer));
  }

  record(value: I, eventTimeMs: number): void {
    const key = this.#keyOf(value);
    const keyGroup = keyGroupOfRecord(this.uid, key, this.#context);
    this.#enter(key, keyGroup);
    const watermarkMs = this.#timers.watermarkMs(key);
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
    const keyGroup = watermark.scope === TASK_SCOPE ? -1 : this.#context.origin.keyGroup;
    if (watermark.scope !== TASK_SCOPE) this.#context.markDirty(keyGroup);
    if (this.#timers.advance(watermark, keyGroup)) this.#outputs.main.watermark(watermark);
  }

  descriptors(): ReturnType<OperatorStateAccess["descriptors"]> {
    return this.#backend.descriptors();
  }

  snapshot(keyGroup: number): OperatorState | undefined {
    const states = this.#backend.snapshot(keyGroup);
    const timers = this.#timers.timers(keyGroup);
    const watermarks = this.#timers.watermarks(keyGroup);
    if (states.length + timers.length + watermarks.length === 0) return undefined;
    return create(OperatorStateSchema, { uid: this.uid, states, timers, watermarks });
  }

  restore(keyGroup: number, state: OperatorState): void {
    this.#backend.restore(keyGroup, state.states);
    this.#timers.restore(keyGroup, state.timers, state.watermarks);
  }

  #add(key: string, keyGroup: number, window: TimeWindow, value: I, watermarkMs: number): void {
    const { panes } = this.#backend.handles;
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
    if (fireMs > watermarkMs) this.#timers.register({ key, keyGroup, namespace, timeMs: fireMs });
    if (cleanupMs < MAX_TIME_MS && cleanupMs !== fireMs)
      this.#timers.register({ key, keyGroup, namespace, timeMs: cleanupMs });
  }

  #onTimer(timer: KeyedTimer): void {
    this.#enter(timer.key, timer.keyGroup);
    const window = parseWindowId(timer.namespace);
    if (timer.timeMs === maxTimeMs(window)) this.#fire(timer.key, window);
    if (timer.timeMs === cleanupTimeMs(window, this.#latenessMs))
      this.#backend.handles.panes.delete(timer.namespace);
  }

  #fire(key: string, window: TimeWindow): void {
    const accumulator = this.#backend.handles.panes.get(windowId(window));
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

  #enter(key: string, keyGroup: number): void {
    this.#context.markDirty(keyGroup);
    this.#backend.setKey(key, keyGroup);
  }
}

function windowId(window: TimeWindow): string {
  return `${String(window.startMs)}/${String(window.endMs)}`;
}

function parseWindowId(id: string): TimeWindow {
  const slash = id.indexOf("/");
  return { startMs: Number(id.slice(0, slash)), endMs: Number(id.slice(slash + 1)) };
}
