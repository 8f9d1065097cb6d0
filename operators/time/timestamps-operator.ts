import {
  type OperatorState,
  type StateDescriptor,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { MAX_TIME_MS, MIN_TIME_MS, type Output, TASK_SCOPE } from "../runtime/element.ts";
import { KeyedScope } from "../runtime/keyed-scope.ts";
import type {
  Operator,
  OperatorContext,
  OperatorStateAccess,
  WatermarkHold,
} from "../runtime/operator.ts";
import { numberCodec } from "../state/codec.ts";
import { valueState } from "../state/keyed-state.ts";
import { TEXT_NAMESPACES } from "../state/namespaces.ts";
import { BoundedOutOfOrderness, IdleTimer, type WatermarkGenerator } from "./generators.ts";
import { SplitWatermarks } from "./split-watermarks.ts";

const INTERVAL_MS = 200;

/** Gives records their event time and says how far time has come. */
export interface TimestampSpec<T> {
  /** Epoch milliseconds, or any axis that grows with the events; integer. */
  eventTimeMs(value: T): number;
  /** How much later than its successors a record may arrive; 0 for ordered input, which is the default. */
  readonly outOfOrdernessMs?: number;
  /** Another way to make watermarks: one generator for each split. Not for watermarks of keys. */
  generator?(): WatermarkGenerator<T>;
  /** Processing time between two ticks of periodic generators and idleness; default 200 ms, as in Flink. */
  readonly intervalMs?: number;
  /** Processing time without records behind which the stream, or a split of it, counts as idle. */
  readonly idleTimeoutMs?: number;
  /** The split of the source that a record is of: each has a watermark of its own, the lowest counts. */
  splitOf?(value: T): string;
  /** Splits that are there from the beginning; others are added with their first record. */
  readonly splits?: readonly string[];
  /** Pauses splits that are ahead of the slowest by more. */
  readonly maxDriftMs?: number;
  /** Scope of the watermarks: of the record's key, or of the whole task when absent. */
  scopeOf?(value: T): string;
  /** True when nothing follows in this scope: its watermark goes to the end of time. */
  isLast?(value: T): boolean;
}

/**
 * Gives records their event time and lets watermarks follow them. Watermarks and statuses that come in are
 * swallowed, but for the end of time: from here on this operator says how late it is.
 * @see Flink, TimestampsAndWatermarksOperator.
 */
export class TimestampsOperator<T> implements Operator<T>, OperatorStateAccess {
  readonly uid: string;
  readonly state: OperatorStateAccess = this;
  readonly #spec: TimestampSpec<T>;
  readonly #context: OperatorContext;
  readonly #main: Output<T>;
  /** Highest event time of keys with a clock of their own; the task's own is not kept, as in Flink. */
  readonly #keys: KeyedScope<{ highestMs: ReturnType<typeof valueState<number>> }, string>;
  readonly #generators = new Map<string, WatermarkGenerator<T>>();
  readonly #splits: SplitWatermarks | undefined;
  readonly #idleTimer: IdleTimer | undefined;
  readonly #propose: (watermarkMs: number) => void;
  #split = "";
  #isTick = false;
  #lastMs = MIN_TIME_MS;
  #movedMs: number;
  #idle = false;
  #tickMs: number | undefined;

  constructor(uid: string, spec: TimestampSpec<T>, context: OperatorContext, main: Output<T>) {
    this.uid = uid;
    this.#spec = spec;
    this.#context = context;
    this.#main = main;
    this.#keys = new KeyedScope(
      uid,
      { highestMs: valueState(numberCodec) },
      TEXT_NAMESPACES,
      context,
      () => {},
    );
    if (spec.splitOf !== undefined) this.#splits = new SplitWatermarks(spec);
    else if (spec.idleTimeoutMs !== undefined) this.#idleTimer = new IdleTimer(spec.idleTimeoutMs);
    for (const split of spec.splits ?? []) this.#splits?.add(split);
    this.#propose = (watermarkMs) => {
      if (this.#splits === undefined) return this.#advance(watermarkMs);
      this.#splits.watermark(this.#split, watermarkMs, this.#isTick);
      this.#follow();
    };
    this.#movedMs = context.clock.nowMs();
  }

  record(value: T): void {
    const spec = this.#spec;
    const eventTimeMs = spec.eventTimeMs(value);
    if (this.#splits === undefined) this.#setIdle(false);
    this.#main.record(value, eventTimeMs);
    const last = spec.isLast?.(value) === true;
    if (spec.scopeOf !== undefined)
      return this.#ofKey(spec.scopeOf(value), last ? MAX_TIME_MS : eventTimeMs);
    this.#idleTimer?.activity();
    if (spec.splitOf !== undefined) this.#splits?.add((this.#split = spec.splitOf(value)));
    this.#generator(this.#split).onEvent(value, eventTimeMs, this.#propose);
    if (last) this.#propose(MAX_TIME_MS);
  }

  watermark(watermarkMs: number, scope: string): void {
    if (watermarkMs === MAX_TIME_MS && scope === TASK_SCOPE) this.#advance(MAX_TIME_MS);
  }

  status(): void {
    // Swallowed, see above.
  }

  processingTime(nowMs: number, blocked: boolean): void {
    if (nowMs < (this.nextWakeUpMs() ?? MAX_TIME_MS)) return;
    const passedMs = nowMs - (this.#tickMs ?? nowMs);
    this.#tickMs = nowMs;
    this.#isTick = true;
    for (const [split, generator] of this.#generators) {
      this.#split = split;
      generator.onPeriodic?.(this.#propose);
    }
    this.#isTick = false;
    if (this.#splits !== undefined) {
      this.#splits.tick(nowMs, blocked);
      this.#follow();
    } else if (this.#idleTimer !== undefined) {
      if (blocked) this.#idleTimer.discount(passedMs);
      else if (this.#idleTimer.isIdle(nowMs)) this.#setIdle(true);
    }
  }

  nextWakeUpMs(): number | undefined {
    const spec = this.#spec;
    if (spec.generator === undefined && spec.idleTimeoutMs === undefined) return undefined;
    return this.#tickMs === undefined
      ? MIN_TIME_MS
      : this.#tickMs + (spec.intervalMs ?? INTERVAL_MS);
  }

  pausedSplits(): readonly string[] {
    return this.#splits?.paused() ?? [];
  }

  explain(): WatermarkHold {
    return {
      uid: this.uid,
      watermarkMs: this.#lastMs,
      heldBy: this.#heldBy(),
      sinceMs: this.#movedMs,
      idle: this.#splits?.idleSplits() ?? (this.#idle ? ["records"] : []),
      paused: this.pausedSplits(),
    };
  }

  #heldBy(): readonly string[] {
    if (typeof this.#spec.scopeOf === "function") return ["each key's own clock"];
    return this.#splits?.slowest() ?? (this.#idle ? [] : ["records"]);
  }

  descriptors(): StateDescriptor[] {
    return this.#keys.descriptors();
  }

  snapshot(keyGroup: number): Uint8Array | undefined {
    return this.#keys.snapshot(keyGroup);
  }

  restore(keyGroup: number, state: OperatorState): void {
    this.#keys.restore(keyGroup, state);
  }

  #generator(split: string): WatermarkGenerator<T> {
    let generator = this.#generators.get(split);
    if (generator === undefined) {
      generator =
        this.#spec.generator?.() ?? new BoundedOutOfOrderness(this.#spec.outOfOrdernessMs ?? 0);
      this.#generators.set(split, generator);
    }
    return generator;
  }

  /** Lets what the splits have come to together leave. */
  #follow(): void {
    if (this.#splits === undefined) return;
    this.#setIdle(this.#splits.idle);
    this.#advance(this.#splits.lastMs);
  }

  #advance(watermarkMs: number): void {
    if (watermarkMs <= this.#lastMs) return;
    this.#lastMs = watermarkMs;
    this.#movedMs = this.#context.clock.nowMs();
    this.#setIdle(false);
    this.#main.watermark(watermarkMs, TASK_SCOPE);
  }

  #setIdle(idle: boolean): void {
    if (idle === this.#idle) return;
    this.#idle = idle;
    this.#main.status(idle);
  }

  #ofKey(scope: string, eventTimeMs: number): void {
    this.#keys.enter(scope);
    const { highestMs } = this.#keys.store.handles;
    if (eventTimeMs <= (highestMs.get() ?? MIN_TIME_MS)) return;
    highestMs.set(eventTimeMs);
    const boundMs = this.#spec.outOfOrdernessMs ?? 0;
    this.#main.watermark(
      eventTimeMs === MAX_TIME_MS ? MAX_TIME_MS : eventTimeMs - boundMs - 1,
      scope,
    );
  }
}
