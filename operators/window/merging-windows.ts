import { sameWindow, type TimeWindow } from "./window.ts";

/** A live window of a merging assigner, and the window under which its contents are kept. */
export interface LiveWindow {
  readonly window: TimeWindow;
  readonly state: TimeWindow;
}

/** What adding a window has done. */
export interface Added {
  /** The live window that holds the added one now. */
  readonly actual: LiveWindow;
  /** Live windows that became `actual`; empty when none changed. */
  readonly sources: readonly LiveWindow[];
}

/** True when the windows share time or touch: then they are one session. */
export function intersects(a: TimeWindow, b: TimeWindow): boolean {
  return a.startMs <= b.endMs && b.startMs <= a.endMs;
}

/** The smallest window that contains both. */
export function cover(a: TimeWindow, b: TimeWindow): TimeWindow {
  return { startMs: Math.min(a.startMs, b.startMs), endMs: Math.max(a.endMs, b.endMs) };
}

/** Groups windows that touch, directly or by way of others. Each group has its cover and its members. */
export function mergeGroups(
  windows: readonly TimeWindow[],
): readonly { readonly into: TimeWindow; readonly of: readonly TimeWindow[] }[] {
  const groups: { into: TimeWindow; of: TimeWindow[] }[] = [];
  for (const window of windows.toSorted((a, b) => a.startMs - b.startMs || a.endMs - b.endMs)) {
    const last = groups.at(-1);
    if (last !== undefined && intersects(last.into, window)) {
      last.into = cover(last.into, window);
      last.of.push(window);
    } else groups.push({ into: window, of: [window] });
  }
  return groups;
}

/**
 * Adds a window to the live windows of a key, which are disjoint and do not touch. When it merges, the
 * contents stay under the state window of the first source, so nothing is copied when a session grows.
 * @param live - changed in place. @see Flink, MergingWindowSet.
 */
export function addWindow(live: LiveWindow[], window: TimeWindow): Added {
  const touched = live.filter((each) => intersects(each.window, window));
  const [first] = touched;
  if (first === undefined) {
    const actual = { window, state: window };
    live.push(actual);
    return { actual, sources: [] };
  }
  const merged = touched.reduce((sum, each) => cover(sum, each.window), window);
  if (sameWindow(merged, first.window)) return { actual: first, sources: [] };
  const actual = { window: merged, state: first.state };
  for (const each of touched) live.splice(live.indexOf(each), 1);
  live.push(actual);
  return { actual, sources: touched };
}

/** The live window, if it is one still. */
export function findLive(live: readonly LiveWindow[], window: TimeWindow): LiveWindow | undefined {
  return live.find((each) => sameWindow(each.window, window));
}

/** Removes a live window. */
export function retire(live: LiveWindow[], window: TimeWindow): void {
  const at = live.findIndex((each) => sameWindow(each.window, window));
  if (at >= 0) live.splice(at, 1);
}
