import { create } from "@bufbuild/protobuf";
import {
  type KeyWatermark,
  KeyWatermarkSchema,
  type Timer,
  TimerSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { MIN_TIME_MS, TASK_SCOPE, type Watermark } from "./element.ts";
import { type KeyedTimer, TimerQueue } from "./timer-queue.ts";

/**
 * Event time of one operator: watermarks and the timers that wait for them.
 *
 * Time runs by scope. Watermarks of the task scope hold for every key and fire all timers in the order of
 * time; watermarks of a key's scope hold for that key alone. A job uses one of the two.
 */
export class TimerService {
  readonly #fire: (timer: KeyedTimer) => void;
  readonly #scopes = new Map<
    string,
    { watermarkMs: number; keyGroup: number; queue: TimerQueue }
  >();

  constructor(fire: (timer: KeyedTimer) => void) {
    this.#fire = fire;
  }

  /** Watermark that holds for this key. */
  watermarkMs(key: string): number {
    return Math.max(
      this.#scopes.get(TASK_SCOPE)?.watermarkMs ?? MIN_TIME_MS,
      this.#scopes.get(key)?.watermarkMs ?? MIN_TIME_MS,
    );
  }

  register(timer: KeyedTimer): void {
    this.#queueOf(timer).register(timer);
  }

  delete(timer: KeyedTimer): void {
    this.#queueOf(timer).delete(timer);
  }

  /**
   * Advances the scope and fires what is due, in the order of time, including timers that a firing
   * registers in that range. @returns false when the watermark is not above the scope's own.
   */
  advance({ scope, watermarkMs }: Watermark, keyGroup: number): boolean {
    const state = this.#scope(scope, keyGroup);
    if (watermarkMs <= state.watermarkMs) return false;
    state.watermarkMs = watermarkMs;
    for (let due = state.queue.poll(watermarkMs); due; due = state.queue.poll(watermarkMs))
      this.#fire(due);
    return true;
  }

  timers(keyGroup: number): Timer[] {
    const timers: Timer[] = [];
    for (const [scope, { queue, keyGroup: own }] of this.#scopes) {
      // A key's own timers are all of its key group: those of the other groups need no look.
      if (scope !== TASK_SCOPE && own !== keyGroup) continue;
      for (const { key, namespace, timeMs, keyGroup: group } of queue.values())
        if (group === keyGroup)
          timers.push(create(TimerSchema, { key, namespace, timeMs: BigInt(timeMs) }));
    }
    return timers;
  }

  /** Watermarks by key are state, so that late data is not taken again after a restore. */
  watermarks(keyGroup: number): KeyWatermark[] {
    const watermarks: KeyWatermark[] = [];
    for (const [key, state] of this.#scopes)
      if (key !== TASK_SCOPE && state.keyGroup === keyGroup && state.watermarkMs > MIN_TIME_MS)
        watermarks.push(
          create(KeyWatermarkSchema, { key, watermarkMs: BigInt(state.watermarkMs) }),
        );
    return watermarks;
  }

  restore(keyGroup: number, timers: readonly Timer[], watermarks: readonly KeyWatermark[]): void {
    for (const { key, watermarkMs } of watermarks)
      this.#scope(key, keyGroup).watermarkMs = Number(watermarkMs);
    for (const { key, namespace, timeMs } of timers)
      this.register({ key, keyGroup, namespace, timeMs: Number(timeMs) });
  }

  /** A key that has its own clock keeps its timers there; every other key's wait for the task's. */
  #queueOf(timer: KeyedTimer): TimerQueue {
    const own = this.#scopes.get(timer.key);
    return (own ?? this.#scope(TASK_SCOPE, -1)).queue;
  }

  #scope(
    scope: string,
    keyGroup: number,
  ): { watermarkMs: number; keyGroup: number; queue: TimerQueue } {
    let state = this.#scopes.get(scope);
    if (state === undefined) {
      state = { watermarkMs: MIN_TIME_MS, keyGroup, queue: new TimerQueue() };
      this.#scopes.set(scope, state);
      if (scope !== TASK_SCOPE) this.#adopt(scope, state.queue);
    }
    return state;
  }

  /** Timers that a key registered before its first watermark move to its own clock. */
  #adopt(key: string, queue: TimerQueue): void {
    const task = this.#scopes.get(TASK_SCOPE)?.queue;
    for (const timer of task?.values() ?? [])
      if (timer.key === key) {
        task?.delete(timer);
        queue.register(timer);
      }
  }
}
