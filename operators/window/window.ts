import { CourtsideError } from "../../base/errors.ts";
import { addTimeMs, MAX_TIME_MS, MIN_TIME_MS } from "../runtime/element.ts";
import type { NamespaceCodec } from "../state/keyed-store.ts";

/** A window, trigger or evictor cannot be as it was asked for; the message says the rule. */
export class InvalidWindowError extends CourtsideError {
  override readonly code = "INVALID_WINDOW";
  override readonly retryable = false;
}

/** A pane's span of time, half open: `[startMs, endMs)`. */
export interface TimeWindow {
  readonly startMs: number;
  readonly endMs: number;
}

/** The window without bounds; its latest time is the end of time. */
export const GLOBAL_WINDOW: TimeWindow = { startMs: MIN_TIME_MS, endMs: MAX_TIME_MS + 1 };

/** Windows as namespaces of state and timers. */
export const WINDOW_NAMESPACES: NamespaceCodec<TimeWindow> = {
  same: sameWindow,
  encode: ({ startMs, endMs }) => `${String(startMs)}/${String(endMs)}`,
  decode: (text) => {
    const slash = text.indexOf("/");
    return { startMs: Number(text.slice(0, slash)), endMs: Number(text.slice(slash + 1)) };
  },
};

export function sameWindow(a: TimeWindow, b: TimeWindow): boolean {
  return a.startMs === b.startMs && a.endMs === b.endMs;
}

/** Latest time that belongs to the window; results carry it as their event time. */
export function maxTimeMs(window: TimeWindow): number {
  return Math.min(window.endMs - 1, MAX_TIME_MS);
}

/** When the last trace of a window may go: its end plus the allowed lateness, never beyond the end of time. */
export function cleanupTimeMs(window: TimeWindow, allowedLatenessMs: number): number {
  return addTimeMs(maxTimeMs(window), allowedLatenessMs);
}

/**
 * Start of the window on a grid of `sizeMs` shifted by `offsetMs` that contains the time; floor division, so
 * times before the epoch work.
 */
export function windowStartMs(timeMs: number, offsetMs: number, sizeMs: number): number {
  const phase = (timeMs - offsetMs) % sizeMs;
  return timeMs - (phase < 0 ? phase + sizeMs : phase);
}

/** What an assigner may look at besides the time. */
export interface AssignerContext<I> {
  readonly key: string;
  readonly value: I;
}

/** Records → windows. */
export interface WindowAssigner<I = unknown> {
  readonly name: string;
  /** The clock of its windows; `none` for windows that never end. */
  readonly time: "event" | "processing" | "none";
  /** Windows of one key that touch become one. */
  readonly merging: boolean;
  /** @param timeMs - event time of the record, or processing time at its arrival. */
  assign(timeMs: number, context: AssignerContext<I>): readonly TimeWindow[];
  /** For regular sliding windows in event time: lets the operator share slices between them. */
  readonly sliding?: {
    readonly sizeMs: number;
    readonly slideMs: number;
    readonly offsetMs: number;
  };
}

interface Options {
  readonly offsetMs?: number;
  readonly time?: "event" | "processing";
}

function checkGrid(kind: string, sizeMs: number, stepMs: number, offsetMs: number): void {
  if (!Number.isSafeInteger(sizeMs) || sizeMs <= 0)
    throw new InvalidWindowError(
      `${kind} windows: size ${String(sizeMs)} ms must be a positive integer`,
    );
  if (!Number.isSafeInteger(stepMs) || stepMs <= 0)
    throw new InvalidWindowError(
      `${kind} windows: slide ${String(stepMs)} ms must be a positive integer`,
    );
  if (!Number.isSafeInteger(offsetMs) || Math.abs(offsetMs) >= stepMs)
    throw new InvalidWindowError(
      `${kind} windows: offset ${String(offsetMs)} ms must be an integer smaller than ` +
        `${String(stepMs)} ms, the step of the grid; a larger one is the same grid again`,
    );
}

/**
 * Tumbling windows aligned to the epoch plus an offset: every time is in exactly one.
 * @param sizeMs - length, integer > 0. @throws InvalidWindowError
 * @see Akidau et al., "The Dataflow Model", VLDB 2015, section 2.2.
 */
export function tumblingWindows(
  sizeMs: number,
  { offsetMs = 0, time = "event" }: Options = {},
): WindowAssigner {
  checkGrid("tumbling", sizeMs, sizeMs, offsetMs);
  // Neighbours in time mostly share their window: the last answer is kept.
  let last: readonly [TimeWindow] = [{ startMs: 0, endMs: Number.NEGATIVE_INFINITY }];
  return {
    name: `tumbling(${String(sizeMs)},${String(offsetMs)})`,
    time,
    merging: false,
    assign: (timeMs) => {
      if (timeMs >= last[0].startMs && timeMs < last[0].endMs) return last;
      const startMs = windowStartMs(timeMs, offsetMs, sizeMs);
      last = [{ startMs, endMs: startMs + sizeMs }];
      return last;
    },
  };
}

/**
 * Sliding windows: every `slideMs` one of `sizeMs` starts; a time is in size / slide of them, or in none
 * where slide > size leaves a hole. @throws InvalidWindowError
 */
export function slidingWindows(
  sizeMs: number,
  slideMs: number,
  { offsetMs = 0, time = "event" }: Options = {},
): WindowAssigner {
  checkGrid("sliding", sizeMs, slideMs, offsetMs);
  return {
    name: `sliding(${String(sizeMs)},${String(slideMs)},${String(offsetMs)})`,
    time,
    merging: false,
    assign: (timeMs) => {
      const windows: TimeWindow[] = [];
      const last = windowStartMs(timeMs, offsetMs, slideMs);
      for (let startMs = last; startMs > timeMs - sizeMs; startMs -= slideMs)
        windows.push({ startMs, endMs: startMs + sizeMs });
      return windows;
    },
    ...(time === "event" && { sliding: { sizeMs, slideMs, offsetMs } }),
  };
}

/** Sessions: a record is in `[time, time + gap)`, and windows that touch are one. @throws InvalidWindowError */
export function sessionWindows<I = unknown>(
  gap: number | ((context: AssignerContext<I>) => number),
  { time = "event" }: Pick<Options, "time"> = {},
): WindowAssigner<I> {
  const checked = (gapMs: number): number => {
    if (Number.isSafeInteger(gapMs) && gapMs > 0) return gapMs;
    throw new InvalidWindowError(
      `session windows: gap ${String(gapMs)} ms must be a positive integer`,
    );
  };
  const fixedMs = typeof gap === "number" ? checked(gap) : undefined;
  return {
    name: fixedMs === undefined ? "session(dynamic)" : `session(${String(fixedMs)})`,
    time,
    merging: true,
    assign: (timeMs, context) => {
      const gapMs = fixedMs ?? checked((gap as (context: AssignerContext<I>) => number)(context));
      return [{ startMs: timeMs, endMs: addTimeMs(timeMs, gapMs) }];
    },
  };
}

const EVERYTHING = [GLOBAL_WINDOW];

/** One window without end for each key; it fires when its trigger says so. */
export const globalWindows: WindowAssigner = {
  name: "global",
  time: "none",
  merging: false,
  assign: () => EVERYTHING,
};
