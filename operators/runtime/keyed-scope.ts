import { create } from "@bufbuild/protobuf";
import {
  type OperatorState,
  OperatorStateSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { StateSpec } from "../state/keyed-state.ts";
import { MemoryBackend } from "../state/memory-backend.ts";
import { type Output, TASK_SCOPE, type Watermark } from "./element.ts";
import { keyGroupOfRecord } from "./key-check.ts";
import type { OperatorContext, OperatorStateAccess } from "./operator.ts";
import type { KeyedTimer } from "./timer-queue.ts";
import { TimerService } from "./timer-service.ts";

/** What every keyed operator with timers has: state by key, event time, and both in the snapshot. */
export class KeyedScope<S extends StateSpec> implements OperatorStateAccess {
  readonly uid: string;
  readonly backend: MemoryBackend<S>;
  readonly timers: TimerService;
  readonly #context: OperatorContext;

  /** @param onTimer - called with the timer's key already entered. */
  constructor(
    uid: string,
    spec: S,
    context: OperatorContext,
    onTimer: (timer: KeyedTimer) => void,
  ) {
    this.uid = uid;
    this.backend = new MemoryBackend(uid, spec);
    this.timers = new TimerService((timer) => {
      this.#enter(timer.key, timer.keyGroup);
      onTimer(timer);
    });
    this.#context = context;
  }

  /**
   * Points state at the key of a record. @returns its key group.
   * @throws KeyGroupMismatchError when the key is not of the input message's group.
   */
  enter(key: string): number {
    const keyGroup = keyGroupOfRecord(this.uid, key, this.#context);
    this.#enter(key, keyGroup);
    return keyGroup;
  }

  /** Fires what is due, then passes the watermark on: results come before the watermark that made them. */
  advance(watermark: Watermark, out: Output<never>): void {
    const isOfTask = watermark.scope === TASK_SCOPE;
    const keyGroup = isOfTask ? -1 : this.#context.origin.keyGroup;
    if (!isOfTask) this.#context.markDirty(keyGroup);
    if (this.timers.advance(watermark, keyGroup)) out.watermark(watermark);
  }

  descriptors(): ReturnType<OperatorStateAccess["descriptors"]> {
    return this.backend.descriptors();
  }

  snapshot(keyGroup: number): OperatorState | undefined {
    const states = this.backend.snapshot(keyGroup);
    const timers = this.timers.timers(keyGroup);
    const watermarks = this.timers.watermarks(keyGroup);
    if (states.length + timers.length + watermarks.length === 0) return undefined;
    return create(OperatorStateSchema, { uid: this.uid, states, timers, watermarks });
  }

  restore(keyGroup: number, state: OperatorState): void {
    this.backend.restore(keyGroup, state.states);
    this.timers.restore(keyGroup, state.timers, state.watermarks);
  }

  #enter(key: string, keyGroup: number): void {
    this.#context.markDirty(keyGroup);
    this.backend.setKey(key, keyGroup);
  }
}
