import { addTimeMs, MIN_TIME_MS } from "../runtime/element.ts";

/** Proposes watermarks; only a proposal above the last one leaves. */
export interface WatermarkGenerator<T> {
  /** Sees every record; a punctuated generator proposes here. */
  onEvent(value: T, eventTimeMs: number, propose: (watermarkMs: number) => void): void;
  /** The periodic tick, if the operator has one; a periodic generator proposes here. */
  onPeriodic?(propose: (watermarkMs: number) => void): void;
}

/**
 * Bounded disorder: highest event time seen − bound − 1. A bound of 0 is a stream whose times only grow.
 * @param periodic - propose at the tick only, not behind every record that moves time on.
 * @see Flink, BoundedOutOfOrdernessWatermarks.
 */
export class BoundedOutOfOrderness implements WatermarkGenerator<unknown> {
  readonly #boundMs: number;
  readonly #periodic: boolean;
  #highestMs = MIN_TIME_MS;

  constructor(boundMs: number, periodic = false) {
    this.#boundMs = boundMs;
    this.#periodic = periodic;
  }

  get watermarkMs(): number {
    return this.#highestMs === MIN_TIME_MS
      ? MIN_TIME_MS
      : addTimeMs(this.#highestMs, -this.#boundMs - 1);
  }

  onEvent(_value: unknown, eventTimeMs: number, propose: (watermarkMs: number) => void): void {
    if (eventTimeMs <= this.#highestMs) return;
    this.#highestMs = eventTimeMs;
    if (!this.#periodic) propose(this.watermarkMs);
  }

  onPeriodic(propose: (watermarkMs: number) => void): void {
    propose(this.watermarkMs);
  }
}

/**
 * Tells when a stream has been silent for longer than the time-out. The clock starts at the first check
 * without activity, so that the time between two checks is never counted against the stream.
 * @see Flink, WatermarksWithIdleness.IdlenessTimer.
 */
export class IdleTimer {
  readonly #timeoutMs: number;
  #active = false;
  #silentSinceMs: number | undefined;

  /** @param timeoutMs - above 0. */
  constructor(timeoutMs: number) {
    if (!(timeoutMs > 0)) throw new RangeError("an idle time-out must be above zero milliseconds");
    this.#timeoutMs = timeoutMs;
  }

  activity(): void {
    this.#active = true;
  }

  /** Time that passed while nothing could come, because the output was blocked. */
  discount(durationMs: number): void {
    if (this.#silentSinceMs !== undefined) this.#silentSinceMs += durationMs;
  }

  isIdle(nowMs: number): boolean {
    if (this.#active) this.#silentSinceMs = undefined;
    else if (this.#silentSinceMs !== undefined)
      return nowMs - this.#silentSinceMs > this.#timeoutMs;
    else this.#silentSinceMs = nowMs;
    this.#active = false;
    return false;
  }
}
