import { create } from "@bufbuild/protobuf";
import {
  type OperatorState,
  OperatorStateSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { numberCodec } from "../state/codec.ts";
import { valueState, type ValueStateDeclaration } from "../state/keyed-state.ts";
import { MemoryBackend } from "../state/memory-backend.ts";
import { boundedWatermarkMs, type TimestampSpec } from "../time/watermark.ts";
import { MAX_TIME_MS, MIN_TIME_MS, type Output, TASK_SCOPE } from "./element.ts";
import type { Operator, OperatorContext, OperatorStateAccess } from "./operator.ts";

/**
 * Gives records their event time and lets a watermark follow each record that moves time on.
 * Watermarks that come in are swallowed: from here on this operator says how late it is.
 */
export class TimestampsOperator<T> implements Operator<T>, OperatorStateAccess {
  readonly uid: string;
  readonly state: OperatorStateAccess = this;
  readonly #spec: TimestampSpec<T>;
  readonly #context: OperatorContext;
  readonly #main: Output<T>;
  /** Highest event time by scope; the task's own is not kept, as in Flink. */
  readonly #highest: MemoryBackend<{ highestMs: ValueStateDeclaration<number> }>;
  #taskHighestMs = MIN_TIME_MS;

  constructor(uid: string, spec: TimestampSpec<T>, context: OperatorContext, main: Output<T>) {
    this.uid = uid;
    this.#spec = spec;
    this.#context = context;
    this.#main = main;
    this.#highest = new MemoryBackend(uid, { highestMs: valueState(numberCodec) });
  }

  record(value: T): void {
    const eventTimeMs = this.#spec.eventTimeMs(value);
    this.#main.record(value, eventTimeMs);
    const scope = this.#spec.scopeOf?.(value) ?? TASK_SCOPE;
    const last = this.#spec.isLast?.(value) === true;
    const highestMs = last ? MAX_TIME_MS : eventTimeMs;
    if (!this.#raise(scope, highestMs)) return;
    const watermarkMs = last
      ? MAX_TIME_MS
      : boundedWatermarkMs(highestMs, this.#spec.outOfOrdernessMs);
    this.#main.watermark({ scope, watermarkMs });
  }

  watermark(): void {
    // Swallowed, see above.
  }

  descriptors(): ReturnType<OperatorStateAccess["descriptors"]> {
    return this.#highest.descriptors();
  }

  snapshot(keyGroup: number): OperatorState | undefined {
    const states = this.#highest.snapshot(keyGroup);
    return states.length === 0 ? undefined : create(OperatorStateSchema, { uid: this.uid, states });
  }

  restore(keyGroup: number, state: OperatorState): void {
    this.#highest.restore(keyGroup, state.states);
  }

  /** @returns true when this is the highest event time of the scope so far. */
  #raise(scope: string, eventTimeMs: number): boolean {
    if (scope === TASK_SCOPE) {
      if (eventTimeMs <= this.#taskHighestMs) return false;
      this.#taskHighestMs = eventTimeMs;
      return true;
    }
    const { keyGroup } = this.#context.origin;
    this.#highest.setKey(scope, keyGroup);
    const { highestMs } = this.#highest.handles;
    if (eventTimeMs <= (highestMs.get() ?? MIN_TIME_MS)) return false;
    highestMs.set(eventTimeMs);
    this.#context.markDirty(keyGroup);
    return true;
  }
}
