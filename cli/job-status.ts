import { decodeHead, MIN_TIME_MS } from "../operators/mod.ts";
import { headKey, type JobRecordRevision } from "../jobs/worker/job-record.ts";
import { keyGroupRange } from "../base/key-group.ts";
import type { CommandContext } from "./command.ts";
import { count, table } from "./io.ts";
import { type JobControl, timeText, withJobControl } from "./job-control.ts";

/** One region as `courtside jobs` shows it. */
interface RegionRow {
  readonly region: number;
  readonly key_groups: string;
  readonly worker: string;
  readonly state: string;
  readonly epoch: number;
  readonly checkpoint: number;
  readonly checkpoint_time: string;
  readonly sequence: number;
  readonly state_bytes: number;
  readonly failures: number;
  readonly error: string;
}

/** Prints who has which regions of a job, and how far each is. */
export async function showJobStatus(context: CommandContext, job: string): Promise<number> {
  return withJobControl(context, async (control) => {
    const status = await jobStatus(control, job);
    const { generation, savepoint, stopped, regions } = status;
    const state = stopped ? "stopped with a savepoint" : "";
    if (context.values["json"] === true) {
      context.stdout(`${JSON.stringify(status)}\n`);
      return 0;
    }
    context.stdout(
      `job ${job}, generation ${String(generation)}` +
        (savepoint === "" ? "" : `, from savepoint ${savepoint}`) +
        (state === "" ? "" : `, ${state}`) +
        `\n\n${statusTable(regions)}`,
    );
    if (context.values["watermarks"] === true) context.stdout(`\n${watermarkTable(status)}`);
    return 0;
  });
}

/** What `courtside jobs --json` prints. */
export interface JobStatus {
  readonly job: string;
  readonly generation: number;
  readonly key_groups: number;
  readonly stopped: boolean;
  readonly savepoint: string;
  readonly workers: Awaited<ReturnType<JobControl["members"]>>;
  readonly regions: readonly RegionRow[];
}

/** Who has which regions of a job, and how far each is. */
export async function jobStatus(control: JobControl, job: string): Promise<JobStatus> {
  const found = await control.record(job);
  const regions = await regionRows(control, job, found);
  const workers = await control.members(job);
  const { generation, keyGroups: key_groups, stopped, savepoint } = found.record;
  return { job, generation, key_groups, stopped, savepoint, workers, regions };
}

async function regionRows(
  { jobs, members }: JobControl,
  job: string,
  { record }: JobRecordRevision,
): Promise<RegionRow[]> {
  const workers = await members(job);
  const rows: RegionRow[] = [];
  for (let region = 0; region < record.regions; region += 1) {
    const entry = await jobs.get(headKey(job, record.generation, region));
    const head = entry === undefined ? undefined : decodeHead(entry.bytes);
    const newest = head?.checkpoints.at(-1);
    const worker = workers.find(({ regions }) => regions.includes(region));
    const status = worker?.status[String(region)];
    const { first, last } = keyGroupRange(record.keyGroups, record.regions, region);
    rows.push({
      region,
      key_groups: `${String(first)}-${String(last)}`,
      worker: worker?.id ?? "",
      state: status?.state ?? "free",
      epoch: Number(head?.epoch ?? 0n),
      checkpoint: Number(newest?.checkpointId ?? 0n),
      checkpoint_time: newest === undefined ? "" : timeText(newest.createdTimeMs),
      sequence: status?.sequence ?? Number(newest?.sequence ?? 0n),
      state_bytes: Number(newest?.stateBytes ?? 0n),
      failures: status?.failures ?? 0,
      error: status?.error ?? "",
    });
  }
  return rows;
}

/** Why event time stands where it stands, by region and operator. */
export function watermarkTable({ workers }: Pick<JobStatus, "workers">): string {
  const rows = workers.flatMap(({ status }) =>
    Object.entries(status).flatMap(([region, { watermarks = [] }]) =>
      watermarks.map((hold) => [
        region,
        hold.uid,
        hold.watermarkMs === MIN_TIME_MS ? "none yet" : String(hold.watermarkMs),
        hold.heldBy.length === 0 ? "nobody" : hold.heldBy.join(", "),
        new Date(hold.sinceMs).toISOString(),
        hold.idle.join(", "),
        hold.paused.join(", "),
      ]),
    ),
  );
  const header = [
    "region",
    "operator",
    "watermark",
    "held back by",
    "since (UTC)",
    "idle",
    "paused",
  ];
  return table(header, rows);
}

function statusTable(regions: readonly RegionRow[]): string {
  const header = ["region", "key groups", "worker", "state", "epoch", "checkpoint", "at (UTC)"];
  return table(
    [...header, "message", "state bytes", "failures"],
    regions.map((row) => [
      String(row.region),
      row.key_groups,
      row.worker === "" ? "nobody" : row.worker,
      row.error === "" ? row.state : `${row.state}: ${row.error}`,
      String(row.epoch),
      String(row.checkpoint),
      row.checkpoint_time,
      String(row.sequence),
      count(row.state_bytes),
      String(row.failures),
    ]),
  );
}
