import type { OperatorState } from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { StateHandles, StateSpec } from "../state/keyed-state.ts";
import { TEXT_NAMESPACES } from "../state/namespaces.ts";
import {
  type OperatorStateHandles,
  type OperatorStateSpec,
  OperatorStateStore,
} from "../state/operator-state.ts";
import type { Space } from "../state/space.ts";
import { MIN_TIME_MS, NO_TIME_MS, type OutputTag } from "./element.ts";
import { KeyedScope, type TimeDomain } from "./keyed-scope.ts";
import type { Operator, OperatorContext, OperatorStateAccess, Outputs } from "./operator.ts";

/** Timers of the current key; event time by default. */
export interface Timers {
  register(timeMs: number, namespace?: string, domain?: TimeDomain): void;
  delete(timeMs: number, namespace?: string, domain?: TimeDomain): void;
}

/** What a process function may do while it handles a record or a timer. */
export interface ProcessContext<O, S extends StateSpec, B extends OperatorStateSpec = {}> {
  readonly key: string;
  readonly keyGroup: number;
  /** Of the record, or of the timer that fires; `NO_TIME_MS` when there is none. */
  readonly eventTimeMs: number;
  /** Watermark that holds for the current key. */
  readonly watermarkMs: number;
  /** Processing time. */
  readonly nowMs: number;
  readonly state: StateHandles<S>;
  /** State without a key. */
  readonly operatorState: OperatorStateHandles<B>;
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

/** What functions over keyed records share: name, state and timers; the logic, without mutable fields. */
export interface ProcessBase<O, S extends StateSpec, B extends OperatorStateSpec = {}> {
  /** Stable name: state is found by it after an upgrade. */
  readonly uid: string;
  readonly state: S;
  readonly operatorState?: B;
  onTimer?(
    context: ProcessContext<O, S, B>,
    timeMs: number,
    namespace: string,
    domain: TimeDomain,
  ): void;
}

/** A function over the records of one key. */
export interface KeyedProcess<
  I,
  O,
  S extends StateSpec,
  B extends OperatorStateSpec = {},
> extends ProcessBase<O, S, B> {
  onRecord(context: ProcessContext<O, S, B>, value: I): void;
}

/** A function over two keyed streams that share state. */
export interface CoProcess<L, R, O, S extends StateSpec> extends ProcessBase<O, S> {
  onLeft(context: ProcessContext<O, S>, value: L): void;
  onRight(context: ProcessContext<O, S>, value: R): void;
}

/** A function over a keyed stream and a broadcast one, whose state every task holds whole. */
export interface BroadcastProcess<
  I,
  B,
  O,
  S extends StateSpec,
  P extends OperatorStateSpec,
> extends ProcessBase<O, S, P> {
  readonly operatorState: P;
  onRecord(context: ProcessContext<O, S, P>, value: I): void;
  /** There is no key here: only `operatorState` may be used, and alike in every task. */
  onBroadcast(context: ProcessContext<O, S, P>, value: B): void;
}

/** One input of a process operator; without a key it may only use operator state. */
export interface ProcessInput<O, S extends StateSpec, B extends OperatorStateSpec> {
  readonly keyOf: ((value: never) => string) | undefined;
  onRecord(context: ProcessContext<O, S, B>, value: never): void;
}

/** Runs functions over one or several inputs. Configuration: functions and keys; checkpointed: the scope. */
export class ProcessOperator<
  O,
  S extends StateSpec,
  B extends OperatorStateSpec,
> implements OperatorStateAccess {
  readonly uid: string;
  readonly inputs: readonly Operator<never>[];
  readonly scope: KeyedScope<S, string>;
  readonly #operatorState: OperatorStateStore<B>;
  readonly #context: OperatorContext;

  constructor(
    spec: ProcessBase<O, S, B>,
    inputs: readonly ProcessInput<O, S, B>[],
    context: OperatorContext,
    outputs: Outputs<O>,
  ) {
    this.uid = spec.uid;
    this.#context = context;
    this.#operatorState = new OperatorStateStore(
      spec.uid,
      spec.operatorState ?? ({} as B),
      context.clock,
    );
    // Broadcast state is for records with a key to read; a list of the operator they may write.
    const keysWrite = Object.values(spec.operatorState ?? {}).some(
      ({ redistribution }) => redistribution !== "broadcast",
    );
    const scope = new KeyedScope(
      spec.uid,
      spec.state,
      TEXT_NAMESPACES,
      context,
      (space, timeMs, domain) => {
        if (keysWrite) context.markDirty(context.keyGroups);
        call.enter(space, domain === "event" ? timeMs : NO_TIME_MS);
        spec.onTimer?.(call, timeMs, space.namespace ?? "", domain);
      },
    );
    const call = new CallContext<O, S, B>(scope, this.#operatorState.handles, context, outputs);
    this.scope = scope;
    this.inputs = inputs.map((input) => ({
      state: this,
      record: (value: never, eventTimeMs: number) => {
        if (keysWrite || input.keyOf === undefined) context.markDirty(context.keyGroups);
        if (input.keyOf === undefined) call.leave(eventTimeMs);
        else call.enter(scope.enter(input.keyOf(value)).root, eventTimeMs);
        input.onRecord(call, value);
      },
      watermark: (watermarkMs, ofScope) => scope.advance(watermarkMs, ofScope, outputs.main),
      status: (idle) => outputs.main.status(idle),
      processingTime: (nowMs) => scope.processingTime(nowMs),
      nextWakeUpMs: () => scope.nextWakeUpMs(),
    }));
  }

  descriptors(): ReturnType<OperatorStateAccess["descriptors"]> {
    return [...this.scope.descriptors(), ...this.#operatorState.descriptors()];
  }

  snapshot(keyGroup: number): Uint8Array | undefined {
    return keyGroup === this.#context.keyGroups
      ? this.#operatorState.snapshot()
      : this.scope.snapshot(keyGroup);
  }

  restore(keyGroup: number, state: OperatorState): void {
    if (keyGroup === this.#context.keyGroups) this.#operatorState.restore(state);
    else this.scope.restore(keyGroup, state);
  }
}

/** One object for all calls of an operator: a record costs no allocation here. */
class CallContext<O, S extends StateSpec, B extends OperatorStateSpec> implements ProcessContext<
  O,
  S,
  B
> {
  key = "";
  keyGroup = -1;
  eventTimeMs = MIN_TIME_MS;
  readonly state: StateHandles<S>;
  readonly operatorState: OperatorStateHandles<B>;
  readonly timers: Timers;
  readonly #scope: KeyedScope<S, string>;
  readonly #context: OperatorContext;
  readonly #outputs: Outputs<O>;

  constructor(
    scope: KeyedScope<S, string>,
    operatorState: OperatorStateHandles<B>,
    context: OperatorContext,
    outputs: Outputs<O>,
  ) {
    const { store } = scope;
    this.state = store.handles;
    this.operatorState = operatorState;
    this.#scope = scope;
    this.#context = context;
    this.#outputs = outputs;
    const space = (namespace: string): Space<string> =>
      namespace === "" ? store.entry.root : store.space(namespace);
    this.timers = {
      register: (timeMs, namespace = "", domain = "event") =>
        scope.register(space(namespace), timeMs, domain),
      delete: (timeMs, namespace = "", domain = "event") =>
        scope.delete(space(namespace), timeMs, domain),
    };
  }

  get watermarkMs(): number {
    return this.#scope.watermarkMs;
  }

  get nowMs(): number {
    return this.#context.clock.nowMs();
  }

  get traceparent(): string {
    return this.#context.origin.traceparent;
  }

  enter({ entry }: Space<string>, eventTimeMs: number): void {
    this.key = entry.key;
    this.keyGroup = entry.keyGroup;
    this.eventTimeMs = eventTimeMs;
  }

  leave(eventTimeMs: number): void {
    this.key = "";
    this.keyGroup = -1;
    this.eventTimeMs = eventTimeMs;
  }

  emit(value: O, eventTimeMs = this.eventTimeMs): void {
    this.#outputs.main.record(value, eventTimeMs);
  }

  side<T>(tag: OutputTag<T>, value: T): void {
    this.#outputs.side(tag.id)?.record(value, this.eventTimeMs);
  }

  withKey<R>(key: string, use: () => R): R {
    const { entry } = this.#scope.store;
    this.enter(this.#scope.enterOwn(key, entry.keyGroup).root, this.eventTimeMs);
    try {
      return use();
    } finally {
      this.enter(this.#scope.enterOwn(entry.key, entry.keyGroup).root, this.eventTimeMs);
    }
  }
}
