import assert from "node:assert/strict";
import { MAX_TIME_MS } from "../runtime/element.ts";

/** A pane's span of event time, half open: `[startMs, endMs)`. */
export interface TimeWindow {
  readonly startMs: number;
  readonly endMs: number;
}

/** Latest event time that belongs to the window; results carry it as their event time. */
export function maxTimeMs(window: TimeWindow): number {
  return window.endMs - 1;
}

/** When the last trace of a window may go: its end plus the allowed lateness, never beyond the end of time. */
export function cleanupTimeMs(window: TimeWindow, allowedLatenessMs: number): number {
  return Math.min(maxTimeMs(window) + allowedLatenessMs, MAX_TIME_MS);
}

/** Records → windows. */
export interface WindowAssigner {
  readonly name: string;
  assign(eventTimeMs: number): readonly TimeWindow[];
}

/**
 * Start of the window on a grid of `sizeMs` shifted by `offsetMs` that contains the time; floor division, so
 * times before the epoch work.
 */
export function windowStartMs(eventTimeMs: number, offsetMs: number, sizeMs: number): number {
  const phase = (eventTimeMs - offsetMs) % sizeMs;
  return eventTimeMs - (phase < 0 ? phase + sizeMs : phase);
}

/**
 * Tumbling windows aligned to the epoch plus an offset: every time is in exactly one.
 * @param sizeMs - length, integer > 0.
 * @param offsetMs - shift of the grid, |offset| < size.
 * @see Akidau et al., "The Dataflow Model", VLDB 2015, section 2.2.
 */
export function tumblingWindows(sizeMs: number, offsetMs = 0): WindowAssigner {
  assert(Number.isInteger(sizeMs) && sizeMs > 0, "window size must be a positive integer");
  assert(Math.abs(offsetMs) < sizeMs, "window offset must be smaller than the size");
  return {
    name: `tumbling(${String(sizeMs)},${String(offsetMs)})`,
    assign: (eventTimeMs) => {
      const startMs = windowStartMs(eventTimeMs, offsetMs, sizeMs);
      return [{ startMs, endMs: startMs + sizeMs }];
    },
  };
}

/**
 * Sliding windows: every `slideMs` one of `sizeMs` starts; a time is in size / slide of them, or in none
 * where slide > size leaves a hole.
 */
export function slidingWindows(sizeMs: number, slideMs: number, offsetMs = 0): WindowAssigner {
  assert(Number.isInteger(sizeMs) && sizeMs > 0, "window size must be a positive integer");
  assert(Number.isInteger(slideMs) && slideMs > 0, "window slide must be a positive integer");
  assert(Math.abs(offsetMs) < slideMs, "window offset must be smaller than the slide");
  return {
    name: `sliding(${String(sizeMs)},${String(slideMs)},${String(offsetMs)})`,
    assign: (eventTimeMs) => {
      const windows: TimeWindow[] = [];
      const last = windowStartMs(eventTimeMs, offsetMs, slideMs);
      for (let startMs = last; startMs > eventTimeMs - sizeMs; startMs -= slideMs)
        windows.push({ startMs, endMs: startMs + sizeMs });
      return windows;
    },
  };
}
