import { NO_TIME_MS } from "../runtime/element.ts";
import { KeyedScope, type TimeDomain } from "../runtime/keyed-scope.ts";
import type { Operator, OperatorContext, Outputs } from "../runtime/operator.ts";
import { listCodec, numberCodec, type Timed, timedCodec } from "../state/codec.ts";
import { type StateSpec, valueState } from "../state/keyed-state.ts";
import type { Space } from "../state/space.ts";
import { addWindow, findLive, type LiveWindow, retire } from "./merging-windows.ts";
import {
  type AnyTrigger,
  eventTimeTrigger,
  neverTrigger,
  processingTimeTrigger,
  type Trigger,
  type TriggerContext,
  type TriggerResult,
} from "./trigger.ts";
import {
  type AssignerContext,
  cleanupTimeMs,
  InvalidWindowError,
  maxTimeMs,
  type TimeWindow,
  type WindowAssigner,
  WINDOW_NAMESPACES,
} from "./window.ts";
import { WindowCall } from "./window-call.ts";
import type { WindowSpec } from "./window-spec.ts";

type Pane = Space<TimeWindow>;

/** Indices of the operator's own states, before those of the window function. */
export const CONTENTS = 0;
export const TRIGGER = 1;
export const SESSIONS = 2;

/** Start and end of live window and state window, one behind the other. */
const liveCodec = listCodec(numberCodec);

/** Trigger that a window has when none is named. */
export function defaultTrigger({ time }: WindowAssigner<never>): Trigger {
  if (time === "none") return neverTrigger;
  return time === "event" ? eventTimeTrigger : processingTimeTrigger;
}

/** The trigger's view of one pane. */
export class PaneContext implements TriggerContext<unknown> {
  merged: unknown[] = [];
  readonly #scope: KeyedScope<StateSpec, TimeWindow>;
  #pane: Pane;

  constructor(scope: KeyedScope<StateSpec, TimeWindow>) {
    this.#scope = scope;
    this.#pane = scope.store.entry.root;
  }

  of(pane: Pane): this {
    this.#pane = pane;
    return this;
  }

  get watermarkMs(): number {
    return this.#scope.watermarkMs;
  }

  get nowMs(): number {
    return this.#scope.nowMs;
  }

  get state(): unknown {
    return this.#pane.cells[TRIGGER];
  }

  set state(state: unknown) {
    this.#pane.cells[TRIGGER] = state;
    if (state === undefined) this.#scope.store.emptied();
  }

  registerEvent(timeMs: number): void {
    this.#scope.register(this.#pane, timeMs, "event");
  }

  deleteEvent(timeMs: number): void {
    this.#scope.delete(this.#pane, timeMs, "event");
  }

  registerProcessing(timeMs: number): void {
    this.#scope.register(this.#pane, timeMs, "processing");
  }

  deleteProcessing(timeMs: number): void {
    this.#scope.delete(this.#pane, timeMs, "processing");
  }
}

/**
 * Keyed windows. A _pane_ is the content of one window for one key. The assigner says which windows a record
 * belongs to, the trigger when a pane fires; a pane goes when the watermark passes its end plus the allowed
 * lateness. @see Flink, WindowOperator and EvictingWindowOperator.
 */
export class WindowOperator<I, A, R, O, S extends StateSpec> implements Operator<I> {
  /** Checkpointed: contents and trigger state by window, sessions by key, timers. */
  readonly state: KeyedScope<StateSpec, TimeWindow>;
  /** Records that were late for all their windows. */
  lateRecords = 0;
  readonly #spec: WindowSpec<I, A, R, O, S>;
  readonly #trigger: Trigger<I, unknown>;
  readonly #keyOf: (value: I) => string;
  readonly #outputs: Outputs<O>;
  readonly #latenessMs: number;
  readonly #isEventTime: boolean;
  readonly #call: WindowCall<R, O, S>;
  readonly #pane: PaneContext;
  readonly #assigning: { key: string; value: I } & AssignerContext<I>;

  constructor(
    spec: WindowSpec<I, A, R, O, S>,
    keyOf: (value: I) => string,
    context: OperatorContext,
    outputs: Outputs<O>,
  ) {
    this.#spec = spec;
    const trigger: AnyTrigger<I> = spec.trigger ?? defaultTrigger(spec.assigner);
    this.#trigger = trigger;
    this.#keyOf = keyOf;
    this.#outputs = outputs;
    this.#latenessMs = spec.allowedLatenessMs ?? 0;
    this.#isEventTime = spec.assigner.time === "event";
    const { evictor } = spec;
    this.state = new KeyedScope<StateSpec, TimeWindow>(
      spec.uid,
      {
        contents: valueState(
          evictor === undefined
            ? spec.aggregate.codec
            : (listCodec(timedCodec(evictor.codec)) as never),
        ),
        trigger: valueState(this.#trigger.codec ?? numberCodec),
        sessions: valueState({ ...liveCodec, encode: encodeLive, decode: decodeLive }),
        ...("state" in spec ? spec.state : {}),
      },
      WINDOW_NAMESPACES,
      context,
      (pane, timeMs, domain) => this.#onTimer(pane, timeMs, domain),
    );
    this.#call = new WindowCall(spec, this.state, outputs);
    this.#pane = new PaneContext(this.state);
    this.#assigning = { key: "", value: undefined as I };
  }

  record(value: I, eventTimeMs: number): void {
    const { assigner } = this.#spec;
    if (this.#isEventTime && eventTimeMs === NO_TIME_MS)
      throw new InvalidWindowError(
        `operator ${this.#spec.uid}: a record without event time reached an event-time window; ` +
          "put timestamps() before it",
      );
    const key = this.#keyOf(value);
    this.state.enter(key);
    this.#assigning.key = key;
    this.#assigning.value = value;
    const timeMs = assigner.time === "processing" ? this.state.nowMs : eventTimeMs;
    let taken = false;
    for (const window of assigner.assign(timeMs, this.#assigning))
      if (
        assigner.merging
          ? this.#addMerging(window, value, eventTimeMs)
          : this.#addTo(window, value, eventTimeMs)
      )
        taken = true;
    if (taken || !this.#isEventTime) return;
    if (eventTimeMs + this.#latenessMs <= this.state.watermarkMs) this.#onLate(value, eventTimeMs);
  }

  watermark(watermarkMs: number, scope: string): void {
    this.state.advance(watermarkMs, scope, this.#outputs.main);
  }

  status(idle: boolean): void {
    this.#outputs.main.status(idle);
  }

  processingTime(nowMs: number): void {
    this.state.processingTime(nowMs);
  }

  nextWakeUpMs(): number | undefined {
    return this.state.nextWakeUpMs();
  }

  /** @returns false when the window is late. */
  #addTo(window: TimeWindow, value: I, eventTimeMs: number): boolean {
    if (this.#isLate(window)) return false;
    const pane = this.state.store.space(window);
    this.#add(window, pane, pane, value, eventTimeMs);
    return true;
  }

  #addMerging(window: TimeWindow, value: I, eventTimeMs: number): boolean {
    const { store } = this.state;
    const { cells } = store.entry.root;
    const live = (cells[SESSIONS] ??= []) as LiveWindow[];
    const { actual, sources } = addWindow(live, window);
    if (sources.length > 0) this.#merge(actual, sources);
    if (this.#isLate(actual.window)) {
      this.#retire(actual.window);
      return false;
    }
    this.#add(
      actual.window,
      store.space(actual.window),
      store.space(actual.state),
      value,
      eventTimeMs,
    );
    return true;
  }

  /** Timers and trigger state move to the merged window; contents are joined under its state window. */
  #merge(actual: LiveWindow, sources: readonly LiveWindow[]): void {
    const { store } = this.state;
    const pane = store.space(actual.window);
    const panes = sources.map(({ window }) => store.space(window));
    this.#pane.merged = panes.flatMap(({ cells }) =>
      cells[TRIGGER] === undefined ? [] : [cells[TRIGGER]],
    );
    this.#trigger.onMerge?.(actual.window, this.#pane.of(pane));
    for (const [i, source] of sources.entries()) {
      const from = panes[i];
      if (from === undefined) continue;
      this.#clearTrigger(source.window, from);
      this.state.delete(from, this.#cleanupMs(source.window), this.#cleanupDomain());
    }
    const into = store.space(actual.state);
    for (const { state } of sources.slice(1)) {
      const { cells } = store.space(state);
      into.cells[CONTENTS] = this.#join(into.cells[CONTENTS], cells[CONTENTS]);
      cells.fill(undefined);
    }
    store.emptied();
  }

  #add(window: TimeWindow, pane: Pane, contents: Pane, value: I, eventTimeMs: number): void {
    const { aggregate, evictor } = this.#spec;
    const { cells } = contents;
    if (evictor === undefined)
      cells[CONTENTS] = aggregate.add(
        (cells[CONTENTS] as A | undefined) ?? aggregate.create(),
        value,
      );
    else ((cells[CONTENTS] ??= []) as Timed<I>[]).push({ value, eventTimeMs });
    const result = this.#trigger.onElement(value, eventTimeMs, window, this.#pane.of(pane));
    this.#act(result, window, contents);
    const cleanupMs = this.#cleanupMs(window);
    if (cleanupMs < Number.MAX_SAFE_INTEGER)
      this.state.register(pane, cleanupMs, this.#cleanupDomain());
  }

  #onTimer(pane: Pane, timeMs: number, domain: TimeDomain): void {
    const window = pane.namespace;
    if (window === undefined) return;
    let contents: Pane | undefined = pane;
    if (this.#spec.assigner.merging) {
      const live = (this.state.store.entry.root.cells[SESSIONS] ?? []) as LiveWindow[];
      const found = findLive(live, window);
      // Timers of windows that have been merged away do nothing.
      if (found === undefined) return;
      contents = this.state.store.findSpace(found.state);
    }
    const context = this.#pane.of(pane);
    const result =
      domain === "event"
        ? this.#trigger.onEventTime?.(timeMs, window, context)
        : this.#trigger.onProcessingTime?.(timeMs, window, context);
    this.#act(result ?? "continue", window, contents);
    if (domain !== this.#cleanupDomain() || timeMs !== this.#cleanupMs(window)) return;
    contents?.cells.fill(undefined);
    this.#clearTrigger(window, pane);
    if (this.#spec.assigner.merging) this.#retire(window);
  }

  #act(result: TriggerResult, window: TimeWindow, contents: Pane | undefined): void {
    if (result === "continue" || contents === undefined) return;
    if (result !== "purge") this.#fire(window, contents);
    if (result === "fire") return;
    contents.cells[CONTENTS] = undefined;
    this.state.store.emptied();
  }

  #fire(window: TimeWindow, pane: Pane): void {
    const { aggregate, evictor: keeper } = this.#spec;
    if (pane.cells[CONTENTS] === undefined) return;
    if (keeper === undefined)
      return this.#call.fire(window, pane, aggregate.result(pane.cells[CONTENTS] as A));
    const { evictor } = keeper;
    const evict = (when: "before" | "after"): readonly Timed<I>[] => {
      let elements = pane.cells[CONTENTS] as readonly Timed<I>[];
      if (evictor.when === when) elements = evictor.keep(elements);
      pane.cells[CONTENTS] = elements.length === 0 ? undefined : [...elements];
      return elements;
    };
    const elements = evict("before");
    if (elements.length === 0) return;
    const folded = elements.reduce(
      (sum, { value }) => aggregate.add(sum, value),
      aggregate.create(),
    );
    this.#call.fire(window, pane, aggregate.result(folded));
    evict("after");
  }

  #join(into: unknown, from: unknown): unknown {
    if (into === undefined || from === undefined) return into ?? from;
    if (this.#spec.evictor !== undefined) return [...(into as unknown[]), ...(from as unknown[])];
    return this.#spec.aggregate.merge?.(into as A, from as A);
  }

  #clearTrigger(window: TimeWindow, pane: Pane): void {
    const context = this.#pane.of(pane);
    this.#trigger.clear?.(window, context);
    context.state = undefined;
  }

  #retire(window: TimeWindow): void {
    const { store } = this.state;
    const { cells } = store.entry.root;
    const live = (cells[SESSIONS] ?? []) as LiveWindow[];
    retire(live, window);
    if (live.length === 0) cells[SESSIONS] = undefined;
    store.emptied();
  }

  #isLate(window: TimeWindow): boolean {
    return this.#isEventTime && this.#cleanupMs(window) <= this.state.watermarkMs;
  }

  #cleanupMs(window: TimeWindow): number {
    return this.#isEventTime ? cleanupTimeMs(window, this.#latenessMs) : maxTimeMs(window);
  }

  #cleanupDomain(): TimeDomain {
    return this.#spec.assigner.time === "processing" ? "processing" : "event";
  }

  #onLate(value: I, eventTimeMs: number): void {
    this.lateRecords += 1;
    const { lateTag } = this.#spec;
    if (lateTag !== undefined) this.#outputs.side(lateTag.id)?.record(value, eventTimeMs);
  }
}

function encodeLive(live: unknown): Uint8Array {
  const numbers = (live as readonly LiveWindow[]).flatMap(({ window, state }) => [
    window.startMs,
    window.endMs,
    state.startMs,
    state.endMs,
  ]);
  return liveCodec.encode(numbers);
}

function decodeLive(bytes: Uint8Array): LiveWindow[] {
  const numbers = liveCodec.decode(bytes);
  const at = (i: number): TimeWindow => ({ startMs: numbers[i] ?? 0, endMs: numbers[i + 1] ?? 0 });
  return Array.from({ length: numbers.length / 4 }, (_each, i) => ({
    window: at(4 * i),
    state: at(4 * i + 2),
  }));
}
