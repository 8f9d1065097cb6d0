import { UsageError } from "../../base/errors.ts";
import { writeJobRecord } from "../../jobs/worker/job-record.ts";
import { readSavepoint, savepointParts } from "../../operators/mod.ts";
import type { Command, CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";
import { JOB_CONTROL_HELP, JOB_CONTROL_OPTIONS, jobName, withJobControl } from "../job-control.ts";

export const command: Command = {
  name: "restore",
  summary: "Let a job go on from a savepoint, in as many parts as wanted",
  help: `courtside restore insight --savepoint before-upgrade
courtside restore insight --savepoint before-upgrade --regions 8

Makes the job's next workers start from the savepoint; start them with courtside run. A savepoint of "savepoint stop"
is gone on from without a gap or a repeat. An older one goes back in time: what came behind it is processed again, and
its rows are written again.

  --savepoint NAME             which one
  --regions N                  parts that can be shared (default: as before)
  --allow-non-restored-state   leave state behind that the job does not have any more
${JOB_CONTROL_HELP}`,
  options: {
    ...JOB_CONTROL_OPTIONS,
    savepoint: { type: "string" },
    regions: { type: "string" },
    "allow-non-restored-state": { type: "boolean" },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const job = jobName(context.positionals, 0, "courtside restore takes one job");
  const name = textFlag(context.values, "savepoint");
  if (name === undefined)
    throw new UsageError(
      `name the savepoint with --savepoint; courtside savepoint list shows them`,
    );
  return withJobControl(context, async (control) => {
    const savepoint = await readSavepoint(control.blobs, job, name);
    // What cannot be read whole is told here, not by the workers.
    await savepointParts(control.blobs, savepoint);
    const { record, revision } = await control.record(job);
    if (!record.stopped && (await control.members(job)).length > 0)
      throw new UsageError(
        `workers run job ${job}; stop it first with courtside savepoint stop ${job}`,
      );
    const regions =
      integerFlag(context.values, "regions", { min: 1, max: savepoint.keyGroups }) ??
      record.regions;
    const generation = record.generation + 1;
    const { request: _, ...rest } = record;
    await writeJobRecord(
      control.jobs,
      {
        ...rest,
        generation,
        regions,
        keyGroups: savepoint.keyGroups,
        savepoint: name,
        stopped: false,
        allowNonRestoredState: context.values["allow-non-restored-state"] === true,
      },
      revision,
    );
    context.stdout(
      context.values["json"] === true
        ? `${JSON.stringify({ job, savepoint: name, generation, regions })}\n`
        : `job ${job} goes on from savepoint ${name} in ${String(regions)} regions; ` +
            `courtside run ${job} starts its workers\n`,
    );
    return 0;
  });
}
