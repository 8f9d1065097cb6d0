import { create } from "@bufbuild/protobuf";
import {
  type OperatorState,
  OperatorStateSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { StateHandles, StateSpec } from "../state/keyed-state.ts";
import { MemoryBackend } from "../state/memory-backend.ts";
import { keyGroupOfRecord } from "./key-check.ts";
import { MIN_TIME_MS, type OutputTag, TASK_SCOPE, type Watermark } from "./element.ts";
import type { Operator, OperatorContext, OperatorStateAccess, Outputs } from "./operator.ts";
import type { KeyedTimer } from "./timer-queue.ts";
import { TimerService } from "./timer-service.ts";

/** Event-time timers of the current key. */
export interface Timers {
  register(timeMs: number, namespace?: string): void;
  delete(timeMs: number, namespace?: string): void;
}

/** What a process function may do while it handles a record or a timer. */
export interface ProcessContext<O, S extends StateSpec> {
  readonly key: string;
  readonly keyGroup: number;
  /** Of the record, or of the timer that fires. */
  readonly eventTimeMs: number;
  /** Watermark that holds for the current key. */
  readonly watermarkMs: number;
  readonly state: StateHandles<S>;
  readonly timers: Timers;
  readonly traceparent: string;
  /** Emits with the event time of the record or timer, unless another is given. */
  emit(value: O, eventTimeMs?: number): void;
  side<T>(tag: OutputTag<T>, value: T): void;
}

/** A function over the records of one key, with state and timers; the logic, without mutable fields. */
export interface KeyedProcess<I, O, S extends StateSpec> {
  /** Stable name: state is found by it after an upgrade. */
  readonly uid: string;
  readonly state: S;
  onRecord(context: ProcessContext<O, S>, value: I): void;
  onTimer?(context: ProcessContext<O, S>, timeMs: number, namespace: string): void;
}

/** Runs a `KeyedProcess`. Configuration: function and key; checkpointed: state, timers, watermarks by key. */
export class ProcessOperator<I, O, S extends StateSpec>
  implements Operator<I>, OperatorStateAccess
{
  readonly uid: string;
  readonly state: OperatorStateAccess = this;
  readonly #process: KeyedProcess<I, O, S>;
  readonly #keyOf: (value: I) => string;
  readonly #context: OperatorContext;
  readonly #outputs: Outputs<O>;
  readonly #backend: MemoryBackend<S>;
  readonly #timers: TimerService;
  readonly #call: CallContext<O, S>;

  constructor(
    process: KeyedProcess<I, O, S>,
    keyOf: (value: I) => string,
    context: OperatorContext,
    outputs: Outputs<O>,
  ) {
    this.uid = process.uid;
    this.#process = process;
    this.#keyOf = keyOf;
    this.#context = context;
    this.#outputs = outputs;
    this.#backend = new MemoryBackend(process.uid, process.state);
    this.#timers = new TimerService((timer) => this.#onTimer(timer));
    this.#call = new CallContext(this.#backend.handles, this.#timers, context, outputs);
  }

  record(value: I, eventTimeMs: number): void {
    const key = this.#keyOf(value);
    this.#enter(key, keyGroupOfRecord(this.uid, key, this.#context), eventTimeMs);
    this.#process.onRecord(this.#call, value);
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

  #onTimer(timer: KeyedTimer): void {
    this.#enter(timer.key, timer.keyGroup, timer.timeMs);
    this.#process.onTimer?.(this.#call, timer.timeMs, timer.namespace);
  }

  #enter(key: string, keyGroup: number, eventTimeMs: number): void {
    this.#context.markDirty(keyGroup);
    this.#backend.setKey(key, keyGroup);
    this.#call.enter(key, keyGroup, eventTimeMs);
  }
}

/** One object for all calls of an operator: a record costs no allocation here. */
class CallContext<O, S extends StateSpec> implements ProcessContext<O, S> {
  key = "";
  keyGroup = -1;
  eventTimeMs = MIN_TIME_MS;
  readonly state: StateHandles<S>;
  readonly timers: Timers;
  readonly #service: TimerService;
  readonly #context: OperatorContext;
  readonly #outputs: Outputs<O>;

  constructor(
    state: StateHandles<S>,
    service: TimerService,
    context: OperatorContext,
    outputs: Outputs<O>,
  ) {
    this.state = state;
    this.#service = service;
    this.#context = context;
    this.#outputs = outputs;
    this.timers = {
      register: (timeMs, namespace = "") => service.register(this.#timer(timeMs, namespace)),
      delete: (timeMs, namespace = "") => service.delete(this.#timer(timeMs, namespace)),
    };
  }

  get watermarkMs(): number {
    return this.#service.watermarkMs(this.key);
  }

  get traceparent(): string {
    return this.#context.origin.traceparent;
  }

  enter(key: string, keyGroup: number, eventTimeMs: number): void {
    this.key = key;
    this.keyGroup = keyGroup;
    this.eventTimeMs = eventTimeMs;
  }

  emit(value: O, eventTimeMs = this.eventTimeMs): void {
    this.#outputs.main.record(value, eventTimeMs);
  }

  side<T>(tag: OutputTag<T>, value: T): void {
    this.#outputs.side(tag.id)?.record(value, this.eventTimeMs);
  }

  #timer(timeMs: number, namespace: string): KeyedTimer {
    return { key: this.key, keyGroup: this.keyGroup, namespace, timeMs };
  }
}
