import { toBinary } from "@bufbuild/protobuf";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { CourtsideError, errorText } from "../../base/errors.ts";
import { keyGroupRange, type KeyGroupRange } from "../../base/key-group.ts";
import type { Log } from "../../base/log.ts";
import type { Bucket } from "../../connectors/bucket.ts";
import type { WorkerGroup, WorkerState } from "../../connectors/worker-group.ts";
import {
  type BlobStore,
  type FaultPoint,
  FencedError,
  loadSavepoint,
  type Quarantine,
  readSavepoint,
  type Region,
  RegionStore,
  savepointPrefix,
} from "../../operators/mod.ts";
import { CheckpointRefSchema, type JobRecord } from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { planFor } from "./assignment.ts";
import { HeldRegion } from "./held-region.ts";
import { headKey, readJobRecord, regionName, savepointPartKey } from "./job-record.ts";

/** Beats in one lease: two may be lost. */
const BEATS_PER_LEASE = 4;
const BEAT_MS_MAX = 1000;
/** Beats for which nobody must have named a region before it is taken from a living owner. */
const FREE_BEATS = 3;

/** A region to run, as the worker hands it to the job. */
export interface RegionSeat {
  readonly index: number;
  /** Names it in stores and tokens, over all generations. */
  readonly name: string;
  readonly keyGroups: KeyGroupRange;
  readonly store: RegionStore;
  readonly quarantine: Quarantine;
  readonly allowNonRestoredState: boolean;
  readonly fault: FaultPoint;
  onStarted(): void;
  /** @throws FencedError when this worker's lease has run out. */
  checkLease(): void;
}

export interface WorkerOptions {
  readonly record: JobRecord;
  readonly jobs: Bucket;
  readonly group: WorkerGroup;
  readonly blobs: BlobStore;
  readonly log: Log;
  readonly fault: FaultPoint;
  /** Failures of one message until it is left out. */
  readonly triesMax: number;
  readonly makeRegion: (seat: RegionSeat) => Region;
  /** Told once: all regions that are this worker's share have started, or it has none. */
  readonly onReady?: () => void;
}

/**
 * Runs its share of a job's regions.
 *
 * The head of a region is its lease: it names the owner, whoever swaps it is the new one, and the old one's next
 * commit fails. A region may be taken when its owner gave it back or does not renew its key any more. All workers
 * look at who is there a few times a lease and work out the same spread; who has too many hands over, by a last
 * checkpoint.
 */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #held = new Map<number, HeldRegion>();
  readonly #exported = new Set<string>();
  readonly #freeSinceMs = new Map<number, number>();
  readonly #beatMs: number;
  #lastTickMs = performance.now();
  /** While the broker was away nobody could renew: the others get time to before anything is taken from them. */
  #takeFromMs = 0;
  #ready = false;
  #fatal: Error | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#beatMs = Math.min(BEAT_MS_MAX, options.group.leaseMs / BEATS_PER_LEASE);
  }

  /**
   * Resolves when it was told to stop, or when the job goes on otherwise: it was stopped with a savepoint, or
   * restored from one. @throws what cannot be mended by trying again.
   */
  async run(signal: AbortSignal): Promise<"told" | "superseded"> {
    const { group, log } = this.#options;
    try {
      for (;;) {
        if (signal.aborted) return "told";
        try {
          if (await this.#tick()) return "superseded";
        } catch (error) {
          if (error instanceof CourtsideError && !error.retryable) throw error;
          log.warn("worker_tick_failed", { error: errorText(error) });
        }
        if (this.#fatal !== undefined) throw this.#fatal;
        await delay(this.#beatMs, undefined, { signal }).catch(() => {});
      }
    } finally {
      await Promise.all([...this.#held.values()].map(async (held) => held.stop()));
      this.#held.clear();
      await group.leave().catch(() => {});
    }
  }

  /** One look at the job. @returns true when this generation of it is over. */
  async #tick(): Promise<boolean> {
    const { group, record, jobs } = this.#options;
    const nowMs = performance.now();
    if (nowMs - this.#lastTickMs > group.leaseMs / 2 && !group.isLive())
      this.#takeFromMs = nowMs + group.leaseMs;
    await this.#beat();
    this.#lastTickMs = performance.now();
    const latest = await readJobRecord(jobs, record.job);
    if (latest?.record.generation !== record.generation || latest.record.stopped) return true;
    const { request } = latest.record;
    if (request !== undefined) await this.#savepoint(request.name, request.stop);
    const members = (await group.members()).filter((each) => !isDeadHere(each, group.id));
    const view = members.map((each) =>
      each.id === group.id ? { ...each, regions: [...this.#held.keys()] } : each,
    );
    if (!view.some(({ id }) => id === group.id)) return false;
    const { claim, shed } = planFor(group.id, view, record.regions);
    if (shed.length > 0 && request === undefined) {
      await Promise.all(shed.map(async (index) => this.#letGo(index)));
      await this.#beat();
    }
    const alive = new Set(members.map(({ id }) => id));
    this.#noteFree(new Set(members.flatMap(({ regions }) => regions)));
    for (const index of claim) {
      if (request?.stop === true && (await this.#isWritten(request.name, index))) continue;
      // Whoever had it before may have written its part of the savepoint; this time is another.
      if (request !== undefined)
        this.#exported.delete(savepointPartKey(record.job, request.name, index));
      this.#claim(index, alive);
    }
    if (claim.length > 0) await this.#beat();
    if (claim.length === 0) this.#tellReady();
    return false;
  }

  async #beat(): Promise<void> {
    const status = Object.fromEntries(
      [...this.#held].map(([index, held]) => [String(index), held.status()]),
    );
    await this.#options.group.beat([...this.#held.keys()], status);
  }

  #claim(index: number, alive: ReadonlySet<string>): void {
    const { record, jobs, blobs, group, log, fault, triesMax, makeRegion } = this.#options;
    const { job, generation } = record;
    const name = regionName(generation, index);
    const keyGroups = keyGroupRange(record.keyGroups, record.regions, index);
    const held = new HeldRegion({
      name,
      log,
      triesMax,
      makeStore: () =>
        new RegionStore({
          blobs,
          head: jobs.head(headKey(job, generation, index)),
          job,
          region: `${job}/${name}`,
          owner: group.id,
          log,
          fault,
          admit: async () => this.#admit(index),
          mayTakeFrom: (owner) => this.#mayTake(index, alive.has(owner)),
          initial: async () =>
            record.savepoint === ""
              ? undefined
              : loadSavepoint(blobs, await readSavepoint(blobs, job, record.savepoint), keyGroups, {
                  index,
                  parallelism: record.regions,
                }),
        }),
      makeRegion: (store, quarantine, onStarted) =>
        makeRegion({
          index,
          name,
          keyGroups,
          store,
          quarantine,
          fault,
          onStarted,
          allowNonRestoredState: record.allowNonRestoredState,
          checkLease: () => {
            if (!group.isLive()) throw new FencedError(`the lease of worker ${group.id} ran out`);
          },
        }),
      onEnd: (error) => {
        this.#held.delete(index);
        if (!(error instanceof FencedError)) this.#fatal ??= error;
      },
    });
    this.#held.set(index, held);
    held.start();
  }

  /** Remembers since when nobody says to have a region. */
  #noteFree(held: ReadonlySet<number>): void {
    for (let index = 0; index < this.#options.record.regions; index += 1) {
      if (held.has(index)) this.#freeSinceMs.delete(index);
      else if (!this.#freeSinceMs.has(index)) this.#freeSinceMs.set(index, performance.now());
    }
  }

  /**
   * A region goes from an owner that is gone, or that is alive and has not said for a while to have it: it lost it
   * when its lease ran out, or could not give it back. Between its swap and its next beat lie milliseconds.
   */
  #mayTake(index: number, isAlive: boolean): boolean {
    const nowMs = performance.now();
    if (!isAlive) return nowMs > this.#takeFromMs;
    return nowMs - (this.#freeSinceMs.get(index) ?? nowMs) > FREE_BEATS * this.#beatMs;
  }

  async #letGo(index: number): Promise<void> {
    await this.#held.get(index)?.stop();
    this.#held.delete(index);
  }

  /** Writes this worker's parts of a savepoint, each once. */
  async #savepoint(name: string, stop: boolean): Promise<void> {
    const { jobs, record, log } = this.#options;
    for (const [index, held] of this.#held) {
      const part = savepointPartKey(record.job, name, index);
      if (this.#exported.has(part)) continue;
      const ref = await held.savepoint(savepointPrefix(record.job, name), stop);
      if (ref !== undefined) await jobs.put(part, toBinary(CheckpointRefSchema, ref));
      if (held.isStopped()) this.#held.delete(index);
      if (ref === undefined) continue;
      this.#exported.add(part);
      log.info("savepoint_part", { savepoint: name, region: index });
      await this.#beat();
    }
  }

  /**
   * Asked when a region's head is ours already, so that nobody can be between the two looks: the one who stops the
   * job reads the parts first and the heads behind them.
   * @throws FencedError when the region has ended with a savepoint, or this generation of the job has.
   */
  async #admit(index: number): Promise<void> {
    const { jobs, record } = this.#options;
    const now = (await readJobRecord(jobs, record.job))?.record;
    if (now?.generation !== record.generation || now.stopped)
      throw new FencedError(`job ${record.job} has ended its generation ${record.generation}`);
    const { request } = now;
    if (request?.stop === true && (await this.#isWritten(request.name, index)))
      throw new FencedError(`region ${String(index)} has ended with savepoint ${request.name}`);
  }

  /** True when a region's part of a savepoint is there: with a stop, it is not to run any more. */
  async #isWritten(name: string, index: number): Promise<boolean> {
    const { jobs, record } = this.#options;
    return (await jobs.get(savepointPartKey(record.job, name, index))) !== undefined;
  }

  #tellReady(): void {
    const { onReady } = this.#options;
    if (this.#ready) return;
    if (![...this.#held.values()].every((held) => held.status().state === "running")) return;
    this.#ready = true;
    onReady?.();
  }
}

/** True for a worker of this machine whose process is gone: nobody has to wait for its lease. */
function isDeadHere({ id, host, pid }: WorkerState, me: string): boolean {
  if (host !== hostname() || id === me) return false;
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
