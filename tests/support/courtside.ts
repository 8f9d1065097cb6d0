import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { readRunFile, type RunFile } from "../../local/run-file.ts";

export const ROOT = join(import.meta.dirname, "../..");

/** Folder of the recorded seasons, beside the repository unless `COURTSIDE_NBA` names another. */
export const NBA = process.env["COURTSIDE_NBA"] ?? join(ROOT, "../shared/nba");
/** Why tests on recorded seasons are skipped, or undefined when they run. */
export const nbaMissing: string | undefined = existsSync(NBA)
  ? undefined
  : `skipped: no recorded seasons at ${NBA}; set COURTSIDE_NBA to a folder that has them`;
if (nbaMissing !== undefined) console.log(nbaMissing);

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program as a process of its own, as a user runs it. */
export class Courtside {
  readonly process: ChildProcess;
  #stdout = "";
  #stderr = "";
  readonly finished: Promise<Finished>;

  constructor(args: readonly string[]) {
    this.process = spawn(process.execPath, [join(ROOT, "cli/main.ts"), ...args], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process.stdout?.on("data", (chunk: Buffer) => (this.#stdout += chunk.toString()));
    this.process.stderr?.on("data", (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.finished = new Promise((resolve) => {
      this.process.once("close", (code) =>
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr }),
      );
    });
  }

  get output(): string {
    return this.#stdout + this.#stderr;
  }

  /** Resolves when the output has the text. @throws when the process ends or the time is up before it. */
  async says(text: string | RegExp, limitMs = 60_000): Promise<void> {
    for (const untilMs = performance.now() + limitMs; ; await delay(50)) {
      if (this.output.search(text) >= 0) return;
      if (this.process.exitCode !== null || performance.now() > untilMs)
        throw new Error(`"${String(text)}" was not said, but:\n${this.output}`);
    }
  }
}

/** Runs a command to its end. */
export async function courtside(...args: readonly string[]): Promise<Finished> {
  return new Courtside(args).finished;
}

/** Rows that a query gives on the store of a data directory. */
export async function sql<Row>(data: string, query: string): Promise<Row[]> {
  const { code, stdout, stderr } = await courtside("sql", query, "--json", "--data", data);
  if (code !== 0) throw new Error(stderr);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Row);
}

/** Who runs in a data directory, once all of them do. */
export async function runFile(data: string): Promise<RunFile> {
  for (let tries = 0; tries < 600; tries += 1) {
    const run = await readRunFile(data);
    if (run !== undefined) return run;
    await delay(50);
  }
  throw new Error(`nobody runs in ${data}`);
}

/** @throws when the run has no such process. */
export function pidOf(run: RunFile, name: string): number {
  const found = run.processes.find((each) => each.name === name);
  if (found === undefined)
    throw new Error(`no ${name} among ${run.processes.map((each) => each.name).join(", ")}`);
  return found.pid;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
