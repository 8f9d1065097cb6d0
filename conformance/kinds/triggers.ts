import { type StateSpec, type TimeWindow, valueState } from "../../operators/mod.ts";
import { noTracing } from "../../base/tracing.ts";
import { ManualClock } from "../../base/clock.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { TASK_SCOPE } from "../../operators/runtime/element.ts";
import { KeyedScope } from "../../operators/runtime/keyed-scope.ts";
import { WINDOW_NAMESPACES } from "../../operators/window/window.ts";
import { PaneContext, TRIGGER } from "../../operators/window/window-operator.ts";
import { countTrigger, eventTimeTrigger, type Trigger } from "../../operators/window/trigger.ts";
import {
  type Case,
  config,
  fields,
  list,
  Mismatch,
  same,
  time,
  times,
  type Value,
  nameOf,
} from "../case.ts";
import { jsonCodec, windowOf } from "../doubles.ts";

const KEY = "k";
const NOBODY = { record: () => {}, watermark: () => {}, status: () => {} };

/** A trigger with the timers and state of one key, as the window operator gives them to it. */
class Panes {
  readonly #scope: KeyedScope<StateSpec, TimeWindow>;
  readonly #context: PaneContext;
  readonly #trigger: Trigger<unknown, unknown>;

  constructor(trigger: Trigger | Trigger<unknown, number>) {
    this.#trigger = trigger;
    const state = valueState(jsonCodec<number>());
    this.#scope = new KeyedScope<StateSpec, TimeWindow>(
      "trigger",
      { contents: state, trigger: state },
      WINDOW_NAMESPACES,
      {
        job: "conformance",
        keyGroups: 128,
        clock: new ManualClock(),
        tracing: noTracing,
        origin: { keyGroup: keyGroupOf(KEY), sequence: 0, traceparent: "", outputs: 0 },
        markDirty: () => {},
        fail: () => {},
      },
      () => {},
    );
    this.#context = new PaneContext(this.#scope);
    this.#scope.enter(KEY);
  }

  element(window: TimeWindow): string {
    const context = this.#context.of(this.#scope.store.space(window));
    return this.#trigger.onElement(0, window.startMs, window, context);
  }

  watermark(watermarkMs: number): void {
    this.#scope.advance(watermarkMs, TASK_SCOPE, NOBODY);
    this.#scope.enter(KEY);
  }

  merge(windows: readonly TimeWindow[], into: TimeWindow): void {
    const { store } = this.#scope;
    this.#context.merged = windows.flatMap((each) => {
      const state = store.space(each).cells[TRIGGER];
      return state === undefined ? [] : [state];
    });
    this.#trigger.onMerge?.(into, this.#context.of(store.space(into)));
    for (const each of windows) {
      const context = this.#context.of(store.space(each));
      this.#trigger.clear?.(each, context);
      context.state = undefined;
    }
  }

  eventTimes(): number[] {
    return [...this.#scope.store.entry.spaces()]
      .flatMap((space) => space.event?.times() ?? [])
      .sort((a, b) => a - b);
  }
}

/** Triggers alone. */
export const triggerKinds = {
  trigger_merge(of: Case): void {
    for (const row of list(config(of, "table")["table"])) {
      const names = ["watermark", "merge", "into", "timers_before", "timers_after"];
      const each = fields(row, names, "row");
      const panes = new Panes(eventTimeTrigger);
      const windows = list(each["merge"]).map(windowOf);
      for (const window of windows) panes.element(window);
      panes.watermark(time(each["watermark"]));
      same(`${JSON.stringify(row)} before`, times(each["timers_before"]), panes.eventTimes());
      panes.merge(windows, windowOf(each["into"]));
      same(`${JSON.stringify(row)} after`, times(each["timers_after"]), panes.eventTimes());
    }
  },

  trigger_count(of: Case): void {
    const panes = new Panes(countTrigger(time(config(of, "count", "steps")["count"])));
    for (const [i, step] of list(of["steps"]).entries()) trigger(panes, i, step);
  },
};

function trigger(panes: Panes, index: number, step: Value): void {
  const each = fields(step, ["el_in", "result", "merge", "into"], "step");
  if (each["merge"] !== undefined)
    return panes.merge(list(each["merge"]).map(windowOf), windowOf(each["into"]));
  const got = panes.element(windowOf(each["el_in"])).toUpperCase();
  if (each["result"] !== got)
    throw new Mismatch(
      `step ${String(index + 1)} ${JSON.stringify(step)}: expected ${nameOf(each["result"])} got ${got}`,
    );
}
