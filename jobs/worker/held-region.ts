import { setTimeout as delay } from "node:timers/promises";
import { CourtsideError, errorText } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { RegionStatus } from "../../connectors/worker-group.ts";
import {
  FencedError,
  Quarantine,
  RecordError,
  type Region,
  type RegionStore,
} from "../../operators/mod.ts";
import type { CheckpointRef } from "../../proto/gen/courtside/v1/checkpoint_pb.ts";

/** Pause before a failed region starts again: doubled with every failure in a row, up to the most. */
const BACK_OFF_MIN_MS = 100;
const BACK_OFF_MAX_MS = 15_000;
/** A region that ran so long has got over what made it fail. */
const HEALTHY_AFTER_MS = 60_000;
/** Failures in a row that are neither a record's nor known to pass: a bug is not mended by trying again. */
const BUGS_MAX = 8;

export interface HeldRegionOptions {
  readonly name: string;
  readonly log: Log;
  readonly triesMax: number;
  makeStore(): RegionStore;
  makeRegion(store: RegionStore, quarantine: Quarantine, onStarted: () => void): Region;
  /** Told when it is over without having been stopped: fenced, or failed for good. */
  onEnd(error: Error): void;
}

/**
 * Keeps one region running: starts it again from its last checkpoint, later each time, until it is stopped, lost
 * to another worker, or failed in a way that the next try would share.
 */
export class HeldRegion {
  readonly #options: HeldRegionOptions;
  readonly #quarantine: Quarantine;
  readonly #stopping = new AbortController();
  #kept: Promise<void> = Promise.resolve();
  #region: Region | undefined;
  #store: RegionStore | undefined;
  #state: RegionStatus["state"] = "starting";
  #released = false;
  #failures = 0;
  #error = "";

  constructor(options: HeldRegionOptions) {
    this.#options = options;
    this.#quarantine = new Quarantine(options.triesMax);
  }

  start(): void {
    this.#kept = this.#keep();
  }

  status(): RegionStatus {
    const { checkpointId = 0, sequence = 0 } = this.#region?.status() ?? {};
    return {
      state: this.#state,
      checkpoint: checkpointId,
      sequence,
      failures: this.#failures,
      error: this.#error,
      watermarks: this.#region?.explainWatermark() ?? [],
    };
  }

  /** A last checkpoint, then the region is free for others. */
  async stop(): Promise<void> {
    this.#state = "stopping";
    this.#stopping.abort();
    await this.#kept;
    // Usually it was given back at its end; after a failure it still has to be.
    if (!this.#released) await this.#store?.release().catch(() => {});
  }

  /** @returns how the savepoint names its part; undefined when the region does not run just now. */
  async savepoint(prefix: string, stop: boolean): Promise<CheckpointRef | undefined> {
    const store = this.#store;
    if (this.#state !== "running" || this.#region === undefined || store === undefined)
      return undefined;
    try {
      await this.#region.checkpoint();
    } catch {
      // It failed meanwhile, and is asked again when it is back.
      return undefined;
    }
    if (stop) {
      await this.stop();
      // One that failed at its end may owe rows: whoever has it next inserts them, and writes the part.
      if (!this.#released) return undefined;
    }
    return store.exportTo(prefix);
  }

  /** True behind a stop. */
  isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #keep(): Promise<void> {
    const { log, name } = this.#options;
    while (!this.#stopping.signal.aborted) {
      const startedMs = performance.now();
      try {
        await this.#once();
        return;
      } catch (error) {
        if (performance.now() - startedMs > HEALTHY_AFTER_MS) this.#failures = 0;
        this.#failures += 1;
        this.#error = errorText(error);
        if (error instanceof RecordError) this.#quarantine.note(error);
        if (this.#isOver(error)) {
          if (error instanceof FencedError)
            log.info("region_lost", { region: name, reason: error.message });
          else log.error("region_ended", error, { region: name });
          return this.#options.onEnd(error instanceof Error ? error : new Error(String(error)));
        }
        const waitMs = Math.min(BACK_OFF_MIN_MS * 2 ** (this.#failures - 1), BACK_OFF_MAX_MS);
        log.error("region_failed", error, { region: name, failures: this.#failures, waitMs });
        this.#state = "waiting";
        await delay(waitMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
      }
    }
  }

  async #once(): Promise<void> {
    const store = this.#options.makeStore();
    this.#store = store;
    this.#state = "starting";
    this.#region = this.#options.makeRegion(store, this.#quarantine, () => {
      this.#state = "running";
      this.#error = "";
    });
    await this.#region.run(this.#stopping.signal);
    await store.release();
    this.#released = true;
  }

  #isOver(error: unknown): boolean {
    if (error instanceof FencedError) return true;
    if (error instanceof CourtsideError) return !error.retryable;
    return this.#failures > BUGS_MAX;
  }
}
