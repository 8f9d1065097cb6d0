import { type Clock, delay } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Tracing } from "../../base/tracing.ts";
import type { SourcePosition } from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { RestoredSnapshot, Snapshot, SnapshotStore } from "../checkpoint/snapshot.ts";
import {
  checkDescriptors,
  descriptorsOf,
  encodeKeyGroup,
  IncompatibleSnapshotError,
  restoreKeyGroups,
} from "./chain-state.ts";
import type { Origin } from "./element.ts";
import { buildChain, type Chain, type JobGraph } from "./graph.ts";
import type { OperatorContext } from "./operator.ts";
import type { SealedRows, TransactionalSink } from "./sink.ts";
import type { Source, SourceRecord } from "./source.ts";

/** Messages taken from the source at once: enough to fill calls and frames, few enough to stay responsive. */
const POLL_RECORDS = 256;
/** Longest wait for input: bounds how late a checkpoint or a stop can be on an idle stream. */
const POLL_WAIT_MS = 100;
/** How long a graceful stop waits for answers that are under way; what is left is in the snapshot. */
const DRAIN_LIMIT_MS = 5000;
const DRAIN_STEP_MS = 5;

/** What a task needs: the job, its input, and where its snapshots go. */
export interface TaskOptions<I> {
  readonly graph: JobGraph<I>;
  readonly source: Source<I>;
  readonly store: SnapshotStore;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Log;
  /** Time between checkpoints. */
  readonly checkpointIntervalMs: number;
  /** Told once, when state is restored, sinks are open and the source is read. */
  readonly onStarted?: () => void;
  /** Told after every committed checkpoint. */
  onCheckpoint?(report: CheckpointReport): void;
}

/** Figures of one committed checkpoint. */
export interface CheckpointReport {
  readonly checkpointId: number;
  /** How long the task stood still. */
  readonly pauseMs: number;
  /** From the barrier to the last sink's commit. */
  readonly durationMs: number;
  readonly changedKeyGroups: number;
  readonly stateBytes: number;
  readonly rows: number;
}

const NO_ORIGIN: Origin = { keyGroup: -1, sequence: 0, traceparent: "", outputs: 0 };

/**
 * Runs a job's chain over a set of key groups: pull, process, checkpoint.
 *
 * States: restoring → running → draining → closed. It leaves `running` when it is told to stop, when a
 * bounded source has ended, or when anything fails; in the last case nothing is saved and the next start
 * goes on from the last checkpoint. At most one checkpoint is under way: the next barrier waits until the
 * sinks have committed, so a slow store slows the pull and never grows memory.
 */
export class Task<I> {
  readonly #options: TaskOptions<I>;
  readonly #context: OperatorContext;
  readonly #chain: Chain<I>;
  readonly #dirty = new Set<number>();
  #epoch = 1;
  #checkpointId = 0;
  #sequence = 0;
  #snapshotSequence = 0;
  #lastCheckpointMs: number;
  #checkpoint: Promise<void> | undefined;
  #failure: Error | undefined;
  #wakeOnFailure: (() => void) | undefined;

  constructor(options: TaskOptions<I>) {
    this.#options = options;
    const { graph, clock, tracing } = options;
    this.#context = {
      job: graph.name,
      keyGroups: graph.keyGroups,
      clock,
      tracing,
      origin: NO_ORIGIN,
      markDirty: (keyGroup) => void this.#dirty.add(keyGroup),
      fail: (error) => this.#fail(error),
    };
    this.#chain = buildChain(graph, this.#context);
    this.#lastCheckpointMs = clock.nowMs();
  }

  /** Resolves after a graceful stop or at the end of a bounded source. @throws whatever made the task fail. */
  async run(signal: AbortSignal): Promise<void> {
    const { source, graph } = this.#options;
    try {
      await this.#start();
      await this.#loop(signal);
      await this.#finish();
    } finally {
      // Nothing of a task may write behind its end: the next one starts from what it finds.
      await this.#checkpoint;
      await source.close();
      for (const sink of graph.sinks.values()) await sink.close();
    }
  }

  async #start(): Promise<void> {
    const { graph, source, store, log } = this.#options;
    const restored = await store.latest();
    if (restored !== undefined) this.#restore(restored);
    for (const sink of graph.sinks.values())
      await (sink.mode === "immediate" ? sink.open(this.#epoch) : sink.open());
    if (restored !== undefined) await this.#commit(restored.sealed);
    await source.open(restored?.positions[0]);
    for (const operator of this.#chain.operators) operator.resume?.();
    this.#options.onStarted?.();
    log.info("task_started", {
      job: graph.name,
      epoch: this.#epoch,
      checkpoint: this.#checkpointId,
      sequence: this.#sequence,
    });
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    while (!signal.aborted && !(source.ended() && !this.#busy())) {
      this.#throwFailure();
      const records = await this.#orFailure(source.poll(POLL_RECORDS, POLL_WAIT_MS));
      for (const record of records) {
        this.#process(record);
        await this.#untilUnblocked();
        await this.#checkpointIfDue();
      }
      for (const operator of this.#chain.operators) operator.flush?.();
      await this.#checkpointIfDue();
    }
  }

  #process({ value, keyGroup, sequence, traceparent }: SourceRecord<I>): void {
    const { tracing } = this.#options;
    this.#context.origin = { keyGroup, sequence, traceparent, outputs: 0 };
    const span =
      traceparent === ""
        ? undefined
        : tracing.start("insight.process", {
            kind: "consumer",
            parent: traceparent,
            attributes: { "courtside.key_group": keyGroup, "courtside.sequence": sequence },
          });
    this.#chain.head.record(value, 0);
    this.#sequence = sequence;
    span?.end();
  }

  /** Waits while an operator cannot take more; what it held back to send together is sent first. */
  async #untilUnblocked(): Promise<void> {
    for (const operator of this.#chain.operators) {
      for (let wait = operator.blocked?.(); wait !== undefined; wait = operator.blocked?.()) {
        for (const each of this.#chain.operators) each.flush?.();
        await this.#orFailure(wait);
      }
    }
  }

  async #checkpointIfDue(): Promise<void> {
    const { clock, checkpointIntervalMs } = this.#options;
    const due = clock.nowMs() - this.#lastCheckpointMs >= checkpointIntervalMs;
    const full = this.#transactionalSinks().some((sink) => sink.full());
    if (!due && !full) return;
    if (this.#checkpoint !== undefined) {
      if (!full) return;
      await this.#orFailure(this.#checkpoint);
    }
    if (this.#dirty.size === 0 && this.#sequence === this.#snapshotSequence) return;
    this.#beginCheckpoint();
  }

  /** The barrier: takes the snapshot in this turn of the event loop, stores and commits it behind. */
  #beginCheckpoint(): void {
    const { graph, clock, store } = this.#options;
    const startMs = clock.nowMs();
    this.#lastCheckpointMs = startMs;
    this.#checkpointId += 1;
    const snapshot = this.#snapshot(startMs);
    this.#snapshotSequence = this.#sequence;
    const flushed = [...graph.sinks.values()].map(async (sink) =>
      sink.mode === "immediate" ? sink.flush() : undefined,
    );
    const pauseMs = clock.nowMs() - startMs;
    const finish = async (): Promise<void> => {
      await Promise.all(flushed);
      await store.write(snapshot);
      await this.#commit(snapshot.sealed);
      this.#options.onCheckpoint?.({
        checkpointId: snapshot.checkpointId,
        pauseMs,
        durationMs: clock.nowMs() - startMs,
        changedKeyGroups: snapshot.changed.size,
        stateBytes: sum([...snapshot.changed.values()].map((bytes) => bytes.length)),
        rows: sum([...snapshot.sealed.values()].flat().map((block) => block.rows)),
      });
    };
    this.#checkpoint = finish()
      .catch((error: unknown) =>
        this.#fail(error instanceof Error ? error : new Error("checkpoint")),
      )
      .finally(() => {
        this.#checkpoint = undefined;
      });
  }

  #snapshot(createdTimeMs: number): Snapshot {
    const { graph, source } = this.#options;
    const changed = new Map<number, Uint8Array>();
    for (const keyGroup of this.#dirty)
      changed.set(keyGroup, encodeKeyGroup(this.#chain.operators, keyGroup));
    this.#dirty.clear();
    const sealed = new Map<string, readonly SealedRows[]>();
    for (const sink of this.#transactionalSinks())
      sealed.set(sink.uid, sink.seal(this.#checkpointId));
    const positions: SourcePosition[] = [source.positionAt(this.#sequence)];
    return {
      job: graph.name,
      checkpointId: this.#checkpointId,
      epoch: this.#epoch,
      createdTimeMs,
      keyGroups: graph.keyGroups,
      positions,
      changed,
      descriptors: descriptorsOf(this.#chain.operators),
      sealed,
    };
  }

  #restore(restored: RestoredSnapshot): void {
    const { graph } = this.#options;
    if (restored.job !== graph.name || restored.keyGroups !== graph.keyGroups)
      throw new IncompatibleSnapshotError(
        `the snapshot is of job ${restored.job} with ${String(restored.keyGroups)} key groups, ` +
          `this is ${graph.name} with ${String(graph.keyGroups)}; use another checkpoint directory`,
      );
    checkDescriptors(restored.descriptors, descriptorsOf(this.#chain.operators));
    restoreKeyGroups(this.#chain.operators, restored.states);
    this.#epoch = restored.epoch + 1;
    this.#checkpointId = restored.checkpointId;
    this.#sequence = Number(restored.positions[0]?.sequence ?? 0n);
    this.#snapshotSequence = this.#sequence;
  }

  async #commit(sealed: ReadonlyMap<string, readonly SealedRows[]>): Promise<void> {
    for (const sink of this.#transactionalSinks()) {
      const blocks = sealed.get(sink.uid) ?? [];
      if (blocks.length > 0) await sink.commit(blocks);
    }
  }

  /** Lets answers that are under way arrive, then takes a last checkpoint. */
  async #finish(): Promise<void> {
    const { clock } = this.#options;
    for (const operator of this.#chain.operators) operator.flush?.();
    const untilMs = clock.nowMs() + DRAIN_LIMIT_MS;
    while (this.#busy() && clock.nowMs() < untilMs) await this.#orFailure(delay(DRAIN_STEP_MS));
    this.#throwFailure();
    if (this.#checkpoint !== undefined) await this.#orFailure(this.#checkpoint);
    if (this.#dirty.size > 0 || this.#sequence !== this.#snapshotSequence) {
      this.#beginCheckpoint();
      if (this.#checkpoint !== undefined) await this.#orFailure(this.#checkpoint);
    }
    this.#throwFailure();
  }

  #transactionalSinks(): TransactionalSink<unknown>[] {
    return [...this.#options.graph.sinks.values()].filter((sink) => sink.mode === "transactional");
  }

  #busy(): boolean {
    return this.#chain.operators.some((operator) => operator.busy?.() === true);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wakeOnFailure?.();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Waits for the promise, but not beyond a failure of the task. */
  async #orFailure<T>(promise: Promise<T>): Promise<T> {
    const failed = new Promise<never>((_resolve, reject) => {
      this.#wakeOnFailure = () => reject(this.#failure ?? new Error("task failed"));
    });
    this.#throwFailure();
    return Promise.race([promise, failed]);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
