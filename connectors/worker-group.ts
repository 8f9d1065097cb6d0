import { hostname } from "node:os";
import { randomBytes } from "node:crypto";
import type { WatermarkHold } from "../operators/mod.ts";
import type { Bucket } from "./bucket.ts";

/** Lease of a worker when nobody says otherwise, milliseconds: a crash is noticed after it, a slow broker stays below. */
export const DEFAULT_LEASE_MS = 6000;

/** What a worker tells about itself with every beat. */
export interface WorkerState {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly startedTimeMs: number;
  /** Indices of the regions that it has. */
  readonly regions: readonly number[];
  /** By region index: how it is. */
  readonly status: Readonly<Record<string, RegionStatus>>;
}

export interface RegionStatus {
  readonly state: "starting" | "running" | "stopping" | "waiting";
  readonly checkpoint: number;
  readonly sequence: number;
  /** Failures in a row, and what the last one said. */
  readonly failures: number;
  readonly error: string;
  /** Who holds event time back, by operator. */
  readonly watermarks?: readonly WatermarkHold[];
}

/**
 * Who works on a job. Each worker renews one key; the broker drops keys that are not renewed within the lease.
 * A worker whose own renewal is older than the lease must take itself for dead: the others do.
 */
export class WorkerGroup {
  readonly id = workerId();
  readonly leaseMs: number;
  readonly #bucket: Bucket;
  readonly #job: string;
  readonly #startedTimeMs: number;
  #liveUntilMs = 0;

  constructor(bucket: Bucket, job: string, leaseMs: number, startedTimeMs: number) {
    this.#bucket = bucket;
    this.#job = job;
    this.leaseMs = leaseMs;
    this.#startedTimeMs = startedTimeMs;
  }

  /** On the monotonic clock, which a stopped process does not stop. */
  isLive(): boolean {
    return performance.now() < this.#liveUntilMs;
  }

  async beat(regions: readonly number[], status: WorkerState["status"]): Promise<void> {
    const sentMs = performance.now();
    const state: WorkerState = {
      id: this.id,
      host: hostname(),
      pid: process.pid,
      startedTimeMs: this.#startedTimeMs,
      regions,
      status,
    };
    await this.#bucket.put(`${this.#job}.${this.id}`, Buffer.from(JSON.stringify(state)));
    this.#liveUntilMs = sentMs + this.leaseMs;
  }

  async members(): Promise<readonly WorkerState[]> {
    return membersOf(this.#bucket, this.#job);
  }

  async leave(): Promise<void> {
    this.#liveUntilMs = 0;
    await this.#bucket.remove(`${this.#job}.${this.id}`);
  }
}

/** Workers whose lease has not run out, by id. */
export async function membersOf(bucket: Bucket, job: string): Promise<readonly WorkerState[]> {
  const keys = await bucket.keys(`${job}.`);
  const entries = await Promise.all(keys.map(async (key) => bucket.get(key)));
  return entries
    .flatMap((entry) =>
      entry === undefined ? [] : [JSON.parse(Buffer.from(entry.bytes).toString()) as WorkerState],
    )
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** Unique for the process, and good as a key: letters, digits, `-` and `_`. */
function workerId(): string {
  const host = hostname().replaceAll(/[^A-Za-z0-9-]/g, "-");
  return `${host}-${String(process.pid)}-${randomBytes(3).toString("hex")}`;
}
