import type { Clock } from "../../base/clock.ts";
import { CourtsideError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Tracing } from "../../base/tracing.ts";
import type { FaultPoint, Opened, Snapshot, SnapshotStore } from "../checkpoint/snapshot.ts";
import { CorruptSnapshotError } from "../checkpoint/snapshot.ts";
import { checkDescriptors, IncompatibleSnapshotError } from "../state/descriptors.ts";
import type { WatermarkHold } from "./operator.ts";
import type { Quarantine } from "./quarantine.ts";
import type { SealedRows } from "./sink.ts";
import { type Coordinator, Subtask, type SubtaskSnapshot, type SubtaskSpec } from "./subtask.ts";

/** Figures of one committed checkpoint. */
export interface CheckpointReport {
  readonly checkpointId: number;
  /** How long the tasks stood still, added up. */
  readonly pauseMs: number;
  /** From the barrier to the last sink's commit. */
  readonly durationMs: number;
  readonly changedKeyGroups: number;
  readonly stateBytes: number;
  readonly rows: number;
}

/** Longest way of a barrier through all stages; in order it takes milliseconds. */
const ALIGNMENT_LIMIT_MS = 15_000;

/** Not every task took its barrier in time; the region goes on from the last checkpoint. */
export class CheckpointExpiredError extends CourtsideError {
  override readonly code = "CHECKPOINT_EXPIRED";
  override readonly retryable = true;

  constructor(checkpointId: number, missing: readonly string[]) {
    super(
      `checkpoint ${String(checkpointId)} expired; its barrier did not reach ${missing.join(", ")}`,
    );
  }
}

/** What a region needs: its tasks, and where its snapshots go. */
export interface RegionOptions {
  readonly job: string;
  readonly keyGroups: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- stages of one region have inputs of different types
  readonly subtasks: readonly SubtaskSpec<any>[];
  readonly store: SnapshotStore;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Log;
  /** Time between checkpoints. */
  readonly checkpointIntervalMs: number;
  /** Start although the snapshot has state that the job does not. */
  readonly allowNonRestoredState?: boolean;
  readonly quarantine?: Quarantine;
  readonly fault?: FaultPoint;
  /** Called before every message. @throws FencedError when the region may be somebody else's by now. */
  checkLease?(): void;
  /** Told once, when state is restored, sinks are open and the sources are read. */
  readonly onStarted?: () => void;
  /** Told after every committed checkpoint. */
  onCheckpoint?(report: CheckpointReport): void;
}

interface Under {
  readonly id: number;
  readonly startMs: number;
  readonly snapshots: Map<string, SubtaskSnapshot>;
  readonly committed: Promise<void>;
  readonly resolve: () => void;
}

/**
 * The tasks that restart and commit together: one, or several that are joined by repartition streams.
 *
 * States: restoring → running → draining → closed. It leaves `running` when it is told to stop, when its bounded
 * sources have ended, or when anything fails; in the last case nothing is saved and the next start goes on from
 * the last checkpoint. A checkpoint: sources take the barrier between two messages and send it on; every task
 * takes its snapshot when the barrier has come by all its inputs; when all have, and what they sent before it is
 * stored, the snapshot is written (the commit), and only then sinks make rows visible. At most one is under way:
 * the next barrier waits until the sinks have committed, so a slow store slows the pull and never grows memory.
 */
export class Region implements Coordinator {
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly job: string;
  readonly quarantine: Quarantine | undefined;
  readonly #options: RegionOptions;
  readonly #subtasks: readonly Subtask<unknown>[];
  readonly #waiters = new Set<(error: Error) => void>();
  #failure: Error | undefined;
  #barrier = 0;
  #finalBarrier: number | undefined;
  #lastCheckpointMs: number;
  #under: Under | undefined;
  #forced: (() => void)[] = [];
  #isStarted = false;

  constructor(options: RegionOptions) {
    this.#options = options;
    this.job = options.job;
    this.clock = options.clock;
    this.tracing = options.tracing;
    this.quarantine = options.quarantine;
    this.#subtasks = options.subtasks.map((spec) => new Subtask<unknown>(spec, this));
    this.#lastCheckpointMs = options.clock.nowMs();
  }

  /** Resolves after a graceful stop or at the end of bounded sources. @throws whatever made it fail. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#start();
      await this.orFailure(this.#loops(signal));
      await this.#finish();
      this.check();
    } finally {
      this.fail(new Error("the region is closed"));
      // Nothing of a region may write behind its end: the next one starts from what it finds.
      await this.#under?.committed;
      for (const subtask of this.#subtasks) await subtask.close();
    }
  }

  /** A checkpoint now, even when nothing has changed. Resolves when it is committed. */
  async checkpoint(): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#forced.push(() => done.resolve());
    await this.orFailure(done.promise);
  }

  /** Highest input sequence by task, and the last barrier. */
  status(): { readonly checkpointId: number; readonly sequence: number } {
    const sequence = Math.max(0, ...this.#subtasks.map((subtask) => subtask.sequence));
    return { checkpointId: this.#barrier, sequence };
  }

  /** Why event time stands where it stands: who holds it back, and since when. */
  explainWatermark(): readonly WatermarkHold[] {
    return this.#subtasks.flatMap((subtask) => subtask.explainWatermark());
  }

  barrierId(): number {
    return this.#barrier;
  }

  demand(full: boolean): Promise<void> | undefined {
    // Behind a failure operators may be in the middle of something: no barrier may fall there.
    this.check();
    if (!this.#isStarted) return undefined;
    if (this.#under !== undefined) {
      this.#expire(this.#under);
      return full ? this.#under?.committed : undefined;
    }
    const { checkpointIntervalMs, clock } = this.#options;
    const due = clock.nowMs() - this.#lastCheckpointMs >= checkpointIntervalMs;
    if (!full && !due && this.#forced.length === 0) return undefined;
    // Every subtask is asked, since asking also ends its catching up.
    if (!this.#subtasks.map((each) => each.caughtUp()).every(Boolean)) return undefined;
    if (this.#forced.length === 0 && !this.#subtasks.some((each) => each.changed()))
      return undefined;
    this.#begin();
    return undefined;
  }

  acknowledge(subtask: string, snapshot: SubtaskSnapshot): void {
    const under = this.#under;
    if (under === undefined) return this.fail(new Error(`${subtask} took a barrier of nobody`));
    under.snapshots.set(subtask, snapshot);
    if (under.snapshots.size < this.#subtasks.length) return;
    const forced = this.#forced;
    this.#forced = [];
    void this.#completeAndTell(under, forced);
  }

  fail(error: Error): void {
    this.#failure ??= error;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const reject of waiters) reject(this.#failure);
    // A barrier that not everybody has taken will not be.
    const under = this.#under;
    if (under !== undefined && under.snapshots.size < this.#subtasks.length) {
      this.#under = undefined;
      under.resolve();
    }
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#options.checkLease?.();
  }

  async orFailure<T>(promise: Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    const { promise: failed, reject } = Promise.withResolvers<never>();
    this.#waiters.add(reject);
    try {
      return await Promise.race([promise, failed]);
    } finally {
      this.#waiters.delete(reject);
    }
  }

  async #start(): Promise<void> {
    const { store, log, job } = this.#options;
    const opened = await store.open();
    const { restored, epoch } = opened;
    if (restored !== undefined) this.#restore(opened);
    this.#barrier = opened.lastCheckpointId;
    for (const subtask of this.#subtasks) await subtask.open(restored, epoch);
    if (restored !== undefined) await this.#commit(restored.sealed);
    this.#isStarted = true;
    this.#options.onStarted?.();
    log.info("region_started", { job, epoch, ...this.status() });
  }

  #restore({ restored, lost, isFromSavepoint }: Opened): void {
    const { job, keyGroups } = this.#options;
    if (restored === undefined) return;
    if (restored.job !== job || restored.keyGroups !== keyGroups)
      throw new IncompatibleSnapshotError(
        `the snapshot is of job ${restored.job} with ${String(restored.keyGroups)} key groups, ` +
          `this is ${job} with ${String(keyGroups)}; use another checkpoint directory`,
      );
    if (lost.length > 0 && this.#subtasks.length > 1)
      throw new CorruptSnapshotError(
        `the newest checkpoint of job ${job} is damaged, and rows behind a repartition stream cannot be ` +
          "made again as they were; go on from a savepoint with courtside restore",
      );
    checkDescriptors(
      restored.descriptors,
      this.#subtasks.flatMap((subtask) => subtask.descriptors()),
      this.#options.allowNonRestoredState,
    );
    for (const subtask of this.#subtasks)
      subtask.restore(restored, lost, isFromSavepoint, this.#indexInStage(subtask.spec));
  }

  /** Barriers that do not come by within the time will not: the region goes on from the last checkpoint. */
  #expire({ id, startMs, snapshots }: Under): void {
    if (snapshots.size === this.#subtasks.length) return;
    if (this.clock.nowMs() - startMs < ALIGNMENT_LIMIT_MS) return;
    const missing = this.#subtasks.map(({ spec }) => spec.name).filter((n) => !snapshots.has(n));
    this.fail(new CheckpointExpiredError(id, missing));
    this.check();
  }

  #indexInStage({ name, stage }: SubtaskSpec<unknown>): number {
    const tasks = this.#subtasks.filter(({ spec }) => spec.stage === stage);
    return tasks.findIndex(({ spec }) => spec.name === name);
  }

  async #loops(signal: AbortSignal): Promise<void> {
    const sources = this.#subtasks.filter((subtask) => subtask.isSource);
    const behind = this.#subtasks.filter((subtask) => !subtask.isSource);
    const lastBarrier = (): number | undefined => this.#finalBarrier;
    const following = Promise.all(behind.map(async (each) => each.loop(signal, lastBarrier)));
    following.catch((error: unknown) => this.fail(asError(error)));
    await Promise.all(sources.map(async (each) => each.loop(signal, lastBarrier)));
    if (behind.length > 0) {
      await this.#settled();
      this.#begin();
      this.#finalBarrier = this.#barrier;
      await following;
    }
  }

  /** The last checkpoint, when there is anything that the one before does not have. */
  async #finish(): Promise<void> {
    await this.#settled();
    if (this.#finalBarrier !== undefined) return;
    const wanted = this.#forced.length > 0 || this.#subtasks.some((each) => each.changed());
    if (!wanted || !this.#subtasks.every((each) => each.caughtUp())) return;
    this.#begin();
    await this.#settled();
  }

  async #settled(): Promise<void> {
    if (this.#under !== undefined) await this.orFailure(this.#under.committed);
    this.check();
  }

  #begin(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const startMs = this.clock.nowMs();
    this.#lastCheckpointMs = startMs;
    this.#barrier += 1;
    this.#options.fault?.("before-barrier");
    this.#under = { id: this.#barrier, startMs, snapshots: new Map(), committed: promise, resolve };
    for (const subtask of this.#subtasks) subtask.begun();
  }

  async #completeAndTell(under: Under, forced: readonly (() => void)[]): Promise<void> {
    try {
      await this.#complete(under);
      for (const resolve of forced) resolve();
    } catch (error) {
      this.fail(asError(error));
    } finally {
      this.#under = undefined;
      under.resolve();
    }
  }

  /** Behind the barriers: stores, commits, makes visible. */
  async #complete({ id, startMs, snapshots }: Under): Promise<void> {
    const { store, job, keyGroups, fault } = this.#options;
    const parts = this.#subtasks.flatMap(({ spec }) => {
      const part = snapshots.get(spec.name);
      const { stage } = spec;
      return part === undefined ? [] : [{ stage, index: this.#indexInStage(spec), part }];
    });
    fault?.("after-barrier");
    const changed = new Map<string, Map<number, Uint8Array>>();
    for (const { stage, index, part } of parts) {
      await part.flushed;
      const groups = changed.get(stage) ?? new Map<number, Uint8Array>();
      // State of a task itself lies behind the key groups, each task's at its own place.
      for (const [keyGroup, bytes] of await part.states)
        groups.set(keyGroup < keyGroups ? keyGroup : keyGroups + index, bytes);
      changed.set(stage, groups);
    }
    fault?.("after-flush");
    this.check();
    const all = parts.map(({ part }) => part);
    const snapshot: Snapshot = {
      job,
      checkpointId: id,
      createdTimeMs: startMs,
      keyGroups,
      changed,
      positions: all.flatMap(({ positions }) => positions),
      descriptors: all.flatMap(({ descriptors }) => descriptors),
      sealed: new Map(all.flatMap(({ sealed }) => [...sealed])),
      frontiers: all.flatMap(({ frontiers }) => frontiers),
      edges: all.flatMap(({ edges }) => edges),
    };
    await store.write(snapshot);
    await this.#commit(snapshot.sealed);
    fault?.("after-commit");
    for (const subtask of this.#subtasks) await subtask.forget(id);
    const states = [...changed.values()].flatMap((groups) => Array.from(groups.values()));
    this.#options.onCheckpoint?.({
      checkpointId: id,
      pauseMs: sum(all.map(({ pauseMs }) => pauseMs)),
      durationMs: this.clock.nowMs() - startMs,
      changedKeyGroups: states.length,
      stateBytes: sum(states.map((bytes) => bytes.length)),
      rows: sum([...snapshot.sealed.values()].flat().map((block) => block.rows)),
    });
  }

  async #commit(sealed: ReadonlyMap<string, readonly SealedRows[]>): Promise<void> {
    for (const subtask of this.#subtasks) await subtask.commit(sealed);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
