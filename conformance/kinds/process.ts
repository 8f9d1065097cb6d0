import {
  type KeyedProcess,
  MIN_TIME_MS,
  NO_TIME_MS,
  outputTag,
  type ProcessContext,
  valueState,
} from "../../operators/mod.ts";
import type { ProcessOperator } from "../../operators/runtime/process-operator.ts";
import { Harness, type HarnessSnapshot } from "../../testing/mod.ts";
import { keyGroupOf, keyGroupRange } from "../../base/key-group.ts";
import {
  type Case,
  config,
  fields,
  keyText,
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
import { type Element, jsonCodec } from "../doubles.ts";
import { type TimerCommand, timerProcess, type TimerRow, timerRow } from "../timer-process.ts";
import { rescaleTimers } from "./jobs.ts";

/** Timers and process functions. */
export const processKinds = {
  timers(of: Case): void {
    config(of, "steps");
    const start = (from?: HarnessSnapshot): Harness<TimerCommand> =>
      new Harness<TimerCommand>(
        (source, collect) =>
          collect(source.keyBy(({ row }) => keyText(row[1])).process(timerProcess)),
        { nowMs: MIN_TIME_MS, ...(from && { from }) },
      );
    const snapshots = new Map<string, HarnessSnapshot>();
    let h = start();
    for (const step of steps(of)) {
      const { verb, argument, label } = step;
      if (verb === "reg" || verb === "del") {
        const row = timerRow(argument);
        h.record(keyText(row[1]), { verb, row });
      } else if (verb === "wm") h.watermark(time(argument));
      else if (verb === "pt") h.processingTime(time(argument));
      else if (verb === "snapshot") snapshots.set(nameOf(argument), h.snapshot());
      else if (verb === "restore") h = start(snapshots.get(nameOf(argument)));
      else if (verb === "fired")
        sameRows(label, list(argument).map(timerRow), h.take(), step.ordered);
      else if (verb === "count") checkCount(label, h, argument);
      else if (verb === "armed")
        same(label, argument === null ? null : time(argument), h.nextWakeUpMs() ?? null);
      else unsupportedStep(step);
    }
  },

  async timers_rescale(of: Case): Promise<void> {
    config(of, "register", "split", "advance", "fired");
    const names = ["first", "second"] as const;
    const split = fields(of["split"], names, "split");
    const fired = fields(of["fired"], names, "fired");
    const real = new Map<string, string>();
    for (const [half, name] of names.entries())
      for (const key of list(split[name] ?? [])) real.set(keyText(key), realKey(key, half));
    const rename = (row: TimerRow): TimerRow => [
      row[0],
      real.get(keyText(row[1])) ?? row[1],
      row[2],
      row[3],
    ];
    const commands = list(of["register"]).map((each): TimerCommand => ({
      verb: "reg",
      row: rename(timerRow(each)),
    }));
    const got = await rescaleTimers(commands, time(of["advance"]));
    for (const [half, name] of names.entries())
      sameRows(
        name,
        list(fired[name] ?? []).map((each) => rename(timerRow(each))),
        got[half] ?? [],
      );
  },

  process(of: Case): void {
    config(of, "fn", "steps");
    new ProcessRun(of).run();
  },
};

function checkCount(label: string, h: Harness<TimerCommand>, argument: Value): void {
  const { event, proc } = fields(argument, ["event", "proc"], "count");
  const operator = h.operators[0]?.state as ProcessOperator<TimerRow, {}, {}> | undefined;
  const scope = operator?.scope;
  if (event !== undefined) same(`${label} event`, event, scope?.pending("event"));
  if (proc !== undefined) same(`${label} proc`, proc, scope?.pending("processing"));
}

/** A key whose key group lies in the first or in the second half. */
function realKey(symbol: Value, half: number): string {
  const { first, last } = keyGroupRange(128, 2, half);
  for (let i = 0; ; i += 1) {
    const key = `${nameOf(symbol)}#${String(i)}`;
    const group = keyGroupOf(keyText(key));
    if (group >= first && group <= last) return key;
  }
}

const INT_OUT = outputTag<Value>("int-out");
const LONG_OUT = outputTag<Value>("long-out");
const KEPT = { kept: valueState(jsonCodec<Value>()) };
type Context = ProcessContext<Value, typeof KEPT>;
type Function = Omit<KeyedProcess<Element, Value, typeof KEPT>, "uid" | "state">;

const FUNCTIONS: Readonly<Record<string, Function>> = {
  emit_then_timer_plus_5: {
    onRecord: (context: Context, { value }) => {
      context.emit(value);
      context.timers.register(context.watermarkMs + 5);
    },
    onTimer: (context) => context.emit(1777),
  },
  report_times: {
    onRecord: (context: Context, { value }) =>
      context.emit(
        `${nameOf(value)}TIME:${String(context.watermarkMs)} TS:${String(context.eventTimeMs)}`,
      ),
  },
  remember_or_cancel: {
    onRecord: (context: Context, { value }) => {
      const { kept } = context.state;
      if (kept.get() === undefined) {
        context.emit(`INPUT:${nameOf(value)}`);
        kept.set(value);
        context.timers.register(context.watermarkMs + 5);
      } else {
        kept.clear();
        context.timers.delete(context.watermarkMs + 4);
      }
    },
    onTimer: (context) => context.emit(`STATE:${nameOf(context.state.kept.get())}`),
  },
  both_timers: {
    onRecord: ({ timers }) => {
      timers.register(3, "", "processing");
      timers.register(5, "", "processing");
      timers.register(4);
      timers.register(6);
      timers.delete(3, "", "processing");
      timers.delete(4);
    },
    onTimer: (context, _timeMs, _namespace, domain) =>
      context.emit(domain === "event" ? "EVENT:1777" : "PROC:1777"),
  },
  side_outputs: {
    onRecord: (context: Context, { value }) => {
      context.emit(`IN:${nameOf(value)}`);
      context.side(INT_OUT, value);
      context.side(LONG_OUT, value);
    },
  },
};

class ProcessRun {
  readonly #case: Case;
  readonly #function: Function;
  readonly #snapshots = new Map<string, HarnessSnapshot>();
  readonly #sides = new Map<string, (readonly [Value, number | null])[]>();
  #harness: Harness<Element>;

  constructor(of: Case) {
    this.#case = of;
    const found = FUNCTIONS[nameOf(of["fn"])];
    if (found === undefined) throw new Unsupported(`unsupported fn ${JSON.stringify(of["fn"])}`);
    this.#function = found;
    this.#harness = this.#start();
  }

  run(): void {
    for (const step of steps(this.#case)) {
      this.#do(step);
      for (const tag of [INT_OUT.id, LONG_OUT.id])
        this.#sides.set(tag, [...(this.#sides.get(tag) ?? []), ...this.#rows(tag)]);
    }
  }

  #start(from?: HarnessSnapshot): Harness<Element> {
    const spec = { ...this.#function, uid: "process", state: KEPT };
    return new Harness<Element>(
      (source, collect) => {
        const stream = source.keyBy(({ key }) => keyText(key)).process(spec);
        collect(stream);
        for (const tag of [INT_OUT, LONG_OUT]) collect(stream.side(tag), tag.id);
      },
      { nowMs: MIN_TIME_MS, ...(from && { from }) },
    );
  }

  #do(step: Step): void {
    const { verb, argument, label } = step;
    const h = this.#harness;
    if (verb === "el") {
      const [key = null, value = null, at = null] = list(argument);
      h.record(keyText(key), { key, value }, at === null ? NO_TIME_MS : time(at));
    } else if (verb === "wm") h.watermark(time(argument));
    else if (verb === "pt") h.processingTime(time(argument));
    else if (verb === "snapshot") this.#snapshots.set(nameOf(argument), h.snapshot());
    else if (verb === "restore") this.#harness = this.#start(this.#snapshots.get(nameOf(argument)));
    else if (verb === "out") {
      const expected = list(argument).map((row) => {
        const [value, at = null] = list(row);
        return [value, at === null ? null : time(at)];
      });
      sameRows(label, expected, this.#rows("main"), step.ordered);
    } else if (verb === "side") this.#checkSide(label, list(argument));
    else unsupportedStep(step);
  }

  /** Rows are values, or values with their time. */
  #checkSide(label: string, [tag, rows]: readonly Value[]): void {
    if (tag !== INT_OUT.id && tag !== LONG_OUT.id)
      throw new Mismatch(`${label}: no side output ${JSON.stringify(tag)}`);
    const expected = list(rows);
    const got = this.#sides.get(tag) ?? [];
    sameRows(label, expected, Array.isArray(expected[0]) ? got : got.map(([value]) => value), true);
  }

  #rows(name: string): (readonly [Value, number | null])[] {
    return this.#harness
      .takeEmitted(name)
      .flatMap((each) =>
        each.kind === "record"
          ? [
              [
                each.value as Value,
                each.eventTimeMs === NO_TIME_MS ? null : each.eventTimeMs,
              ] as const,
            ]
          : [],
      );
  }
}
