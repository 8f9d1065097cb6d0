import { MAX_TIME_MS, MIN_TIME_MS } from "../runtime/element.ts";

interface Split {
  watermarkMs: number;
  idle: boolean;
  finished: boolean;
  /** Processing time that counts as silence so far. */
  silentMs: number;
}

export interface SplitOptions {
  /** A split without a watermark for so long is idle and holds nobody back; default never. */
  readonly idleTimeoutMs?: number;
  /** How far a split may be ahead of the slowest one before it is paused; default without limit. */
  readonly maxDriftMs?: number;
}

/**
 * Watermarks of the splits inside one source, combined: the minimum over the active splits, which never goes
 * back. A split that is too far ahead is paused until the others have caught up, and a paused split is not
 * idle: what it has not been allowed to deliver is still to come.
 * @see Flink, WatermarkOutputMultiplexer and SourceOperator.
 */
export class SplitWatermarks {
  readonly #splits = new Map<string, Split>();
  readonly #idleTimeoutMs: number;
  readonly #maxDriftMs: number;
  #limitMs = MAX_TIME_MS;
  #tickMs: number | undefined;
  /** Combined watermark; `MIN_TIME_MS` before any. */
  lastMs = MIN_TIME_MS;
  /** Combined status: every split is idle. */
  idle = false;

  constructor({ idleTimeoutMs, maxDriftMs }: SplitOptions = {}) {
    this.#idleTimeoutMs = idleTimeoutMs ?? Number.POSITIVE_INFINITY;
    this.#maxDriftMs = maxDriftMs ?? Number.POSITIVE_INFINITY;
  }

  /** A new split is active and at the beginning of time. */
  add(split: string): void {
    if (!this.#splits.has(split))
      this.#splits.set(split, {
        watermarkMs: MIN_TIME_MS,
        idle: false,
        finished: false,
        silentMs: 0,
      });
  }

  remove(split: string): void {
    this.#splits.delete(split);
  }

  /** Nothing more comes of it, so it is never paused, and it holds nobody back. */
  finish(split: string): void {
    const state = this.#split(split);
    state.finished = true;
    state.idle = true;
  }

  /** @param isTick - said at a tick, without a record behind it: saying the same again is no activity. */
  watermark(split: string, watermarkMs: number, isTick = false): void {
    const state = this.#split(split);
    if (isTick && watermarkMs <= state.watermarkMs) return;
    state.watermarkMs = Math.max(state.watermarkMs, watermarkMs);
    state.idle = false;
    state.silentMs = 0;
    this.update();
  }

  markIdle(split: string): void {
    this.#split(split).idle = true;
    this.update();
  }

  /** Lets processing time pass. @param blocked - nothing could come meanwhile, which is not silence. */
  tick(nowMs: number, blocked = false): void {
    const passedMs = nowMs - (this.#tickMs ?? nowMs);
    this.#tickMs = nowMs;
    if (!blocked)
      for (const [name, split] of this.#splits) {
        if (this.#isPaused(split)) continue;
        split.silentMs += passedMs;
        if (split.silentMs >= this.#idleTimeoutMs) this.#split(name).idle = true;
      }
    this.update();
  }

  /** Highest watermark that splits may have before they are paused. */
  allow(limitMs: number): void {
    this.#limitMs = limitMs;
  }

  /** Names of the splits that should not be read now, sorted. */
  paused(): string[] {
    return [...this.#splits]
      .filter(([, split]) => this.#isPaused(split))
      .map(([name]) => name)
      .sort();
  }

  isIdle(split: string): boolean {
    return this.#splits.get(split)?.idle === true;
  }

  /** The active splits with the lowest watermark. */
  slowest(): string[] {
    return [...this.#splits]
      .filter(([, { idle, watermarkMs }]) => !idle && watermarkMs === this.lowestMs())
      .map(([name]) => name);
  }

  idleSplits(): string[] {
    return [...this.#splits.keys()].filter((name) => this.isIdle(name));
  }

  /** Takes minimum and status anew. */
  update(): void {
    if (this.#splits.size === 0) return;
    const lowest = this.lowestMs();
    this.idle = lowest === undefined;
    if (lowest === undefined) return;
    this.lastMs = Math.max(this.lastMs, lowest);
    if (this.#maxDriftMs < Number.POSITIVE_INFINITY) this.allow(lowest + this.#maxDriftMs);
  }

  /** Lowest watermark of the active splits; undefined when there is none. */
  lowestMs(): number | undefined {
    let lowest: number | undefined;
    for (const { idle, watermarkMs } of this.#splits.values())
      if (!idle) lowest = Math.min(lowest ?? MAX_TIME_MS, watermarkMs);
    return lowest;
  }

  #isPaused({ watermarkMs, finished }: Split): boolean {
    return watermarkMs > this.#limitMs && !finished;
  }

  #split(name: string): Split {
    this.add(name);
    const split = this.#splits.get(name);
    if (split === undefined) throw new RangeError(`no split ${name}`);
    return split;
  }
}
