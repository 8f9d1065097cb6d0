import { type AsyncEach, MIN_TIME_MS } from "../../operators/mod.ts";
import { AsyncOperator } from "../../operators/async/async-operator.ts";
import { Harness, type HarnessSnapshot } from "../../testing/mod.ts";
import {
  byNumber,
  type Case,
  config,
  fields,
  type Fields,
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
import { jsonCodec } from "../doubles.ts";

const OP = ["mode", "capacity", "timeout", "on_timeout", "retry"];
/** Rounds of retries are few; more means that it never ends. */
const ROUNDS_MAX = 10_000;

type Call = (value: Value) => Promise<readonly Value[]>;

function specOf(op: Fields, call: Call): AsyncEach<Value, Value> {
  const { mode = "ordered", timeout, retry } = op;
  if (mode !== "ordered" && mode !== "unordered") throw new Unsupported("unsupported mode");
  const onTimeout = op["on_timeout"] ?? "fail";
  if (onTimeout !== "fail" && onTimeout !== "triple")
    throw new Unsupported("unsupported on_timeout");
  return {
    uid: "async",
    codec: jsonCodec<Value>(),
    mode,
    capacity: time(op["capacity"]),
    call,
    ...(timeout !== undefined && timeout !== null && { timeoutMs: time(timeout) }),
    ...(onTimeout === "triple" && { onTimeout: (value: Value) => [3 * Number(value)] }),
    ...(retry !== undefined && retry !== null && { retry: retryOf(retry) }),
  };
}

function retryOf(value: Value): NonNullable<AsyncEach<Value, Value>["retry"]> {
  const retry = fields(value, ["on", "max", "delay"], "retry");
  if (retry["on"] !== "empty") throw new Unsupported("unsupported retry on");
  return {
    maxRetries: time(retry["max"]),
    delayMs: time(retry["delay"]),
    onResult: (results) => results.length === 0,
  };
}

class Run {
  readonly harness: Harness<Value>;

  constructor(op: Fields, call: Call, from?: HarnessSnapshot) {
    this.harness = new Harness<Value>(
      (source, collect) => collect(source.async(specOf(op, call))),
      { nowMs: MIN_TIME_MS, ...(from && { from }) },
    );
  }

  get operator(): AsyncOperator<Value, Value> {
    const [operator] = this.harness.operators;
    if (!(operator instanceof AsyncOperator)) throw new Mismatch("no asynchronous operator");
    return operator as AsyncOperator<Value, Value>;
  }

  /** A failure is for `failed` to see. */
  attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (error !== this.harness.failure) throw error;
    }
  }

  rows(): unknown[] {
    return this.harness.takeEmitted().flatMap((each): unknown[] => {
      if (each.kind === "record") return [[each.value, each.eventTimeMs]];
      return each.kind === "watermark" ? [{ wm: each.watermarkMs }] : [];
    });
  }
}

/** Calls that wait until the case answers them. */
class Calls {
  readonly #open: { readonly value: string; answer(results: readonly Value[]): void }[] = [];

  readonly call: Call = async (value) =>
    new Promise((answer) => {
      this.#open.push({ value: keyText(value), answer });
    });

  /** The oldest unanswered call with this input answers; no effect if there is none. */
  complete(value: Value, results: readonly Value[]): void {
    const at = this.#open.findIndex((each) => each.value === keyText(value));
    if (at >= 0) this.#open.splice(at, 1)[0]?.answer(results);
  }
}

/** Asynchronous I/O. */
export const asyncKinds = {
  async async(of: Case): Promise<void> {
    config(of, "op", "steps");
    const op = fields(of["op"], OP, "op");
    const snapshots = new Map<string, HarnessSnapshot>();
    let calls = new Calls();
    let run = new Run(op, calls.call);
    for (const step of steps(of)) {
      if (step.verb === "snapshot") snapshots.set(nameOf(step.argument), run.harness.snapshot());
      else if (step.verb === "restore") {
        calls = new Calls();
        run = new Run(op, calls.call, snapshots.get(nameOf(step.argument)));
      } else doStep(step, run, calls);
      await run.harness.turn();
    }
  },

  async async_retry(of: Case): Promise<void> {
    config(of, "op", "input", "out", "attempts");
    const attempts = new Map<number, number>();
    const call: Call = async (value) => {
      const input = Number(value);
      attempts.set(input, (attempts.get(input) ?? 0) + 1);
      return new Promise((answer) => {
        answer(input % 2 === 0 ? [2 * input] : []);
        // It completes again, with something else, which must not count.
        // oxlint-disable-next-line promise/no-multiple-resolved -- that is what is tried here
        answer([-1]);
      });
    };
    const run = new Run(fields(of["op"], OP, "op"), call);
    const h = run.harness;
    let round = 0;
    const letTimeRun = async (until: () => boolean): Promise<void> => {
      for (; !until(); round += 1) {
        await h.turn();
        const wakeMs = h.nextWakeUpMs();
        if (wakeMs !== undefined) h.processingTime(wakeMs);
        if (round > ROUNDS_MAX) throw new Mismatch("expected an end of the retries got none");
      }
    };
    h.processingTime(0);
    for (const value of list(of["input"])) {
      await letTimeRun(() => run.operator.accepts());
      h.record("k", value, time(value));
    }
    await letTimeRun(() => !run.operator.busy());
    sameRows("out", list(of["out"]), run.rows(), true);
    for (const [input, expected] of byNumber(of["attempts"]))
      same(`attempts of ${String(input)}`, expected, attempts.get(input) ?? 0);
  },
};

function doStep(step: Step, run: Run, calls: Calls): void {
  const { verb, argument, label } = step;
  const h = run.harness;
  const [first = null, second] = Array.isArray(argument) ? list(argument) : [];
  if (verb === "el") run.attempt(() => h.record("k", first, time(second)));
  else if (verb === "wm") run.attempt(() => h.watermark(time(argument)));
  else if (verb === "pt") run.attempt(() => h.processingTime(time(argument)));
  else if (verb === "complete") calls.complete(first, list(second));
  else if (verb === "out") sameRows(label, list(argument).map(outRow), run.rows(), step.ordered);
  else if (verb === "accepts") same(label, argument, run.operator.accepts());
  else if (verb === "inflight") sameRows(label, list(argument), run.operator.inFlight(), true);
  else if (verb === "armed_timeouts") same(label, argument, run.operator.armedTimeouts());
  else if (verb === "failed") checkFailed(label, argument, h.failure);
  else unsupportedStep(step);
}

function outRow(row: Value): unknown {
  if (!Array.isArray(row)) return { wm: time(fields(row, ["wm"], "row")["wm"]) };
  const [result, at] = list(row);
  return [result, time(at)];
}

function checkFailed(label: string, expected: Value, failure: Error | undefined): void {
  same(label, expected, failure?.name ?? null);
  if (failure !== undefined && !/answer for \S/.test(failure.message))
    throw new Mismatch(`${label}: expected the element in the message got ${failure.message}`);
}
