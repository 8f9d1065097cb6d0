import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { CourtsideError } from "../base/errors.ts";
import { identifySelf, isErrno, isRunning, type ProcessIdentity } from "./process.ts";

/** Rounds of taking a stale lock before giving up: each lost round means that another process won one. */
const MAX_ROUNDS = 10;

/** Another running process has the lock. */
export class LockedError extends CourtsideError {
  override readonly code = "LOCKED";
  override readonly retryable = true;
  readonly path: string;
  readonly pid: number;

  constructor(path: string, pid: number, what: string) {
    super(
      `${what} is in use by process ${pid} (lock ${path}); stop that process or name another directory with --data`,
    );
    this.path = path;
    this.pid = pid;
  }
}

export interface Lock {
  /** Gives the lock back; harmless when called twice. */
  release(): Promise<void>;
}

/**
 * Takes a lock file that holds this process's id and start time. It survives a crash as a file, not as a
 * lock: the next one sees that its owner is gone and takes it over.
 *
 * @param what - what the lock protects, for the error.
 * @throws LockedError
 */
export async function acquireLock(path: string, what: string): Promise<Lock> {
  const self = await identifySelf();
  const text = JSON.stringify({ pid: self.pid, start_time: self.startTime });
  // Written aside and linked into place, so that nobody ever reads half a lock.
  const fresh = `${path}.${self.pid}`;
  await writeFile(fresh, text);
  try {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      if (await linked(fresh, path)) return { release: () => release(path, text) };
      const found = await readText(path);
      const owner = found === undefined ? undefined : parseOwner(found);
      if (owner !== undefined && (await isRunning(owner))) {
        throw new LockedError(path, owner.pid, what);
      }
      if (found !== undefined) await removeStale(path, found, `${fresh}.stale`);
    }
  } finally {
    await rm(fresh, { force: true });
  }
  throw new LockedError(path, 0, what);
}

/** @returns the running process that has the lock, or undefined. */
export async function readLockOwner(path: string): Promise<ProcessIdentity | undefined> {
  const text = await readText(path);
  const owner = text === undefined ? undefined : parseOwner(text);
  return owner !== undefined && (await isRunning(owner)) ? owner : undefined;
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** Two processes may see the same stale lock; the slower one must not remove the lock the faster one took. */
async function removeStale(path: string, seen: string, aside: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return;
    throw error;
  }
  if ((await readText(aside)) !== seen) await linked(aside, path);
  await rm(aside, { force: true });
}

async function release(path: string, text: string): Promise<void> {
  if ((await readText(path)) === text) await rm(path, { force: true });
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** An unreadable lock belongs to nobody: it is written in one piece, so it is none of ours. */
function parseOwner(text: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(text) as { pid?: unknown; start_time?: unknown } | null;
    if (typeof value?.pid !== "number" || typeof value.start_time !== "string") return undefined;
    return { pid: value.pid, startTime: value.start_time };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
