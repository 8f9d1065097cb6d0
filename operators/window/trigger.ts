import { addTimeMs, MAX_TIME_MS } from "../runtime/element.ts";
import { type Codec, numberCodec } from "../state/codec.ts";
import { InvalidWindowError, maxTimeMs, type TimeWindow, windowStartMs } from "./window.ts";

/** What a trigger wants done with a pane. */
export type TriggerResult = "continue" | "fire" | "purge" | "fire-and-purge";

/** What a trigger may see and do; timers and state are of its key and window. */
export interface TriggerContext<S> {
  readonly watermarkMs: number;
  readonly nowMs: number;
  /** The trigger's own state for this window. */
  state: S | undefined;
  /** In `onMerge`: states of the windows that were merged, those that had one. */
  readonly merged: readonly S[];
  registerEvent(timeMs: number): void;
  deleteEvent(timeMs: number): void;
  registerProcessing(timeMs: number): void;
  deleteProcessing(timeMs: number): void;
}

/**
 * Decides when a pane fires. It has no fields that change: what it remembers lies in the context's state.
 * A trigger without `onMerge` cannot be used with windows that merge.
 */
export interface Trigger<I = unknown, S = never> {
  readonly name: string;
  /** How its state is written; absent when it has none. */
  readonly codec?: Codec<S>;
  onElement(
    value: I,
    eventTimeMs: number,
    window: TimeWindow,
    context: TriggerContext<S>,
  ): TriggerResult;
  onEventTime?(timeMs: number, window: TimeWindow, context: TriggerContext<S>): TriggerResult;
  onProcessingTime?(timeMs: number, window: TimeWindow, context: TriggerContext<S>): TriggerResult;
  /** The window is the result of a merge: take over what the merged ones were waiting for. */
  onMerge?(window: TimeWindow, context: TriggerContext<S>): void;
  /** The window goes away: delete the timers that it still waits for. Its state goes by itself. */
  clear?(window: TimeWindow, context: TriggerContext<S>): void;
}

/** Any trigger, whatever it keeps. */
export type AnyTrigger<I> = Trigger<I, unknown> | Trigger<I>;

/** Fires when the watermark passes the end of the window, and at once for records behind it. */
export const eventTimeTrigger: Trigger = {
  name: "event-time",
  onElement: (_value, _timeMs, window, context) => {
    if (maxTimeMs(window) <= context.watermarkMs) return "fire";
    context.registerEvent(maxTimeMs(window));
    return "continue";
  },
  onEventTime: (timeMs, window) => (timeMs === maxTimeMs(window) ? "fire" : "continue"),
  onMerge: (window, context) => {
    if (maxTimeMs(window) > context.watermarkMs) context.registerEvent(maxTimeMs(window));
  },
  clear: (window, context) => context.deleteEvent(maxTimeMs(window)),
};

/** Fires when processing time passes the end of the window. */
export const processingTimeTrigger: Trigger = {
  name: "processing-time",
  onElement: (_value, _timeMs, window, context) => {
    context.registerProcessing(maxTimeMs(window));
    return "continue";
  },
  onProcessingTime: () => "fire",
  onMerge: (window, context) => {
    if (maxTimeMs(window) > context.nowMs) context.registerProcessing(maxTimeMs(window));
  },
  clear: (window, context) => context.deleteProcessing(maxTimeMs(window)),
};

/** Fires at every `count`th record of the window. */
export function countTrigger(count: number): Trigger<unknown, number> {
  check("count", count);
  return {
    name: `count(${String(count)})`,
    codec: numberCodec,
    onElement: (_value, _timeMs, _window, context) => {
      const seen = (context.state ?? 0) + 1;
      context.state = seen >= count ? undefined : seen;
      return seen >= count ? "fire" : "continue";
    },
    onMerge: (_window, context) => {
      const seen = context.merged.reduce((sum, each) => sum + each, context.state ?? 0);
      context.state = seen === 0 ? undefined : seen;
    },
  };
}

/** Fires every `periodMs` of event time while the window is open, and at its end. */
export function continuousEventTimeTrigger(periodMs: number): Trigger<unknown, number> {
  check("period", periodMs);
  const next = (timeMs: number, window: TimeWindow, context: TriggerContext<number>): void => {
    context.state = Math.min(addTimeMs(timeMs, periodMs), maxTimeMs(window));
    context.registerEvent(context.state);
  };
  return {
    name: `continuous-event-time(${String(periodMs)})`,
    codec: numberCodec,
    onElement: (_value, eventTimeMs, window, context) => {
      if (maxTimeMs(window) <= context.watermarkMs) return "fire";
      context.registerEvent(maxTimeMs(window));
      if (context.state === undefined)
        next(windowStartMs(eventTimeMs, 0, periodMs), window, context);
      return "continue";
    },
    onEventTime: (timeMs, window, context) => {
      if (timeMs === maxTimeMs(window)) return "fire";
      if (timeMs !== context.state) return "continue";
      next(timeMs, window, context);
      return "fire";
    },
    onMerge: (_window, context) => {
      if (context.merged.length === 0) return;
      context.state = Math.min(context.state ?? MAX_TIME_MS, ...context.merged);
      context.registerEvent(context.state);
    },
    clear: (_window, context) => {
      if (context.state !== undefined) context.deleteEvent(context.state);
    },
  };
}

/** Fires every `periodMs` of processing time while records come, also on event-time windows. */
export function continuousProcessingTimeTrigger(periodMs: number): Trigger<unknown, number> {
  check("period", periodMs);
  const next = (timeMs: number, window: TimeWindow, context: TriggerContext<number>): void => {
    context.state = Math.min(addTimeMs(timeMs, periodMs), maxTimeMs(window));
    context.registerProcessing(context.state);
  };
  return {
    name: `continuous-processing-time(${String(periodMs)})`,
    codec: numberCodec,
    onElement: (_value, _timeMs, window, context) => {
      if (context.state === undefined)
        next(windowStartMs(context.nowMs, 0, periodMs), window, context);
      return "continue";
    },
    onProcessingTime: (timeMs, window, context) => {
      if (timeMs === maxTimeMs(window)) return "fire";
      if (timeMs !== context.state) return "continue";
      next(timeMs, window, context);
      return "fire";
    },
    onMerge: (_window, context) => {
      if (context.merged.length === 0) return;
      context.state = Math.min(context.state ?? MAX_TIME_MS, ...context.merged);
      context.registerProcessing(context.state);
    },
    clear: (_window, context) => {
      if (context.state !== undefined) context.deleteProcessing(context.state);
    },
  };
}

/** Fires when a record differs by more than the threshold from the one that fired last. */
export function deltaTrigger<I>(
  threshold: number,
  delta: (last: I, value: I) => number,
  codec: Codec<I>,
): Trigger<I, I> {
  return {
    name: `delta(${String(threshold)})`,
    codec,
    onElement: (value, _timeMs, _window, context) => {
      const last = context.state;
      if (last !== undefined && !(delta(last, value) > threshold)) return "continue";
      context.state = value;
      return last === undefined ? "continue" : "fire";
    },
  };
}

/** Whenever the inner trigger fires, the contents go with the firing. */
export function purging<I, S>(inner: Trigger<I, S>): Trigger<I, S> {
  const purge = (result: TriggerResult): TriggerResult =>
    result === "fire" ? "fire-and-purge" : result;
  return {
    ...inner,
    name: `purging(${inner.name})`,
    onElement: (...call) => purge(inner.onElement(...call)),
    onEventTime: (...call) => purge(inner.onEventTime?.(...call) ?? "continue"),
    onProcessingTime: (...call) => purge(inner.onProcessingTime?.(...call) ?? "continue"),
  };
}

/** Fires once, at the end of the stream. */
export const endOfStreamTrigger: Trigger = {
  name: "end-of-stream",
  onElement: (_value, _timeMs, _window, context) => {
    context.registerEvent(MAX_TIME_MS);
    return "continue";
  },
  onEventTime: (timeMs) => (timeMs === MAX_TIME_MS ? "fire" : "continue"),
  onMerge: (_window, context) => context.registerEvent(MAX_TIME_MS),
  clear: (_window, context) => context.deleteEvent(MAX_TIME_MS),
};

/** Never fires: for windows that only something else empties. */
export const neverTrigger: Trigger = {
  name: "never",
  onElement: () => "continue",
  onMerge: () => {},
};

function check(what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value <= 0)
    throw new InvalidWindowError(`trigger: ${what} ${String(value)} must be a positive integer`);
}
