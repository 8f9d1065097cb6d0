import { parse } from "yaml";
import { UsageError } from "../base/errors.ts";
import { type Case, type Fields, Mismatch, Unsupported, type Value } from "./case.ts";
import { assignmentKinds } from "./kinds/assignment.ts";
import { asyncKinds } from "./kinds/async.ts";
import { jobKinds } from "./kinds/jobs.ts";
import { joinKinds } from "./kinds/joins.ts";
import { processKinds } from "./kinds/process.ts";
import { stateKinds } from "./kinds/state.ts";
import { triggerKinds } from "./kinds/triggers.ts";
import { watermarkKinds } from "./kinds/watermarks.ts";
import { window } from "./kinds/window.ts";

/** How a case ended. */
export interface Verdict {
  readonly id: string;
  readonly result: "ok" | "not ok" | "skip";
  readonly reason: string;
}

type Kind = (of: Case) => void | Promise<void>;

const KINDS: Readonly<Record<string, Kind>> = {
  ...assignmentKinds,
  ...asyncKinds,
  ...jobKinds,
  ...joinKinds,
  ...processKinds,
  ...stateKinds,
  ...triggerKinds,
  ...watermarkKinds,
  window,
};

/** Merging dialects are compared by their own kind; everything else follows Flink. */
const DIALECT = "flink";
const TOP_LEVEL = new Set(["cases", "sources", "meta"]);

/**
 * Reads the cases of a file.
 * @throws UsageError when it is no file of cases.
 */
export function readCases(text: string, name: string): readonly Case[] {
  let file: unknown;
  try {
    file = parse(text, { version: "1.2", maxAliasCount: -1 });
  } catch (error) {
    throw new UsageError(`${name} is not YAML: ${error instanceof Error ? error.message : ""}`);
  }
  const { cases, ...rest } = (file ?? {}) as Record<string, Value>;
  if (!Array.isArray(cases)) throw new UsageError(`${name} has no list of cases`);
  const unknown = Object.keys(rest).find((key) => !TOP_LEVEL.has(key));
  if (unknown !== undefined) throw new UsageError(`${name}: unknown top-level key ${unknown}`);
  const meta = rest["meta"] as Fields | undefined;
  if (meta?.["version"] !== undefined && meta["version"] !== 1)
    throw new UsageError(`${name} has version ${JSON.stringify(meta["version"])}; this reads 1`);
  return (cases as readonly Value[]).map((each, i) => {
    const { id, kind } = (each ?? {}) as Fields;
    if (typeof id !== "string" || typeof kind !== "string")
      throw new UsageError(`${name}: case ${String(i + 1)} has no id or kind`);
    return each as Case;
  });
}

/** Runs one case with new instances of everything. */
export async function runCase(of: Case): Promise<Verdict> {
  const { id } = of;
  try {
    const dialect = of["dialect"] ?? DIALECT;
    if (dialect !== DIALECT)
      throw new Unsupported(`unsupported dialect ${JSON.stringify(dialect)}`);
    const kind = Object.hasOwn(KINDS, of.kind) ? KINDS[of.kind] : undefined;
    if (kind === undefined) throw new Unsupported(`unsupported kind ${of.kind}`);
    await kind(of);
    return { id, result: "ok", reason: "" };
  } catch (error) {
    if (error instanceof Unsupported) return { id, result: "skip", reason: error.message };
    if (error instanceof Mismatch) return { id, result: "not ok", reason: error.message };
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { id, result: "not ok", reason: `expected no error got ${text}` };
  }
}
