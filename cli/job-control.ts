import { UsageError } from "../base/errors.ts";
import { WORKERS_BUCKET } from "../proto/subjects.ts";
import { Bucket } from "../connectors/bucket.ts";
import { membersOf, type WorkerState } from "../connectors/worker-group.ts";
import { openNats } from "../jobs/nats.ts";
import { type JobRecordRevision, readJobRecord } from "../jobs/worker/job-record.ts";
import { latestDataDir } from "../local/data-dir.ts";
import { readRunFile } from "../local/run-file.ts";
import type { CommandContext } from "./command.ts";
import { textFlag } from "./flags.ts";
import { JOB_STORE_OPTIONS, type JobStores, openJobStores } from "./job-stores.ts";

const DEFAULT_NATS_URL = "nats://127.0.0.1:4222";
const CONNECT_WAIT_MS = 2000;

/** Flags of the commands that look at jobs or steer them. */
export const JOB_CONTROL_OPTIONS = {
  "nats-url": { type: "string" },
  data: { type: "string" },
  checkpoints: JOB_STORE_OPTIONS.checkpoints,
  json: { type: "boolean" },
} as const;

export const JOB_CONTROL_HELP = `  --data DIR         data directory of the run (default: the one that was used last)
  --nats-url URL     broker of the job (default: the one of the data directory)
  --checkpoints URL  where the job keeps its checkpoints, if not in the data directory
  --json             one JSON object`;

/** A job from outside its workers. */
export interface JobControl extends JobStores {
  readonly members: (job: string) => Promise<readonly WorkerState[]>;
  /** @throws UsageError when nobody has ever started it on this broker. */
  readonly record: (job: string) => Promise<JobRecordRevision>;
}

/** Opens what the flags name, and closes it behind `use`. */
export async function withJobControl<T>(
  { values }: Pick<CommandContext, "values">,
  use: (control: JobControl) => Promise<T>,
): Promise<T> {
  const data =
    textFlag(values, "data") ??
    (textFlag(values, "nats-url") === undefined ? await latestDataDir() : undefined) ??
    JOB_STORE_OPTIONS.data.default;
  const url =
    textFlag(values, "nats-url") ?? (await readRunFile(data))?.urls.nats ?? DEFAULT_NATS_URL;
  const nats = await openNats(url, { name: "courtside-control", waitMs: CONNECT_WAIT_MS });
  try {
    const stores = await openJobStores(nats, { ...values, data });
    const workers = await Bucket.open(nats, WORKERS_BUCKET);
    return await use({
      ...stores,
      members: async (job) => membersOf(workers, job),
      record: async (job) => {
        const found = await readJobRecord(stores.jobs, job);
        if (found === undefined)
          throw new UsageError(
            `the broker at ${url} knows no job ${job}; courtside run ${job} starts it`,
          );
        return found;
      },
    });
  } finally {
    await nats.close();
  }
}

/** The one word behind a command, with its default. */
export function jobName(positionals: readonly string[], at: number, usage: string): string {
  if (positionals.length > at + 1) throw new UsageError(usage);
  return positionals[at] ?? "insight";
}

/** `2026-11-25 02:03:04` */
export function timeText(timeMs: bigint | number): string {
  return new Date(Number(timeMs)).toISOString().slice(0, 19).replace("T", " ");
}
