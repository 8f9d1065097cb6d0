import { NO_TIME_MS } from "../runtime/element.ts";
import type { Timed } from "../state/codec.ts";
import { InvalidWindowError } from "./window.ts";

/**
 * Takes records out of a pane when it fires, before or after the result is computed; they do not come back.
 * A window with an evictor keeps its records, not an accumulator.
 */
export interface Evictor<I> {
  readonly name: string;
  readonly when: "before" | "after";
  /** @param elements - in order of arrival. @returns what stays, in the same order. */
  keep(elements: readonly Timed<I>[]): readonly Timed<I>[];
}

type When = Evictor<never>["when"];

/** Keeps the last `count` records by arrival. */
export function countEvictor<I>(count: number, when: When = "before"): Evictor<I> {
  if (!Number.isSafeInteger(count) || count < 0)
    throw new InvalidWindowError(`evictor: count ${String(count)} must be an integer from 0`);
  return {
    name: `count(${String(count)})`,
    when,
    keep: (elements) => elements.slice(Math.max(0, elements.length - count)),
  };
}

/** Keeps what is younger than `spanMs` before the newest record. */
export function timeEvictor<I>(spanMs: number, when: When = "before"): Evictor<I> {
  return {
    name: `time(${String(spanMs)})`,
    when,
    keep: (elements) => {
      const newestMs = Math.max(...elements.map(({ eventTimeMs }) => eventTimeMs));
      if (newestMs === NO_TIME_MS) return elements;
      return elements.filter(({ eventTimeMs }) => eventTimeMs > newestMs - spanMs);
    },
  };
}

/** Keeps records whose distance to the one that arrived last is below the threshold. */
export function deltaEvictor<I>(
  threshold: number,
  delta: (value: I, last: I) => number,
  when: When = "before",
): Evictor<I> {
  return {
    name: `delta(${String(threshold)})`,
    when,
    keep: (elements) => {
      const last = elements.at(-1);
      if (last === undefined) return elements;
      return elements.filter(({ value }) => delta(value, last.value) < threshold);
    },
  };
}
