import type { Codec } from "../state/codec.ts";
import type { Aggregate, StateHandles, StateSpec } from "../state/keyed-state.ts";
import type { OutputTag } from "../runtime/element.ts";
import type { Evictor } from "./evictor.ts";
import type { AnyTrigger } from "./trigger.ts";
import type { TimeWindow, WindowAssigner } from "./window.ts";

/** What a window function may use when a pane fires. */
export interface WindowContext<O, S extends StateSpec> {
  readonly key: string;
  readonly window: TimeWindow;
  readonly watermarkMs: number;
  readonly nowMs: number;
  /** State of the key, over all windows. */
  readonly state: StateHandles<S>;
  /** The same states of this window alone; they go when the window goes. */
  readonly windowState: StateHandles<S>;
  /** Emits with the latest time of the window as event time. */
  emit(value: O): void;
  side<T>(tag: OutputTag<T>, value: T): void;
}

interface WindowBase<I, A, R> {
  readonly uid: string;
  readonly assigner: WindowAssigner<I>;
  /** Default: the end of the window by its own clock; global windows never fire by themselves. */
  readonly trigger?: AnyTrigger<I>;
  /** What is kept of a pane: an accumulator; with an evictor it is computed from the records at each firing. */
  readonly aggregate: Aggregate<I, A, R>;
  /** The evictor, and how records are written while they are kept. */
  readonly evictor?: { readonly evictor: Evictor<I>; readonly codec: Codec<I> };
  /** How long after its end a window still takes records and fires again; default 0. */
  readonly allowedLatenessMs?: number;
  /** Where records go that are late for all their windows; without it they are dropped and counted. */
  readonly lateTag?: OutputTag<I>;
}

/** Makes records of the result alone, without state: zero, one or several. */
export interface EmitFunction<R, O> {
  emit(key: string, window: TimeWindow, result: R): readonly O[];
}

/** Sees key, window, clocks and state. */
export interface WindowFunction<R, O, S extends StateSpec> {
  readonly state: S;
  process(context: WindowContext<O, S>, result: R): void;
}

/** A keyed window operator: which windows, when they fire, what is kept of a pane, what a firing gives. */
export type WindowSpec<I, A, R, O, S extends StateSpec = {}> = WindowBase<I, A, R> &
  (EmitFunction<R, O> | WindowFunction<R, O, S>);
