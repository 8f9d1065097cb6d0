/** Processing time. Operators get it from their context and never read the wall clock. */
export interface Clock {
  /** Milliseconds since the Unix epoch, whole. */
  nowMs(): number;
  /** The same with fractions, for measuring; a clock without it is read in whole milliseconds. */
  preciseMs?(): number;
}

export const systemClock: Clock = { nowMs: () => Date.now(), preciseMs: systemPreciseMs };

/** The clock that has fractions drifts from the one that messages carry, which then counts. */
function systemPreciseMs(): number {
  const fineMs = performance.timeOrigin + performance.now();
  const coarseMs = Date.now();
  return Math.abs(fineMs - coarseMs) <= 1 ? fineMs : coarseMs;
}

/** Epoch milliseconds with fractions, as far as the clock has them. */
export function preciseMs(clock: Clock): number {
  return clock.preciseMs?.() ?? clock.nowMs();
}

/** A clock that stands still until it is told otherwise; for tests and for deterministic replays. */
export class ManualClock implements Clock {
  #nowMs: number;

  constructor(nowMs = 0) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  advanceTo(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
  }
}

/** Waits in processing time. */
export async function delay(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
