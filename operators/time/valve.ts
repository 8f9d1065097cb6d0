import assert from "node:assert/strict";
import { MAX_TIME_MS, MIN_TIME_MS, type Output, TASK_SCOPE } from "../runtime/element.ts";

interface Channel {
  watermarkMs: number;
  active: boolean;
  /** Takes part in the minimum: active, and not behind what has left already. */
  aligned: boolean;
}

/**
 * Combines the watermarks and the idleness of several inputs into one: the minimum over the aligned active
 * ones. An idle input holds nobody back; one that becomes active again takes part once it has caught up.
 * Watermarks of a key's scope know no idleness: there the minimum over all inputs leaves.
 * @see Flink, StatusWatermarkValve.
 */
export class WatermarkValve {
  readonly #channels: readonly Channel[];
  readonly #out: Output<never>;
  readonly #byKey = new Map<string, { readonly inputs: number[]; last: number }>();
  #lastMs = MIN_TIME_MS;
  #active = true;

  constructor(inputs: number, out: Output<never>) {
    assert(inputs > 0, "a valve needs at least one input");
    this.#channels = Array.from({ length: inputs }, () => ({
      watermarkMs: MIN_TIME_MS,
      active: true,
      aligned: true,
    }));
    this.#out = out;
  }

  get lastMs(): number {
    return this.#lastMs;
  }

  isAligned(input: number): boolean {
    return this.#channel(input).aligned;
  }

  watermark(input: number, watermarkMs: number, scope: string): void {
    if (scope !== TASK_SCOPE) return this.#ofKey(input, watermarkMs, scope);
    const channel = this.#channel(input);
    if (!channel.active || watermarkMs <= channel.watermarkMs) return;
    channel.watermarkMs = watermarkMs;
    channel.aligned ||= watermarkMs >= this.#lastMs;
    this.#advance(this.#aligned());
  }

  status(input: number, idle: boolean): void {
    const channel = this.#channel(input);
    if (channel.active !== idle) return;
    channel.active = !idle;
    if (!idle) {
      channel.aligned = channel.watermarkMs >= this.#lastMs;
      if (this.#active) return;
      this.#active = true;
      return this.#out.status(false);
    }
    channel.aligned = false;
    if (this.#channels.some(({ active }) => active)) return this.#advance(this.#aligned());
    // Nobody is left to say more: what the others had said holds, if the last one was not behind it.
    if (channel.watermarkMs === this.#lastMs)
      this.#advance(
        this.#channels.map(({ watermarkMs }) => watermarkMs),
        "highest",
      );
    this.#active = false;
    this.#out.status(true);
  }

  /** Inputs with the lowest watermark among those that count, and the idle ones. */
  explain(): { readonly heldBy: readonly number[]; readonly idle: readonly number[] } {
    const lowest = Math.min(...this.#aligned());
    const indices = this.#channels.map((_channel, i) => i);
    return {
      heldBy: indices.filter((i) => this.isAligned(i) && this.#channel(i).watermarkMs === lowest),
      idle: indices.filter((i) => !this.#channel(i).active),
    };
  }

  #channel(input: number): Channel {
    const channel = this.#channels[input];
    assert(channel !== undefined, "no such input");
    return channel;
  }

  #aligned(): number[] {
    return this.#channels.flatMap(({ aligned, watermarkMs }) => (aligned ? [watermarkMs] : []));
  }

  #advance(watermarks: readonly number[], which: "lowest" | "highest" = "lowest"): void {
    if (watermarks.length === 0) return;
    const next = which === "lowest" ? Math.min(...watermarks) : Math.max(...watermarks);
    if (next <= this.#lastMs) return;
    this.#lastMs = next;
    this.#out.watermark(next, TASK_SCOPE);
  }

  #ofKey(input: number, watermarkMs: number, scope: string): void {
    let state = this.#byKey.get(scope);
    if (state === undefined) {
      state = { inputs: this.#channels.map(() => MIN_TIME_MS), last: MIN_TIME_MS };
      this.#byKey.set(scope, state);
    }
    state.inputs[input] = Math.max(state.inputs[input] ?? MIN_TIME_MS, watermarkMs);
    const least = Math.min(...state.inputs);
    if (least <= state.last) return;
    state.last = least;
    // Nothing follows for this key.
    if (least === MAX_TIME_MS) this.#byKey.delete(scope);
    this.#out.watermark(least, scope);
  }
}
