import { readFile } from "node:fs/promises";
import { UsageError } from "../../base/errors.ts";
import { readCases, runCase, type Verdict } from "../../conformance/run.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  name: "conformance",
  summary: "Run cases of stream semantics against the runtime's operators",
  help: `Examples:
  courtside conformance cases.yaml
  courtside conformance cases.yaml more.yaml --json

Prints a line a case, "ok ID", "not ok ID: expected … got …" or "skip ID: reason", and last the counts.
Exit code 1 when a case failed, 2 when a file cannot be used.

Flags:
  --json      one JSON object a case instead of a line
  --only ID   run the cases whose id contains this`,
  options: {
    json: { type: "boolean", default: false },
    only: { type: "string" },
  },
  run: async (context) => {
    const { positionals, values, signal } = context;
    if (positionals.length === 0)
      throw new UsageError("there is no file: courtside conformance cases.yaml");
    const only = typeof values["only"] === "string" ? values["only"] : "";
    const files = await Promise.all(
      positionals.map(async (name) => readCases(await text(name), name)),
    );
    const counts = { ok: 0, "not ok": 0, skip: 0 };
    for (const of of files.flat().filter(({ id }) => id.includes(only))) {
      if (signal.aborted) return 1;
      const verdict = await runCase(of);
      counts[verdict.result] += 1;
      context.stdout(
        values["json"] === true ? `${JSON.stringify(verdict)}\n` : `${line(verdict)}\n`,
      );
    }
    const { ok, "not ok": failed, skip } = counts;
    if (values["json"] !== true)
      context.stdout(`${String(ok)} passed, ${String(failed)} failed, ${String(skip)} skipped\n`);
    return failed === 0 ? 0 : 1;
  },
};

async function text(name: string): Promise<string> {
  try {
    return await readFile(name, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${name}: ${error instanceof Error ? error.message : ""}`);
  }
}

function line({ id, result, reason }: Verdict): string {
  const oneLine = reason.replaceAll(/\s+/g, " ");
  return result === "ok" ? `ok ${id}` : `${result} ${id}: ${oneLine}`;
}
