import { setTimeout as delay } from "node:timers/promises";
import { create, fromBinary } from "@bufbuild/protobuf";
import { CourtsideError, UsageError } from "../../base/errors.ts";
import {
  readHeads,
  readJobRecord,
  savepointPartKey,
  writeJobRecord,
} from "../../jobs/worker/job-record.ts";
import {
  deleteSavepoint,
  listSavepoints,
  readSavepoint,
  savepointParts,
  writeSavepoint,
} from "../../operators/mod.ts";
import {
  type CheckpointRef,
  CheckpointRefSchema,
  type JobRecord,
  SavepointRequestSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { Command, CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";
import { count, table } from "../io.ts";
import {
  JOB_CONTROL_HELP,
  JOB_CONTROL_OPTIONS,
  type JobControl,
  jobName,
  timeText,
  withJobControl,
} from "../job-control.ts";
import { savepointDetails } from "../savepoint-details.ts";

const POLL_MS = 100;
const TIMEOUT_S = { min: 1, max: 86_400 };
/** Letters that are good in a key and a file name. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Not every region wrote its part in time. */
export class SavepointTimeoutError extends CourtsideError {
  override readonly code = "SAVEPOINT_TIMEOUT";
  override readonly retryable = true;
}

export const command: Command = {
  name: "savepoint",
  summary: "Take, list, describe or delete savepoints; stop a job with one",
  help: `courtside savepoint take insight
courtside savepoint stop insight --name before-upgrade
courtside savepoint list
courtside savepoint describe before-upgrade
courtside savepoint delete before-upgrade

A savepoint is all state of a job at one moment, kept until somebody deletes it. "take" leaves the job running, "stop"
ends it: nothing is processed behind the savepoint, so that courtside restore goes on without a gap or a repeat.

  --name NAME        of the savepoint (default: by time)
  --job JOB          for list, describe and delete (default insight)
  --timeout-s N      how long to wait for the workers (default 60)
${JOB_CONTROL_HELP}`,
  options: {
    ...JOB_CONTROL_OPTIONS,
    name: { type: "string" },
    job: { type: "string", default: "insight" },
    "timeout-s": { type: "string", default: "60" },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const [what, ...rest] = context.positionals;
  const job = String(context.values["job"]);
  switch (what) {
    case "take":
    case "stop":
      return withJobControl(context, async (control) =>
        take(context, control, jobName(rest, 0, "savepoint take takes one job"), what === "stop"),
      );
    case "list":
      return withJobControl(context, async (control) => list(context, control, job));
    case "describe":
      return withJobControl(context, async ({ blobs }) => {
        const savepoint = await readSavepoint(blobs, job, one(rest, "describe"));
        const parts = await savepointParts(blobs, savepoint);
        context.stdout(savepointDetails(savepoint, parts, context.values["json"] === true));
        return 0;
      });
    case "delete":
      return withJobControl(context, async ({ blobs, jobs }) => {
        const name = one(rest, "delete");
        const record = (await readJobRecord(jobs, job))?.record;
        if (record?.savepoint === name)
          throw new UsageError(
            `job ${job} starts from savepoint ${name} in regions that have no checkpoint yet; take another first`,
          );
        await deleteSavepoint(blobs, job, name);
        context.stdout(`deleted savepoint ${name} of ${job}\n`);
        return 0;
      });
    default:
      throw new UsageError("courtside savepoint knows: take, stop, list, describe, delete");
  }
}

async function take(
  context: CommandContext,
  control: JobControl,
  job: string,
  stop: boolean,
): Promise<number> {
  const nowMs = Date.now();
  const name = textFlag(context.values, "name") ?? defaultName(nowMs);
  if (!NAME.test(name))
    throw new UsageError(`--name takes 1 to 64 letters, digits, - and _, not "${name}"`);
  if ((await listSavepoints(control.blobs, job)).includes(name))
    throw new UsageError(`job ${job} has a savepoint ${name}; take another name`);
  const { record, revision } = await control.record(job);
  if (record.stopped) throw new UsageError(`job ${job} is stopped: its savepoint is there already`);
  if ((await control.members(job)).length === 0)
    throw new UsageError(`no worker runs job ${job}; courtside run ${job} starts one`);
  const request = create(SavepointRequestSchema, { name, stop, createdTimeMs: BigInt(nowMs) });
  await writeJobRecord(control.jobs, { ...record, request }, revision);
  const timeoutMs = 1000 * (integerFlag(context.values, "timeout-s", TIMEOUT_S) ?? 0);
  try {
    const regions = await collectParts(control, record, name, stop, timeoutMs, context.signal);
    const { generation, keyGroups } = record;
    const createdTimeMs = BigInt(nowMs);
    await writeSavepoint(control.blobs, {
      job,
      name,
      generation,
      keyGroups,
      createdTimeMs,
      regions,
    });
    await endRequest(control, job, stop);
  } catch (error) {
    await endRequest(control, job, false);
    throw error;
  } finally {
    for (let region = 0; region < record.regions; region += 1)
      await control.jobs.remove(savepointPartKey(job, name, region));
  }
  const json = { job, savepoint: name, stopped: stop };
  context.stdout(
    context.values["json"] === true
      ? `${JSON.stringify(json)}\n`
      : `${stop ? `stopped ${job} with` : "took"} savepoint ${name}; ` +
          `courtside restore ${job} --savepoint ${name} goes on from it\n`,
  );
  return 0;
}

/** Waits until every region has written its part. */
async function collectParts(
  { jobs }: JobControl,
  record: JobRecord,
  name: string,
  stop: boolean,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<CheckpointRef[]> {
  const { job, regions } = record;
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const found = await Promise.all(
      Array.from({ length: regions }, async (_, region) =>
        jobs.get(savepointPartKey(job, name, region)),
      ),
    );
    const parts = found.flatMap((entry) =>
      entry === undefined ? [] : [fromBinary(CheckpointRefSchema, entry.bytes)],
    );
    if (parts.length === regions) {
      const overtaken = stop ? await overtakenParts(jobs, record, parts) : [];
      if (overtaken.length === 0) return parts;
      for (const region of overtaken) await jobs.remove(savepointPartKey(job, name, region));
    }
    if (performance.now() > untilMs) {
      const missing = found.flatMap((entry, region) => (entry === undefined ? [region] : []));
      throw new SavepointTimeoutError(
        `regions ${missing.join(", ")} of job ${job} wrote nothing within ${String(timeoutMs / 1000)} s; ` +
          `courtside jobs ${job} shows how they are`,
      );
    }
    await delay(POLL_MS, undefined, { signal });
  }
}

/**
 * Regions whose part was written by an owner that had lost them by then: the new one has gone on behind it. Heads are
 * read behind the parts, and who takes a head looks for a part behind that, so one of the two sees the other.
 */
async function overtakenParts(
  jobs: JobControl["jobs"],
  record: JobRecord,
  parts: readonly CheckpointRef[],
): Promise<number[]> {
  const heads = await readHeads(jobs, record);
  return parts.flatMap(({ epoch }, region) => (heads.get(region)?.epoch === epoch ? [] : [region]));
}

async function endRequest(control: JobControl, job: string, stopped: boolean): Promise<void> {
  const { record, revision } = await control.record(job);
  const { request: _, ...rest } = record;
  await writeJobRecord(control.jobs, { ...rest, stopped }, revision);
}

async function list(context: CommandContext, { blobs }: JobControl, job: string): Promise<number> {
  const rows = [];
  for (const name of await listSavepoints(blobs, job)) {
    const { createdTimeMs, regions, keyGroups } = await readSavepoint(blobs, job, name);
    const bytes = regions.reduce((sum, { stateBytes }) => sum + Number(stateBytes), 0);
    rows.push({ name, time: timeText(createdTimeMs), regions: regions.length, keyGroups, bytes });
  }
  if (context.values["json"] === true)
    context.stdout(`${JSON.stringify({ job, savepoints: rows })}\n`);
  else if (rows.length === 0) context.stdout(`job ${job} has no savepoints in ${blobs.location}\n`);
  else
    context.stdout(
      table(
        ["name", "at (UTC)", "regions", "state bytes"],
        rows.map((row) => [row.name, row.time, String(row.regions), count(row.bytes)]),
      ),
    );
  return 0;
}

function one(rest: readonly string[], what: string): string {
  const [name, ...more] = rest;
  if (name === undefined || more.length > 0)
    throw new UsageError(`courtside savepoint ${what} takes the name of one savepoint`);
  return name;
}

function defaultName(nowMs: number): string {
  return new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[:]/g, "").replace("T", "-");
}
