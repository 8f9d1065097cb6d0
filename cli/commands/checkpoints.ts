import { UsageError } from "../../base/errors.ts";
import { readHeads } from "../../jobs/worker/job-record.ts";
import type { Command, CommandContext } from "../command.ts";
import { count, table } from "../io.ts";
import {
  JOB_CONTROL_HELP,
  JOB_CONTROL_OPTIONS,
  jobName,
  timeText,
  withJobControl,
} from "../job-control.ts";

const USAGE = "courtside checkpoints list takes one job";

export const command: Command = {
  name: "checkpoints",
  summary: "List the checkpoints that a job could go on from",
  help: `courtside checkpoints list
courtside checkpoints list insight --json

Lists the complete checkpoints of every region, newest last.

${JOB_CONTROL_HELP}`,
  options: JOB_CONTROL_OPTIONS,
  run,
};

async function run(context: CommandContext): Promise<number> {
  const [what, ...rest] = context.positionals;
  if (what !== "list") throw new UsageError("courtside checkpoints knows: list");
  const job = jobName(rest, 0, USAGE);
  return withJobControl(context, async ({ jobs, record }) => {
    const { record: found } = await record(job);
    const rows = [...(await readHeads(jobs, found))].flatMap(([region, { epoch, checkpoints }]) =>
      checkpoints.map((each) => ({
        region,
        epoch: Number(epoch),
        checkpoint: Number(each.checkpointId),
        time: timeText(each.createdTimeMs),
        sequence: Number(each.sequence),
        added_bytes: Number(each.addedBytes),
        state_bytes: Number(each.stateBytes),
        manifest: each.manifest,
      })),
    );
    if (context.values["json"] === true)
      context.stdout(`${JSON.stringify({ job, checkpoints: rows })}\n`);
    else
      context.stdout(
        table(
          ["region", "checkpoint", "at (UTC)", "message", "added bytes", "state bytes", "manifest"],
          rows.map((row) => [
            String(row.region),
            String(row.checkpoint),
            row.time,
            String(row.sequence),
            count(row.added_bytes),
            count(row.state_bytes),
            row.manifest,
          ]),
        ),
      );
    return 0;
  });
}
