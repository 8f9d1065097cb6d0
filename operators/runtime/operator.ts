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
  /** Says that state of this group differs from the last snapshot. */
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
}

/** Snapshot and restore of one operator, by key group. */
export interface OperatorStateAccess {
  readonly uid: string;
  descriptors(): StateDescriptor[];
  /** Undefined when the group has no state here. */
  snapshot(keyGroup: number): OperatorState | undefined;
  restore(keyGroup: number, state: OperatorState): void;
}

/** Outputs that an operator may emit to. */
export interface Outputs<O> {
  readonly main: Output<O>;
  /** Undefined when nobody reads that side output. */
  side(id: string): Output<unknown> | undefined;
}
