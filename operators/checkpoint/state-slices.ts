import type { Clock } from "../../base/clock.ts";

/** Longest stretch of encoding between two turns of the event loop. */
const SLICE_MS = 5;

/**
 * Snapshot of many key groups without a long pause: at the barrier only their numbers are noted, and they are
 * encoded a few milliseconds at a time while the task goes on. A group that is about to change is encoded
 * first, so each is as it was at the barrier.
 */
export class StateSlices {
  readonly #encode: (keyGroup: number) => Uint8Array;
  readonly #clock: Clock;
  readonly #pending = new Set<number>();
  #encoded = new Map<number, Uint8Array>();
  #done: ((states: ReadonlyMap<number, Uint8Array>) => void) | undefined;
  #failed: ((error: unknown) => void) | undefined;
  /** Longest stretch so far. */
  sliceMsMax = 0;

  constructor(clock: Clock, encode: (keyGroup: number) => Uint8Array) {
    this.#clock = clock;
    this.#encode = encode;
  }

  /** Only when the slices before it are done. */
  async begin(keyGroups: Iterable<number>): Promise<ReadonlyMap<number, Uint8Array>> {
    for (const keyGroup of keyGroups) this.#pending.add(keyGroup);
    this.#encoded = new Map();
    this.sliceMsMax = 0;
    const { promise, resolve, reject } = Promise.withResolvers<ReadonlyMap<number, Uint8Array>>();
    this.#done = resolve;
    this.#failed = reject;
    this.#slice();
    return promise;
  }

  /** The group is about to change. */
  beforeChange(keyGroup: number): void {
    if (this.#pending.size > 0 && this.#pending.delete(keyGroup))
      this.#encoded.set(keyGroup, this.#encode(keyGroup));
  }

  #slice(): void {
    try {
      const startMs = this.#clock.nowMs();
      let nowMs = startMs;
      for (const keyGroup of this.#pending) {
        this.beforeChange(keyGroup);
        nowMs = this.#clock.nowMs();
        if (nowMs - startMs >= SLICE_MS) break;
      }
      this.sliceMsMax = Math.max(this.sliceMsMax, nowMs - startMs);
      if (this.#pending.size === 0) this.#done?.(this.#encoded);
      else setImmediate(() => this.#slice());
    } catch (error) {
      this.#pending.clear();
      this.#failed?.(error);
    }
  }
}
