import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../base/random.ts";

/** Keeps requests apart: a turn at most every so often, first come, first served. */
export class Pace {
  readonly #gapMs: number;
  #nextMs = 0;

  /** @param perSecond - turns a second, > 0. */
  constructor(perSecond: number) {
    this.#gapMs = 1000 / perSecond;
  }

  async turn(signal: AbortSignal): Promise<void> {
    const nowMs = performance.now();
    const turnMs = Math.max(nowMs, this.#nextMs);
    this.#nextMs = turnMs + this.#gapMs;
    if (turnMs > nowMs) await delay(turnMs - nowMs, undefined, { signal });
  }

  /** Everybody waits: the server has asked for it. */
  pause(ms: number): void {
    this.#nextMs = Math.max(this.#nextMs, performance.now() + ms);
  }
}

/**
 * Growing waits between attempts that fail, with jitter, so that many of them do not come at once.
 * @see Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export class BackOff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #random: Random;
  #failures = 0;

  constructor(firstMs: number, maxMs: number, random: Random) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#random = random;
  }

  /** Wait after one more failure: half of the exponential one, and up to as much again by chance. */
  failed(): number {
    const fullMs = Math.min(this.#maxMs, this.#firstMs * 2 ** this.#failures);
    if (fullMs < this.#maxMs) this.#failures += 1;
    return fullMs * (0.5 + 0.5 * this.#random.next());
  }

  succeeded(): void {
    this.#failures = 0;
  }
}
