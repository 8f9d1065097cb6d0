import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { layoutOf } from "./data-dir.ts";
import { readLockOwner } from "./lock.ts";
import { endProcess, isErrno, type ProcessIdentity } from "./process.ts";

/** Addresses of a running pipeline. */
export interface RunUrls {
  readonly page: string;
  readonly nats: string;
  readonly clickhouse: string;
  /** `host:port` of the gRPC server. */
  readonly serving: string;
}

/** `run.json`: who runs in a data directory. */
export interface RunFile {
  readonly started_at: string;
  readonly urls: RunUrls;
  readonly processes: readonly RunProcess[];
}

export interface RunProcess {
  readonly name: string;
  readonly pid: number;
  readonly start_time: string;
}

/** Time that the children of a killed run get to notice that they are alone and to stop by themselves. */
const ORPHAN_GRACE_MS = 5_000;

/** Replaces `run.json` in one step. */
export async function writeRunFile(dataDir: string, run: RunFile): Promise<void> {
  const { runFile } = layoutOf(dataDir);
  const fresh = `${runFile}.${process.pid}`;
  await writeFile(fresh, `${JSON.stringify(run, undefined, 2)}\n`);
  await rename(fresh, runFile);
}

/** @returns what `run.json` says, or undefined when there is none or it cannot be read. */
export async function readRunFile(dataDir: string): Promise<RunFile | undefined> {
  try {
    return JSON.parse(await readFile(layoutOf(dataDir).runFile, "utf8")) as RunFile;
  } catch (error) {
    if (isErrno(error, "ENOENT") || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** @returns addresses of the pipeline that runs in this data directory now, or undefined when none does. */
export async function runningUrls(dataDir: string): Promise<RunUrls | undefined> {
  if ((await readLockOwner(layoutOf(dataDir).lockFile)) === undefined) return undefined;
  return (await readRunFile(dataDir))?.urls;
}

export async function removeRunFile(dataDir: string): Promise<void> {
  await rm(layoutOf(dataDir).runFile, { force: true });
}

/**
 * Ends what a killed run left behind in this data directory; to be called with its lock held.
 *
 * @returns names of the processes that were still running.
 */
export async function endOrphans(dataDir: string): Promise<readonly string[]> {
  const run = await readRunFile(dataDir);
  const ended = await Promise.all(
    (run?.processes ?? []).map(async ({ name, pid, start_time: startTime }) => {
      const orphan: ProcessIdentity = { pid, startTime };
      return (await endProcess(orphan, ORPHAN_GRACE_MS)) ? [name] : [];
    }),
  );
  await removeRunFile(dataDir);
  return ended.flat();
}
