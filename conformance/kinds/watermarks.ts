import {
  BoundedOutOfOrderness,
  IdleTimer,
  MIN_TIME_MS,
  SplitWatermarks,
  WatermarkValve,
  type WatermarkGenerator,
} from "../../operators/mod.ts";
import { Harness } from "../../testing/mod.ts";
import {
  type Case,
  config,
  fields,
  list,
  nameOf,
  Mismatch,
  same,
  sameRows,
  type Step,
  steps,
  time,
  Unsupported,
  unsupportedStep,
  type Value,
} from "../case.ts";

type Out = (number | "IDLE" | "ACTIVE")[];

/** Every tick is one millisecond, but a long wait does not take a million of them. */
const TICKS_MAX = 10_000;

/** Watermarks: how they are made, combined, and held back. */
export const watermarkKinds = {
  generator(of: Case): void {
    const gen = fields(config(of, "gen", "steps")["gen"], ["bounded"], "gen");
    const generator = new BoundedOutOfOrderness(time(gen["bounded"]));
    for (const step of steps(of))
      if (step.verb === "event") generator.onEvent(undefined, time(step.argument), () => {});
      else if (step.verb === "emit") same(step.label, time(step.argument), generator.watermarkMs);
      else unsupportedStep(step);
  },

  generator_op(of: Case): void {
    const h = timestampsHarness(config(of, "gen", "steps")["gen"]);
    for (const step of steps(of)) {
      if (step.verb === "event") h.record("k", time(step.argument));
      else if (step.verb === "tick") h.processingTime(h.clock.nowMs() + 1);
      else if (step.verb === "in_wm") h.watermark(time(step.argument));
      else if (step.verb === "in_status") h.status(isIdle(step.argument));
      else if (step.verb === "out") checkOut(step, emitted(h));
      else unsupportedStep(step);
    }
  },

  idle_timer(of: Case): void {
    const timer = new IdleTimer(time(config(of, "timeout", "steps")["timeout"]));
    let nowMs = 0;
    for (const step of steps(of))
      if (step.verb === "advance") nowMs += time(step.argument);
      else if (step.verb === "activity") timer.activity();
      else if (step.verb === "check") same(step.label, step.argument, timer.isIdle(nowMs));
      else unsupportedStep(step);
  },

  idle_backpressure(of: Case): void {
    const idleTimeoutMs = time(config(of, "timeout", "steps")["timeout"]);
    const h = timestampsHarness("never", idleTimeoutMs);
    let blocked = false;
    let idle = false;
    h.processingTime(0, blocked);
    for (const step of steps(of)) {
      if (step.verb === "backpressured") blocked = step.argument === true;
      else if (step.verb === "advance")
        ticks(h.clock.nowMs(), time(step.argument), (nowMs) => h.processingTime(nowMs, blocked));
      else if (step.verb === "idle") same(step.label, step.argument, idle);
      else unsupportedStep(step);
      for (const each of emitted(h)) if (typeof each === "string") idle = each === "IDLE";
    }
  },

  valve(of: Case): void {
    const out: Out = [];
    const valve = new WatermarkValve(time(config(of, "inputs", "steps")["inputs"]), {
      record: () => {},
      watermark: (watermarkMs) => void out.push(watermarkMs),
      status: (idle) => void out.push(idle ? "IDLE" : "ACTIVE"),
    });
    for (const step of steps(of)) {
      const [input, value] = Array.isArray(step.argument) ? list(step.argument) : [];
      if (step.verb === "wm") valve.watermark(time(input), time(value), "");
      else if (step.verb === "status") valve.status(time(input), isIdle(value));
      else if (step.verb === "aligned") same(step.label, value, valve.isAligned(time(input)));
      else if (step.verb === "out") checkOut(step, out.splice(0));
      else unsupportedStep(step);
    }
  },

  mux(of: Case): void {
    config(of, "steps");
    const splits = new SplitWatermarks();
    for (const step of steps(of)) {
      const { verb, argument, label } = step;
      if (verb === "add") splits.add(nameOf(argument));
      else if (verb === "remove") splits.remove(nameOf(argument));
      else if (verb === "wm") splits.watermark(nameOf(list(argument)[0]), time(list(argument)[1]));
      else if (verb === "idle") splits.markIdle(nameOf(argument));
      else if (verb === "tick") splits.update();
      else if (verb === "last")
        same(label, argument === null ? MIN_TIME_MS : time(argument), splits.lastMs);
      else if (verb === "is_idle") same(label, argument, splits.idle);
      else unsupportedStep(step);
    }
  },

  alignment(of: Case): void {
    config(of, "steps");
    align(of, new SplitWatermarks());
  },

  alignment_idle(of: Case): void {
    const idleTimeoutMs = time(config(of, "idle_timeout", "steps")["idle_timeout"]);
    align(of, new SplitWatermarks({ idleTimeoutMs }));
  },
};

function align(of: Case, splits: SplitWatermarks): void {
  let nowMs = 0;
  splits.tick(nowMs);
  const isIdleKind = of.kind === "alignment_idle";
  for (const step of steps(of)) {
    const { verb, argument, label } = step;
    const pair = (): readonly Value[] => list(argument);
    if (verb === "wm") splits.watermark(nameOf(pair()[0]), time(pair()[1]));
    else if (verb === "allow") splits.allow(time(argument));
    else if (verb === "finish") splits.finish(nameOf(argument));
    else if (verb === "paused") same(label, list(argument).map(nameOf).sort(), splits.paused());
    else if (verb === "advance" && isIdleKind)
      nowMs = ticks(nowMs, time(argument), (at) => splits.tick(at));
    else if (verb === "idle" && isIdleKind)
      same(label, pair()[1], splits.isIdle(nameOf(pair()[0])));
    else if (verb === "combined_at_most" && isIdleKind) {
      const lowestMs = splits.lowestMs();
      if (lowestMs === undefined || lowestMs > time(argument))
        throw new Mismatch(
          `${label}: expected at most ${nameOf(argument)} got ${String(lowestMs)}`,
        );
    } else unsupportedStep(step);
  }
}

/** Lets time pass in ticks. @returns the time behind them. */
function ticks(fromMs: number, durationMs: number, tick: (nowMs: number) => void): number {
  const stepMs = Math.max(1, Math.ceil(durationMs / TICKS_MAX));
  for (let passedMs = stepMs; passedMs < durationMs; passedMs += stepMs) tick(fromMs + passedMs);
  tick(fromMs + durationMs);
  return fromMs + durationMs;
}

function timestampsHarness(gen: Value | undefined, idleTimeoutMs?: number): Harness<number> {
  if (typeof gen !== "string" || GENERATORS[gen] === undefined)
    throw new Unsupported(`unsupported gen ${JSON.stringify(gen)}`);
  const generator = GENERATORS[gen];
  return new Harness<number>((source, collect) =>
    collect(
      source.timestamps("time", {
        eventTimeMs: (value) => value,
        generator,
        intervalMs: 1,
        ...(idleTimeoutMs !== undefined && { idleTimeoutMs }),
      }),
    ),
  );
}

const GENERATORS: Readonly<Record<string, () => WatermarkGenerator<number>>> = {
  last_minus_one: () => {
    let last: number | undefined;
    return {
      onEvent: (value) => {
        last = value;
      },
      onPeriodic: (propose) => {
        if (last !== undefined) propose(last - 1);
      },
    };
  },
  punctuated: () => ({ onEvent: (value, _timeMs, propose) => propose(value) }),
  never: () => ({ onEvent: () => {} }),
};

function emitted(h: Harness<number>): Out {
  return h.takeEmitted().flatMap((each): Out => {
    if (each.kind === "watermark") return [each.watermarkMs];
    return each.kind === "status" ? [each.idle ? "IDLE" : "ACTIVE"] : [];
  });
}

function checkOut({ label, argument }: Step, got: Out): void {
  const expected = list(argument).map((each) =>
    each === "IDLE" || each === "ACTIVE" ? each : time(each),
  );
  sameRows(label, expected, got, true);
}

function isIdle(value: Value | undefined): boolean {
  if (value !== "idle" && value !== "active")
    throw new Unsupported(`unsupported status ${JSON.stringify(value)}`);
  return value === "idle";
}
