import type { OutputTag } from "../runtime/element.ts";
import type { KeyedScope } from "../runtime/keyed-scope.ts";
import type { Outputs } from "../runtime/operator.ts";
import type { StateHandles, StateSpec } from "../state/keyed-state.ts";
import type { Space } from "../state/space.ts";
import { GLOBAL_WINDOW, maxTimeMs, type TimeWindow } from "./window.ts";
import type { WindowContext, WindowSpec } from "./window-spec.ts";

/** Calls the window function of a firing: one object for all firings of an operator. */
export class WindowCall<R, O, S extends StateSpec> implements WindowContext<O, S> {
  window = GLOBAL_WINDOW;
  readonly state: StateHandles<S>;
  readonly windowState: StateHandles<S>;
  readonly #function: WindowSpec<unknown, unknown, R, O, S>;
  readonly #scope: KeyedScope<StateSpec, TimeWindow>;
  readonly #outputs: Outputs<O>;

  constructor(
    spec: WindowSpec<unknown, unknown, R, O, S>,
    scope: KeyedScope<StateSpec, TimeWindow>,
    outputs: Outputs<O>,
  ) {
    this.#function = spec;
    this.#scope = scope;
    this.#outputs = outputs;
    // The scope has the function's states behind the operator's own, under their names.
    this.state = scope.store.handles as StateHandles<S>;
    this.windowState = scope.store.spaceHandles as StateHandles<S>;
  }

  get key(): string {
    return this.#scope.store.entry.key;
  }

  get watermarkMs(): number {
    return this.#scope.watermarkMs;
  }

  get nowMs(): number {
    return this.#scope.nowMs;
  }

  fire(window: TimeWindow, pane: Space<TimeWindow>, result: R): void {
    this.window = window;
    const spec = this.#function;
    if ("emit" in spec) {
      for (const output of spec.emit(this.key, window, result)) this.emit(output);
      return;
    }
    this.#scope.store.enterSpace(pane);
    spec.process(this, result);
  }

  emit(value: O): void {
    this.#outputs.main.record(value, maxTimeMs(this.window));
  }

  side<T>(tag: OutputTag<T>, value: T): void {
    this.#outputs.side(tag.id)?.record(value, maxTimeMs(this.window));
  }
}
