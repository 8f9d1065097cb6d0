import { systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import { insightGraph } from "../jobs/insight/graph.ts";
import {
  type ImmediateSink,
  type PhysicalPlan,
  planOf,
  type PlanNode,
  type TransactionalSink,
} from "../operators/mod.ts";
import { UsageError } from "../base/errors.ts";
import type { CommandContext } from "./command.ts";

/** Prints the physical plan of a job: as JSON, or as a picture with the operators in the order of the chain. */
export function showJobPlan(context: CommandContext, job: string): number {
  if (job !== "insight")
    throw new UsageError(`there is no plan of job ${job}; there is one of: insight`);
  const plan = planOf(
    insightGraph({
      predictor: { predictBatch: () => Promise.resolve([]) },
      clock: systemClock,
      log: silentLog,
      insights: immediate("insights"),
      records: transactional("records"),
      deadLetters: transactional("dead-letters"),
    }),
  );
  context.stdout(context.values["json"] === true ? `${JSON.stringify(plan)}\n` : pictureOf(plan));
  return 0;
}

/**
 * One line an operator, upstream first. A line on the left leads from each operator to those that read it;
 * `●` begins an output, `├` and `└` read it.
 */
export function pictureOf({ job, keyGroups, nodes }: PhysicalPlan): string {
  const index = new Map(nodes.map(({ uid }, i) => [uid, i]));
  const readersOf = (uid: string): number[] =>
    nodes.flatMap(({ inputs }, i) => (inputs.some((input) => sourceOf(input) === uid) ? [i] : []));
  const lanes: (number | undefined)[] = [];
  const lines = [`job ${job}, ${String(keyGroups)} key groups`, ""];
  for (const [i, node] of nodes.entries()) {
    const read = new Set(node.inputs.map((input) => index.get(sourceOf(input))));
    const marks = lanes.map((from): string => {
      if (from === undefined) return " ";
      if (!read.has(from)) return "│";
      return Math.max(...readersOf(nodes[from]?.uid ?? "")) === i ? "└" : "├";
    });
    for (const [lane, mark] of marks.entries()) if (mark === "└") lanes[lane] = undefined;
    if (readersOf(node.uid).length > 0) {
      const free = marks.findIndex((mark) => mark === " ");
      const lane = free < 0 ? marks.length : free;
      lanes[lane] = i;
      marks[lane] = "●";
    }
    lines.push(`${joined(marks)} ${labelOf(node)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Lines that branch off reach to the operator's name. */
function joined(marks: readonly string[]): string {
  const first = marks.findIndex((mark) => mark === "├" || mark === "└");
  return marks
    .map((mark, lane) => {
      const reaches = first >= 0 && lane > first;
      if (reaches && mark === " ") return "──";
      const after = first >= 0 && lane >= first ? "─" : " ";
      return (reaches && mark === "│" ? "┼" : mark) + after;
    })
    .join("")
    .trimEnd();
}

function sourceOf(input: string): string {
  const colon = input.indexOf(":");
  return colon < 0 ? input : input.slice(0, colon);
}

function labelOf({ uid, kind, detail, inputs, states }: PlanNode): string {
  const sides = inputs.filter((input) => input.includes(":"));
  const parts = [
    `${uid} [${detail === "" ? kind : `${kind} ${detail}`}]`,
    ...(sides.length === 0 ? [] : [`reads ${sides.join(", ")}`]),
    ...(states.length === 0 ? [] : [`state: ${states.map(({ name }) => name).join(", ")}`]),
  ];
  return parts.join("  ");
}

function immediate<T>(uid: string): ImmediateSink<T> {
  return {
    mode: "immediate",
    uid,
    open: () => Promise.resolve(),
    write: () => {},
    blocked: () => undefined,
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

function transactional<T>(uid: string): TransactionalSink<T> {
  return {
    mode: "transactional",
    uid,
    open: () => Promise.resolve(),
    write: () => {},
    full: () => false,
    seal: () => [],
    commit: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
