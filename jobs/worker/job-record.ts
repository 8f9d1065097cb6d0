import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DEFAULT_KEY_GROUPS } from "../../base/key-group.ts";
import { setTimeout as delay } from "node:timers/promises";
import { UsageError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Bucket } from "../../connectors/bucket.ts";
import {
  type CheckpointHead,
  type JobRecord,
  JobRecordSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { decodeHead, FencedError } from "../../operators/mod.ts";

const STOPPED_POLL_MS = 500;

/** What the workers of a job agree on, with the revision for the next change. */
export interface JobRecordRevision {
  readonly record: JobRecord;
  readonly revision: number;
}

const key = (job: string): string => `${job}.record`;

/** Key of a region's head; a new generation has new ones. */
export function headKey(job: string, generation: number, region: number): string {
  return `${job}.head.${String(generation)}.${String(region)}`;
}

/** Key under which a region tells that its part of a savepoint is written. */
export function savepointPartKey(job: string, name: string, region: number): string {
  return `${job}.savepoint.${name}.${String(region)}`;
}

/** Name of a region in stores and tokens. */
export function regionName(generation: number, region: number): string {
  return `g${String(generation)}-${String(region)}`;
}

export async function readJobRecord(
  jobs: Bucket,
  job: string,
): Promise<JobRecordRevision | undefined> {
  const entry = await jobs.get(key(job));
  return entry === undefined
    ? undefined
    : { record: fromBinary(JobRecordSchema, entry.bytes), revision: entry.revision };
}

/** @throws FencedError when somebody else changed it since it was read. */
export async function writeJobRecord(
  jobs: Bucket,
  record: JobRecord,
  revision: number,
): Promise<void> {
  await jobs.swap(key(record.job), revision, toBinary(JobRecordSchema, record));
}

/**
 * The record of a job, made when this is its first start.
 * @param regions - wanted number; undefined takes what is there, or `defaultRegions`.
 * @throws UsageError when the job runs with another number.
 */
export async function ensureJobRecord(
  jobs: Bucket,
  job: string,
  regions: number | undefined,
  defaultRegions: number,
): Promise<JobRecord> {
  for (;;) {
    const found = await readJobRecord(jobs, job);
    if (found !== undefined) {
      const { record } = found;
      if (regions !== undefined && regions !== record.regions)
        throw new UsageError(
          `job ${job} runs in ${String(record.regions)} regions, not ${String(regions)}; to change that: ` +
            `courtside savepoint stop ${job}, then courtside restore ${job} --savepoint NAME ` +
            `--regions ${String(regions)}`,
        );
      return record;
    }
    const record = create(JobRecordSchema, {
      job,
      generation: 1,
      regions: regions ?? defaultRegions,
      keyGroups: DEFAULT_KEY_GROUPS,
    });
    try {
      await writeJobRecord(jobs, record, 0);
      return record;
    } catch (error) {
      // Another worker was first: take its record.
      if (!(error instanceof FencedError)) throw error;
    }
  }
}

/** Waits while the job is stopped: somebody has to say where it goes on. @returns its record then. */
export async function untilGoing(
  jobs: Bucket,
  record: JobRecord,
  log: Log,
  signal: AbortSignal,
): Promise<JobRecord> {
  let now = record;
  if (now.stopped)
    log.warn("job_stopped", {
      job: now.job,
      next: `courtside restore ${now.job} --savepoint NAME`,
    });
  while (now.stopped && !signal.aborted) {
    await delay(STOPPED_POLL_MS, undefined, { signal }).catch(() => {});
    const found = await readJobRecord(jobs, now.job).catch(() => undefined);
    now = found?.record ?? now;
  }
  return now;
}

/** Heads of all regions that have one, by index. */
export async function readHeads(
  jobs: Bucket,
  { job, generation, regions }: JobRecord,
): Promise<ReadonlyMap<number, CheckpointHead>> {
  const heads = new Map<number, CheckpointHead>();
  for (let index = 0; index < regions; index += 1) {
    const entry = await jobs.get(headKey(job, generation, index));
    if (entry !== undefined) heads.set(index, decodeHead(entry.bytes));
  }
  return heads;
}
