import { deserialize, serialize } from "node:v8";
import { setTimeout as sleep } from "node:timers/promises";
import { type Clock, systemClock } from "../base/clock.ts";
import { keyGroupRange } from "../base/key-group.ts";
import { silentLog } from "../base/log.ts";
import { noTracing } from "../base/tracing.ts";
import {
  JobGraph,
  loadSavepoint,
  readSavepoint,
  Region,
  RegionStore,
  savepointPrefix,
  type Stream,
  type TransactionalSink,
  writeSavepoint,
} from "../operators/mod.ts";
import { MemoryBlobs, MemoryHead } from "./memory-blobs.ts";
import type { MemoryLog } from "./memory-log.ts";

/** A result that a checkpoint has made visible. */
export interface Committed<O> {
  readonly value: O;
  /** Index of the task that made it. */
  readonly task: number;
}

/** What happened so far, for a test that wants to fail the job at a certain moment. */
export interface Progress {
  /** How far the furthest task has read the log. */
  readonly readSequence: number;
  /** What the checkpoints of all tasks with input cover at the least. */
  readonly coveredSequence: number;
}

/** A job and its input. */
export interface MiniRunnerOptions<I, O> {
  readonly log: MemoryLog<I>;
  /** Builds the job; called for each task. `task` is its index. */
  define(source: Stream<I>, task: number): Stream<O>;
  /** True when the log's records carry their event time. */
  readonly sourceHasTime?: boolean;
  readonly checkpointIntervalMs?: number;
  readonly clock?: Clock;
  /** True at the moment at which all tasks are to crash; asked before every read. */
  crashWhen?(progress: Progress): boolean;
  /** True while a task is to read nothing, so that checkpoints can catch up; asked before every read. */
  holdWhen?(progress: Progress): boolean;
}

/** A crash that the test asked for. */
class InjectedCrash extends Error {}

const JOB = "mini";
/** Restarts behind which something other than the test's own crash must be wrong. */
const RESTARTS_MAX = 100;
/** A job of a test that has not read its input by then never will. */
const SETTLE_LIMIT_MS = 30_000;

interface RunningTask {
  readonly region: Region;
  readonly store: RegionStore;
  readonly source: { readonly caughtUp: boolean };
  readonly stop: AbortController;
  readonly ended: Promise<Error | undefined>;
}

/**
 * Runs a job over a log in memory with everything else as it is in production: tasks over ranges of key groups,
 * checkpoints, crashes, savepoints, another parallelism. A crash destroys all instances; the next ones start
 * from what the checkpoints have written.
 */
export class MiniRunner<I, O> {
  readonly #options: MiniRunnerOptions<I, O>;
  readonly #blobs = new MemoryBlobs();
  readonly #tokens = new Set<string>();
  readonly #committed: Committed<O>[] = [];
  #heads: MemoryHead[] = [];
  #generation = 0;
  #savepoint: string | undefined;
  #tasks: RunningTask[] = [];
  #covered: number[] = [];
  restarts = 0;

  constructor(options: MiniRunnerOptions<I, O>) {
    this.#options = options;
  }

  /** Everything that is visible so far. */
  get committed(): readonly Committed<O>[] {
    return this.#committed;
  }

  /** Runs until the log, which must be closed, is read and flushed; restarts tasks that crash. */
  async runToEnd(parallelism: number, savepoint?: string): Promise<void> {
    this.#newGeneration(parallelism, savepoint);
    for (; this.restarts < RESTARTS_MAX; this.restarts += 1) {
      this.#start(parallelism);
      const errors = await Promise.all(this.#tasks.map(async ({ ended }) => ended));
      const failure = errors.find((error) => error !== undefined);
      if (failure === undefined) return;
      if (!errors.some((error) => error instanceof InjectedCrash)) throw failure;
    }
    throw new Error(`the job crashed ${String(RESTARTS_MAX)} times`);
  }

  /** Runs until everything in the log is read, lets `meanwhile` happen, and stops with a savepoint. */
  async runToSavepoint(
    parallelism: number,
    name: string,
    { from, meanwhile }: { readonly from?: string; readonly meanwhile?: () => void } = {},
  ): Promise<void> {
    this.#newGeneration(parallelism, from);
    this.#start(parallelism);
    const failed = this.#end();
    await Promise.race([failed, this.#caughtUp()]);
    meanwhile?.();
    await Promise.race([failed, this.#turns()]);
    await Promise.all(this.#tasks.map(async ({ region }) => region.checkpoint()));
    for (const { stop } of this.#tasks) stop.abort();
    await failed;
    await this.#writeSavepoint(name);
  }

  #newGeneration(parallelism: number, savepoint: string | undefined): void {
    this.#generation += 1;
    this.#savepoint = savepoint;
    this.#heads = Array.from({ length: parallelism }, () => new MemoryHead());
    const { log } = this.#options;
    this.#covered = Array.from({ length: parallelism }, (_each, index) =>
      log.hasRecords(keyGroupRange(log.keyGroups, parallelism, index)) ? 0 : Infinity,
    );
  }

  #start(parallelism: number): void {
    this.#tasks = [];
    for (let index = 0; index < parallelism; index += 1)
      this.#tasks.push(this.#startTask(index, parallelism));
  }

  #startTask(index: number, parallelism: number): RunningTask {
    const { log, clock = systemClock, checkpointIntervalMs = 100 } = this.#options;
    const { keyGroups } = log;
    const range = keyGroupRange(keyGroups, parallelism, index);
    const sourceHasTime = this.#options.sourceHasTime === true;
    const graph = new JobGraph<I>(JOB, { keyGroups, sourceHasTime });
    this.#options.define(graph.source, index).sinkTo(this.#sink(index));
    const source = log.source(range, (sequence) => this.#mayRead(sequence));
    const region = `${JOB}/${String(this.#generation)}.${String(index)}`;
    const savepoint = this.#savepoint;
    const store = new RegionStore({
      blobs: this.#blobs,
      head: this.#heads[index] ?? new MemoryHead(),
      job: JOB,
      region,
      owner: "mini-runner",
      log: silentLog,
      initial: async () =>
        savepoint === undefined
          ? undefined
          : loadSavepoint(this.#blobs, await readSavepoint(this.#blobs, JOB, savepoint), range, {
              index,
              parallelism,
            }),
    });
    const running = new Region({
      job: JOB,
      keyGroups,
      subtasks: [{ name: `task-${String(index)}`, stage: "", graph, source, keyGroups: range }],
      store,
      clock,
      tracing: noTracing,
      log: silentLog,
      checkpointIntervalMs,
      onCheckpoint: () => {
        this.#covered[index] = source.barrierSequence;
      },
    });
    const stop = new AbortController();
    const ended = running.run(stop.signal).then(
      () => undefined,
      (error: unknown) => {
        // A crash takes all tasks with it: none of them may save anything more.
        const failure = error instanceof Error ? error : new Error(String(error));
        for (const task of this.#tasks) task.region.fail(failure);
        return failure;
      },
    );
    return { region: running, store, source, stop, ended };
  }

  /** @throws InjectedCrash when the test wants one now. */
  #mayRead(readSequence: number): boolean {
    const progress = { readSequence, coveredSequence: Math.min(...this.#covered) };
    if (this.#options.crashWhen?.(progress) === true)
      throw new InjectedCrash("the test crashes the job");
    return this.#options.holdWhen?.(progress) !== true;
  }

  async #end(): Promise<void> {
    const errors = await Promise.all(this.#tasks.map(async ({ ended }) => ended));
    const failure = errors.find((error) => error !== undefined);
    if (failure !== undefined) throw failure;
  }

  async #caughtUp(): Promise<void> {
    const untilMs = performance.now() + SETTLE_LIMIT_MS;
    while (!this.#tasks.every(({ source }) => source.caughtUp)) {
      if (performance.now() > untilMs)
        throw new Error("the tasks do not come to the end of the log");
      await sleep(1);
    }
    await this.#turns();
  }

  /** A read hands records out before they are processed: two more reads, and they are. */
  async #turns(): Promise<void> {
    await sleep(20);
  }

  async #writeSavepoint(name: string): Promise<void> {
    const prefix = savepointPrefix(JOB, name);
    const regions = [];
    for (const { store } of this.#tasks) regions.push(await store.exportTo(prefix));
    await writeSavepoint(this.#blobs, {
      job: JOB,
      name,
      createdTimeMs: 0n,
      generation: this.#generation,
      keyGroups: this.#options.log.keyGroups,
      regions,
    });
  }

  /** Commits with checkpoints, and each block once, however often it is asked to. */
  #sink(task: number): TransactionalSink<O> {
    let open: O[] = [];
    return {
      mode: "transactional",
      uid: "collected",
      open: () => Promise.resolve(),
      write: (value) => void open.push(value),
      full: () => false,
      seal: (checkpointId) => {
        if (open.length === 0) return [];
        const token = `${String(this.#generation)}/${String(task)}/${String(checkpointId)}`;
        const block = { table: "collected", token, rows: open.length, bytes: serialize(open) };
        open = [];
        return [block];
      },
      commit: (blocks) => {
        for (const { token, bytes } of blocks) {
          if (this.#tokens.has(token)) continue;
          this.#tokens.add(token);
          for (const value of deserialize(bytes) as O[]) this.#committed.push({ value, task });
        }
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
  }
}
