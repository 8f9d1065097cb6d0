import assert from "node:assert/strict";

/** What becomes of checkpoints while their barriers arrive. */
export interface AlignmentListener {
  /** Every channel has delivered the barrier: take the snapshot now, before anything else is read. */
  onTriggered(checkpointId: number): void;
  onAborted(checkpointId: number): void;
}

/**
 * Aligns the barriers of a task with several input channels. A channel that has delivered its barrier is
 * blocked until the checkpoint has one from every channel, so that the snapshot holds all that was before
 * the barrier on every channel, and nothing behind it.
 *
 * At most one checkpoint is pending: a newer barrier aborts it. What is older than the pending one, or not
 * above the last one that was triggered or cancelled, is ignored. An ended channel counts as aligned.
 * @see Flink, SingleCheckpointBarrierHandler.
 */
export class BarrierAligner {
  readonly #channels: number;
  readonly #listener: AlignmentListener;
  readonly #afterFinish: boolean;
  readonly #blocked = new Set<number>();
  readonly #finished = new Set<number>();
  #pending: number | undefined;
  #settled = -1;

  /** @param afterFinish - whether checkpoints go on when some channels have ended; default true. */
  constructor(channels: number, listener: AlignmentListener, afterFinish = true) {
    assert(channels > 0, "a task needs at least one channel to align");
    this.#channels = channels;
    this.#listener = listener;
    this.#afterFinish = afterFinish;
  }

  barrier(channel: number, checkpointId: number): void {
    if (this.#isOld(checkpointId) || (!this.#afterFinish && this.#finished.size > 0)) return;
    if (this.#pending !== checkpointId) {
      this.#abortPending();
      this.#pending = checkpointId;
    }
    this.#blocked.add(channel);
    this.#triggerIfAligned();
  }

  /** A cancellation marker: that checkpoint will not complete, here and downstream. */
  cancel(checkpointId: number): void {
    if (this.#isOld(checkpointId)) return;
    if (this.#pending !== checkpointId) this.#abortPending();
    this.#settle(checkpointId);
    this.#listener.onAborted(checkpointId);
  }

  /** The channel has ended. */
  finish(channel: number): void {
    this.#finished.add(channel);
    this.#blocked.delete(channel);
    if (this.#afterFinish) this.#triggerIfAligned();
    else this.#abortPending();
  }

  isBlocked(channel: number): boolean {
    return this.#blocked.has(channel);
  }

  /** Channels that must not be read now, ascending. */
  blocked(): number[] {
    return [...this.#blocked].sort((a, b) => a - b);
  }

  #isOld(checkpointId: number): boolean {
    return checkpointId <= this.#settled || checkpointId < (this.#pending ?? checkpointId);
  }

  #triggerIfAligned(): void {
    const id = this.#pending;
    if (id === undefined || this.#blocked.size + this.#finished.size < this.#channels) return;
    this.#settle(id);
    this.#listener.onTriggered(id);
  }

  #abortPending(): void {
    const id = this.#pending;
    if (id === undefined) return;
    this.#settle(id);
    this.#listener.onAborted(id);
  }

  #settle(checkpointId: number): void {
    this.#pending = undefined;
    this.#blocked.clear();
    this.#settled = checkpointId;
  }
}
