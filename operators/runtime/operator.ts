import type { Clock } from "../../base/clock.ts";
import type { Tracing } from "../../base/tracing.ts";
import type { OperatorState, StateDescriptor } from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { Origin, Output } from "./element.ts";

/** What a task gives its operators; the only way to time, keys and the world. */
export interface OperatorContext {
  readonly job: string;
  readonly keyGroups: number;
  readonly clock: Clock;
  readonly tracing: Tracing;
  /** The input message under work; an asynchronous operator sets it back before it emits. */
  origin: Origin;
  /**
   * Says that state of this group is about to differ from the last snapshot; called before the change. The
   * number behind the last key group (`keyGroups`) stands for state of the operator itself.
   */
  markDirty(keyGroup: number): void;
  /** Throws once the task has failed: an operator whose call was cut short must not go on to the sinks. */
  check?(): void;
  /** Ends the task from outside a call, for example when an asynchronous call failed for good. */
  fail(error: Error): void;
}

/**
 * One operator of a chain: takes records and watermarks, and puts results into the outputs it was built
 * with. A call is synchronous; results that come later are emitted between input messages.
 */
export interface Operator<I> extends Output<I> {
  /** Present on operators with state. */
  readonly state?: OperatorStateAccess;
  /** Input is exhausted for now: send what was held back to be sent together. */
  flush?(): void;
  /** Resolves when the operator can take more input; undefined when it can at once. */
  blocked?(): Promise<void> | undefined;
  /** True while results are still to come without further input. */
  busy?(): boolean;
  /** Called once after all state is restored, before new input. */
  resume?(): void;
  /** Processing time has come so far: what waits for it is done now. @param blocked - output was held up. */
  processingTime?(nowMs: number, blocked: boolean): void;
  /** When `processingTime` has something to do next; undefined for never. */
  nextWakeUpMs?(): number | undefined;
  /** Splits of the source that are too far ahead of the others and should not be read now. */
  pausedSplits?(): readonly string[];
  /** Who holds the watermark back here, for operators that combine or make watermarks. */
  explain?(): WatermarkHold;
}

/** Why the watermark of an operator stands where it stands. */
export interface WatermarkHold {
  readonly uid: string;
  /** Last watermark that left. */
  readonly watermarkMs: number;
  /** The inputs or splits with the lowest watermark; empty when none is active. */
  readonly heldBy: readonly string[];
  /** Processing time since which it has not moved. */
  readonly sinceMs: number;
  readonly idle: readonly string[];
  readonly paused: readonly string[];
}

/** Snapshot and restore of one operator, by key group. */
export interface OperatorStateAccess {
  readonly uid: string;
  descriptors(): StateDescriptor[];
  /** An encoded `OperatorState`; undefined when the group has no state here. */
  snapshot(keyGroup: number): Uint8Array | undefined;
  restore(keyGroup: number, state: OperatorState): void;
}

/** Outputs that an operator may emit to. */
export interface Outputs<O> {
  readonly main: Output<O>;
  /** Undefined when nobody reads that side output. */
  side(id: string): Output<unknown> | undefined;
}
