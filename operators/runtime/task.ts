import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Tracing } from "../../base/tracing.ts";
import type { SnapshotStore } from "../checkpoint/snapshot.ts";
import type { JobGraph } from "./graph.ts";
import { type CheckpointReport, Region } from "./region.ts";
import type { Source } from "./source.ts";

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

/** Runs a job's chain over all its key groups, in this process: the region of one task. */
export class Task<I> {
  readonly #region: Region;

  constructor({ graph, source, ...options }: TaskOptions<I>) {
    const keyGroups = { first: 0, last: graph.keyGroups - 1 };
    this.#region = new Region({
      ...options,
      job: graph.name,
      keyGroups: graph.keyGroups,
      subtasks: [{ name: "task", stage: "", graph, source, keyGroups }],
    });
  }

  /** Resolves after a graceful stop or at the end of a bounded source. @throws whatever made the task fail. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#region.run(signal);
  }
}
