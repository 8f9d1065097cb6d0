import type { Command } from "../command.ts";
import { JOB_CONTROL_HELP, JOB_CONTROL_OPTIONS, jobName } from "../job-control.ts";
import { showJobStatus } from "../job-status.ts";

export const command: Command = {
  name: "jobs",
  summary: "Show who works on a job, and how far it is",
  help: `courtside jobs
courtside jobs insight --json
courtside jobs --nats-url nats://broker:4222

Shows the regions of a job: key groups, worker, state, newest checkpoint, last message.

${JOB_CONTROL_HELP}`,
  options: JOB_CONTROL_OPTIONS,
  run: async (context) =>
    showJobStatus(context, jobName(context.positionals, 0, "courtside jobs takes one job")),
};
