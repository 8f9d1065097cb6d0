import type { StateHandles, StateSpec } from "../state/keyed-state.ts";
import { MIN_TIME_MS, type OutputTag, type Watermark } from "./element.ts";
import { KeyedScope } from "./keyed-scope.ts";
import type { Operator, OperatorContext, Outputs } from "./operator.ts";
import type { KeyedTimer } from "./timer-queue.ts";
import type { TimerService } from "./timer-service.ts";

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
  /**
   * Points state at another key while `use` runs, and gives back what it returns. For what belongs to several
   * keys of one key group, such as how many of them are kept; the key is taken to be of the current group.
   */
  withKey<R>(key: string, use: () => R): R;
}

/** A function over the records of one key, with state and timers; the logic, without mutable fields. */
export interface KeyedProcess<I, O, S extends StateSpec> {
  /** Stable name: state is found by it after an upgrade. */
  readonly uid: string;
  readonly state: S;
  onRecord(context: ProcessContext<O, S>, value: I): void;
  onTimer?(context: ProcessContext<O, S>, timeMs: number, namespace: string): void;
}

/** Runs a `KeyedProcess`. Configuration: function and key; checkpointed: the scope. */
export class ProcessOperator<I, O, S extends StateSpec> implements Operator<I> {
  readonly state: KeyedScope<S>;
  readonly #process: KeyedProcess<I, O, S>;
  readonly #keyOf: (value: I) => string;
  readonly #outputs: Outputs<O>;
  readonly #call: CallContext<O, S>;

  constructor(
    process: KeyedProcess<I, O, S>,
    keyOf: (value: I) => string,
    context: OperatorContext,
    outputs: Outputs<O>,
  ) {
    this.#process = process;
    this.#keyOf = keyOf;
    this.#outputs = outputs;
    this.state = new KeyedScope(process.uid, process.state, context, (timer) => {
      this.#call.enter(timer.key, timer.keyGroup, timer.timeMs);
      this.#process.onTimer?.(this.#call, timer.timeMs, timer.namespace);
    });
    const { backend, timers } = this.state;
    const setKey = (key: string, keyGroup: number): void => backend.setKey(key, keyGroup);
    this.#call = new CallContext(backend.handles, setKey, timers, context, outputs);
  }

  record(value: I, eventTimeMs: number): void {
    const key = this.#keyOf(value);
    this.#call.enter(key, this.state.enter(key), eventTimeMs);
    this.#process.onRecord(this.#call, value);
  }

  watermark(watermark: Watermark): void {
    this.state.advance(watermark, this.#outputs.main);
  }
}

/** One object for all calls of an operator: a record costs no allocation here. */
class CallContext<O, S extends StateSpec> implements ProcessContext<O, S> {
  key = "";
  keyGroup = -1;
  eventTimeMs = MIN_TIME_MS;
  readonly state: StateHandles<S>;
  readonly timers: Timers;
  readonly #setKey: (key: string, keyGroup: number) => void;
  readonly #service: TimerService;
  readonly #context: OperatorContext;
  readonly #outputs: Outputs<O>;

  constructor(
    state: StateHandles<S>,
    setKey: (key: string, keyGroup: number) => void,
    service: TimerService,
    context: OperatorContext,
    outputs: Outputs<O>,
  ) {
    this.state = state;
    this.#setKey = setKey;
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

  withKey<R>(key: string, use: () => R): R {
    const before = this.key;
    this.key = key;
    this.#setKey(key, this.keyGroup);
    try {
      return use();
    } finally {
      this.key = before;
      this.#setKey(before, this.keyGroup);
    }
  }

  #timer(timeMs: number, namespace: string): KeyedTimer {
    return { key: this.key, keyGroup: this.keyGroup, namespace, timeMs };
  }
}
