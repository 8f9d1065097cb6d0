import {
  type Aggregate,
  MIN_TIME_MS,
  NO_TIME_MS,
  outputTag,
  type WindowSpec,
} from "../../operators/mod.ts";
import type { KeyedScope } from "../../operators/runtime/keyed-scope.ts";
import type { Space } from "../../operators/state/space.ts";
import { maxTimeMs, sameWindow, type TimeWindow } from "../../operators/window/window.ts";
import { CONTENTS, SESSIONS, TRIGGER } from "../../operators/window/window-operator.ts";
import { Harness, type HarnessSnapshot } from "../../testing/mod.ts";
import {
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
import {
  assignerOf,
  type Element,
  evictorOf,
  jsonCodec,
  triggerOf,
  windowOf,
  windowRow,
} from "../doubles.ts";

type Row = readonly Value[];

const OP = ["assigner", "trigger", "lateness", "late_output", "evictor", "agg"];
/** Verbs that look inside: with shared slices there is another structure to see. */
const STRUCTURE = new Set(["timers", "state_entries", "contents"]);
const LATE = outputTag<Element>("late");

/** The keyed window operator. A case of sliding windows runs in both forms that the runtime has. */
export function window(of: Case): void {
  config(of, "op", "steps");
  new WindowRun(of, false).run();
  const shared = new WindowRun(of, true);
  if (shared.isShared && !steps(of).some(({ verb }) => STRUCTURE.has(verb))) shared.run();
}

class WindowRun {
  readonly isShared: boolean;
  readonly #case: Case;
  readonly #op: Fields;
  readonly #spec: WindowSpec<Element, unknown, Value, Row>;
  readonly #snapshots = new Map<string, HarnessSnapshot>();
  #harness: Harness<Element>;
  #firstMaxMs: number | undefined;
  #unchecked: Row[] = [];

  constructor(of: Case, share: boolean) {
    this.#case = of;
    this.#op = fields(of["op"], OP, "op");
    this.#spec = this.#specOf(share);
    const { sliding } = this.#spec.assigner;
    this.isShared = share && sliding !== undefined && this.#spec.aggregate.merge !== undefined;
    this.#harness = this.#start();
  }

  run(): void {
    for (const step of steps(this.#case)) {
      this.#do(step);
      this.#unchecked.push(...this.#harness.take<Row>());
      if (step.verb === "out") this.#check(step);
    }
    if (this.#unchecked.length > 0)
      throw new Mismatch(
        `at the end: expected no more output got ${JSON.stringify(this.#unchecked)}`,
      );
  }

  #specOf(share: boolean): WindowSpec<Element, unknown, Value, Row> {
    const { trigger, lateness, evictor } = this.#op;
    const assigner = assignerOf(this.#op["assigner"]);
    const late = this.#op["late_output"] ?? false;
    if (typeof late !== "boolean") throw new Unsupported("unsupported late_output");
    return {
      uid: "window",
      assigner,
      aggregate: aggregateOf(this.#op["agg"] ?? "sum", assigner.merging || share),
      ...(trigger !== undefined && { trigger: triggerOf(trigger) }),
      ...(evictor !== undefined &&
        evictor !== null && {
          evictor: { evictor: evictorOf(evictor), codec: jsonCodec<Element>() },
        }),
      ...(lateness !== undefined && { allowedLatenessMs: time(lateness) }),
      ...(late && { lateTag: LATE }),
      emit: (key, window, result) => [
        [JSON.parse(key) as Value, result, maxTimeMs(window), ...windowRow(window)],
      ],
    };
  }

  #start(from?: HarnessSnapshot): Harness<Element> {
    return new Harness<Element>(
      (source, collect) => {
        const windows = source.keyBy(({ key }) => keyText(key)).window(this.#spec);
        collect(windows);
        collect(windows.side(LATE), "late");
      },
      { nowMs: MIN_TIME_MS, ...(from !== undefined && { from }) },
    );
  }

  #do(step: Step): void {
    const { verb, argument, label } = step;
    const h = this.#harness;
    switch (verb) {
      case "el":
        return this.#element(list(argument));
      case "wm":
        return h.watermark(this.#time(argument));
      case "pt":
        return h.processingTime(time(argument));
      case "snapshot":
        return void this.#snapshots.set(nameOf(argument), h.snapshot());
      case "restore":
        this.#harness = this.#start(this.#snapshots.get(nameOf(argument)));
        return;
      case "out":
        return;
      case "late":
        return sameRows(label, list(argument), this.#late(), step.ordered);
      case "contents":
        return same(label, list(argument)[2], this.#contents(list(argument)));
      case "timers":
        return this.#checkTimers(label, fields(argument, ["event", "proc"], "timers"));
      case "state_entries":
        return same(label, argument, this.#stateEntries());
      default:
        return unsupportedStep(step);
    }
  }

  #element([key = null, value = null, at = null]: readonly Value[]): void {
    const element = { key, value };
    const timeMs = at === null ? NO_TIME_MS : time(at);
    if (this.#firstMaxMs === undefined) {
      const context = { key: keyText(key), value: element };
      const [first] = this.#spec.assigner.assign(at === null ? 0 : timeMs, context);
      if (first !== undefined) this.#firstMaxMs = maxTimeMs(first);
    }
    this.#harness.record(keyText(key), element, timeMs);
  }

  #time(value: Value): number {
    return value === "window_max_of_first" ? (this.#firstMaxMs ?? time("MAX")) : time(value);
  }

  /** Three or five columns, as the case spells them. */
  #check({ argument, ordered, label }: Step): void {
    const expected = list(argument).map((row) => {
      const columns = list(row);
      return columns.map((each, i) => (i < 2 ? each : this.#time(each)));
    });
    const width = expected[0]?.length ?? 3;
    const got = this.#unchecked.map((row) => row.slice(0, width));
    this.#unchecked = [];
    sameRows(label, expected, got, ordered);
  }

  #late(): readonly Row[] {
    return this.#harness.takeEmitted("late").flatMap((each) => {
      if (each.kind !== "record") return [];
      const { key, value } = each.value as Element;
      return [[key, value, each.eventTimeMs]];
    });
  }

  #scope(): KeyedScope<{}, TimeWindow> {
    return this.#harness.operators[0]?.state as KeyedScope<{}, TimeWindow>;
  }

  #spaces(): Space<TimeWindow>[] {
    return Array.from(this.#scope().store.entries(), (entry) => Array.from(entry.spaces())).flat();
  }

  #contents([key, of]: readonly Value[]): Value {
    const wanted = windowOf(of);
    const found = this.#spaces().find(
      ({ entry, namespace }) =>
        entry.key === keyText(key) && namespace !== undefined && sameWindow(namespace, wanted),
    );
    const contents = found?.cells[CONTENTS];
    if (contents === undefined) return null;
    const { aggregate, evictor } = this.#spec;
    if (evictor === undefined) return aggregate.result(contents);
    const elements = contents as readonly { readonly value: Element }[];
    return aggregate.result(
      elements.reduce((sum, { value }) => aggregate.add(sum, value), aggregate.create()),
    );
  }

  #checkTimers(label: string, { event, proc }: Fields): void {
    if (event !== undefined) same(`${label} event`, event, this.#scope().pending("event"));
    if (proc !== undefined) same(`${label} proc`, proc, this.#scope().pending("processing"));
  }

  #stateEntries(): number {
    return this.#spaces().reduce(
      (sum, { cells }) =>
        sum + [CONTENTS, TRIGGER, SESSIONS].filter((index) => cells[index] !== undefined).length,
      0,
    );
  }
}

/** @param merges - with a merge function, which lets sliding windows share slices. */
function aggregateOf(name: Value, merges: boolean): Aggregate<Element, unknown, Value> {
  if (name !== "sum" && name !== "list")
    throw new Unsupported(`unsupported agg ${JSON.stringify(name)}`);
  const sum: Aggregate<Element, number, Value> = {
    codec: jsonCodec<number>(),
    create: () => 0,
    add: (total, { value }) => total + Number(value),
    result: (total) => total,
    ...(merges && { merge: (a: number, b: number) => a + b }),
  };
  const all: Aggregate<Element, Value[], Value> = {
    codec: jsonCodec<Value[]>(),
    create: () => [],
    add: (values, { value }) => [...values, value],
    result: (values) => values,
    ...(merges && { merge: (a: Value[], b: Value[]) => [...a, ...b] }),
  };
  return name === "sum" ? sum : all;
}
