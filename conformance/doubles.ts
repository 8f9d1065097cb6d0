import {
  type AssignerContext,
  type Codec,
  countEvictor,
  countTrigger,
  continuousEventTimeTrigger,
  continuousProcessingTimeTrigger,
  deltaEvictor,
  endOfStreamTrigger,
  eventTimeTrigger,
  type Evictor,
  globalWindows,
  MAX_TIME_MS,
  neverTrigger,
  processingTimeTrigger,
  purging,
  sessionWindows,
  slidingWindows,
  timeEvictor,
  type TimeWindow,
  type Trigger,
  tumblingWindows,
  type WindowAssigner,
} from "../operators/mod.ts";
import { type Fields, fields, list, named, time, Unsupported, type Value } from "./case.ts";

/** A record of a case. */
export interface Element {
  readonly key: Value;
  readonly value: Value;
}

/** Any value of a case; the cases have no messages. */
export function jsonCodec<T>(): Codec<T> {
  return {
    typeName: "json",
    encode: (value) => Buffer.from(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()) as T,
  };
}

export function windowOf(value: Value | undefined): TimeWindow {
  const [startMs, endMs] = list(value).map(time);
  if (startMs === undefined || endMs === undefined)
    throw new Unsupported(`unsupported window ${JSON.stringify(value)}`);
  return { startMs, endMs };
}

/** The end of a window without end is the end of time. */
export function windowRow({ startMs, endMs }: TimeWindow): readonly [number, number] {
  return [startMs, Math.min(endMs, MAX_TIME_MS)];
}

const WINDOW = ["size", "slide", "offset"];

export function assignerOf(value: Value | undefined): WindowAssigner<Element> {
  const [name, argument] = named(value, "assigner");
  const part = (...known: string[]): Fields => fields(argument, known, `assigner ${name}`);
  const offsetMs = (): number => time((argument as Fields)["offset"] ?? 0);
  switch (name) {
    case "global":
      return globalWindows;
    case "tumbling":
      return tumblingWindows(time(part("size", "offset")["size"]), { offsetMs: offsetMs() });
    case "tumbling_proc":
      return tumblingWindows(time(part("size", "offset")["size"]), {
        time: "processing",
        offsetMs: offsetMs(),
      });
    case "sliding":
    case "sliding_proc":
      return slidingWindows(time(part(...WINDOW)["size"]), time((argument as Fields)["slide"]), {
        offsetMs: offsetMs(),
        time: name === "sliding" ? "event" : "processing",
      });
    case "session":
      return sessionWindows(time(part("gap")["gap"]));
    case "session_proc":
      return sessionWindows(time(part("gap")["gap"]), { time: "processing" });
    case "dynamic_session":
      return dynamicSession(list(part("rules")["rules"]));
    case "point_session":
      return pointSession(
        time(part("gap", "point_value")["gap"]),
        part("gap", "point_value")["point_value"],
      );
    case "fixed":
      return fixedWindows(list(argument).map(windowOf));
    default:
      throw new Unsupported(`unsupported assigner ${name}`);
  }
}

function dynamicSession(rules: readonly Value[]): WindowAssigner<Element> {
  const parsed = rules.map((rule) => fields(rule, ["key", "value", "gap"], "rule"));
  return sessionWindows(({ value: { key, value } }: AssignerContext<Element>) => {
    const rule = parsed.find(
      (each) => each["key"] === key && (each["value"] === undefined || each["value"] === value),
    );
    if (rule === undefined) throw new Unsupported(`no gap for ${JSON.stringify([key, value])}`);
    return time(rule["gap"]);
  });
}

function pointSession(gapMs: number, point: Value | undefined): WindowAssigner<Element> {
  const sessions = sessionWindows(gapMs);
  return {
    ...sessions,
    name: "point_session",
    assign: (timeMs, context) =>
      context.value.value === point
        ? [{ startMs: timeMs, endMs: timeMs }]
        : sessions.assign(timeMs, context),
  };
}

function fixedWindows(windows: readonly TimeWindow[]): WindowAssigner<Element> {
  return { name: "fixed", time: "event", merging: false, assign: () => windows };
}

type AnyTrigger = Trigger<unknown, number> | Trigger;

/** A test double; the result's type is said once. */
function double(trigger: Trigger): Trigger {
  return trigger;
}

export function triggerOf(value: Value | undefined): AnyTrigger {
  const [name, argument] = named(value, "trigger");
  switch (name) {
    case "event_time":
      return eventTimeTrigger;
    case "processing_time":
      return processingTimeTrigger;
    case "count":
      return countTrigger(time(argument));
    case "continuous_event":
      return continuousEventTimeTrigger(time(argument));
    case "continuous_proc":
      return continuousProcessingTimeTrigger(time(argument));
    case "purging":
      return purging(triggerOf(argument) as Trigger);
    case "end_of_stream":
      return endOfStreamTrigger;
    case "never":
      return neverTrigger;
    case "fire_on_any_timer":
      return double({
        name,
        onElement: () => "continue",
        onEventTime: () => "fire",
        onMerge: () => {},
      });
    case "purge_on_element_with_timer":
      return double({
        name,
        onElement: (_value, _timeMs, _window, context) => {
          context.registerEvent(time(argument));
          return "purge";
        },
        onMerge: () => {},
      });
    case "stateful_far_timer":
    case "stateful_far_timer_purge":
      return statefulFarTimer(time(argument), name === "stateful_far_timer_purge");
    default:
      throw new Unsupported(`unsupported trigger ${name}`);
  }
}

function statefulFarTimer(timerMs: number, purge: boolean): Trigger<unknown, number> {
  return {
    name: "stateful_far_timer",
    codec: jsonCodec<number>(),
    onElement: (_value, _timeMs, _window, context) => {
      context.registerEvent(timerMs);
      context.state = 1;
      return purge ? "purge" : "continue";
    },
    onMerge: () => {},
    clear: (_window, context) => {
      context.deleteEvent(timerMs);
      context.state = undefined;
    },
  };
}

export function evictorOf(value: Value | undefined): Evictor<Element> {
  const spec = fields(value, ["count", "time", "delta", "when"], "evictor");
  const { when } = spec;
  if (when !== "before" && when !== "after") throw new Unsupported("unsupported evictor when");
  if (spec["count"] !== undefined) return countEvictor(time(spec["count"]), when);
  if (spec["time"] !== undefined) return timeEvictor(time(spec["time"]), when);
  if (spec["delta"] !== undefined)
    return deltaEvictor<Element>(
      time(spec["delta"]),
      (element, last) => Number(last.value) - Number(element.value),
      when,
    );
  throw new Unsupported(`unsupported evictor ${JSON.stringify(value)}`);
}
