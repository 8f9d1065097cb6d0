import type { Command } from "../command.ts";
import { JOB_CONTROL_HELP, JOB_CONTROL_OPTIONS, jobName } from "../job-control.ts";
import { showJobPlan } from "../job-plan.ts";
import { showJobStatus } from "../job-status.ts";

export const command: Command = {
  name: "jobs",
  summary: "Show who works on a job, and how far it is",
  help: `courtside jobs
courtside jobs insight --json
courtside jobs --nats-url nats://broker:4222
courtside jobs insight --plan
courtside jobs insight --watermarks

Shows the regions of a job: key groups, worker, state, newest checkpoint, last message.
With --plan, shows what its tasks run instead: operators, who reads whom, windows and state; needs no broker.
With --watermarks, also who holds event time back in each operator, and since when.

${JOB_CONTROL_HELP}`,
  options: {
    ...JOB_CONTROL_OPTIONS,
    plan: { type: "boolean", default: false },
    watermarks: { type: "boolean", default: false },
  },
  run: async (context) => {
    const job = jobName(context.positionals, 0, "courtside jobs takes one job");
    return context.values["plan"] === true
      ? showJobPlan(context, job)
      : showJobStatus(context, job);
  },
};
