import { randomBytes } from "node:crypto";
import { mkdir, readdir, readlink, rename, rm, statfs, symlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CourtsideError, errorText } from "../base/errors.ts";
import { acquireLock, readLockOwner, type Lock } from "./lock.ts";
import { isErrno } from "./process.ts";

/** Home of runs without `--data`; the repository's, wherever the program is called from. */
const HOME = fileURLToPath(new URL("../.courtside/", import.meta.url));
/** Runs without `--data` that are kept, the new one included. */
const KEPT_RUNS = 3;
/** Least free space to start with: twice what the broker and the store take for a hundred games with their logs. */
const MIN_FREE_BYTES = 256 * 1024 * 1024;

/** Below this a run is stopped, so that the store can still close its files in order. */
export const MIN_RUNNING_FREE_BYTES = 32 * 1024 * 1024;

/** The data directory cannot be used as it is. */
export class DataDirError extends CourtsideError {
  override readonly code = "DATA_DIR_UNUSABLE";
  override readonly retryable = false;
}

/** The disk under the data directory is full, or nearly so. */
export class DiskFullError extends CourtsideError {
  override readonly code = "DISK_FULL";
  override readonly retryable = false;

  constructor(path: string, freeBytes: number, neededBytes: number, options?: ErrorOptions) {
    super(
      `disk full: ${mebibytes(freeBytes)} MiB are free under ${path}, ${mebibytes(neededBytes)} MiB are needed; ` +
        "free some space or name a directory on another disk with --data",
      options,
    );
  }
}

/** Where things are in a data directory. */
export interface DataDirLayout {
  readonly root: string;
  /** Store of the broker. */
  readonly nats: string;
  /** Store of the embedded ClickHouse. */
  readonly clickhouse: string;
  /** Snapshots of the jobs. */
  readonly checkpoints: string;
  /** One file a process. */
  readonly logs: string;
  /** Who runs here, and under which addresses: see `run-file.ts`. */
  readonly runFile: string;
  readonly lockFile: string;
}

export interface DataDir extends DataDirLayout {
  /** Gives the lock back; the data stays. */
  release(): Promise<void>;
}

/** Paths of a data directory; touches nothing. */
export function layoutOf(root: string): DataDirLayout {
  const absolute = resolve(root);
  return {
    root: absolute,
    nats: join(absolute, "nats"),
    clickhouse: join(absolute, "clickhouse"),
    checkpoints: join(absolute, "checkpoints"),
    logs: join(absolute, "logs"),
    runFile: join(absolute, "run.json"),
    lockFile: join(absolute, "lock"),
  };
}

/**
 * Opens a data directory for one run: makes it, checks that there is space and takes its lock. The lock of a process that is gone is taken over.
 *
 * @throws DataDirError when it cannot be written, DiskFullError, LockedError when another run has it.
 */
export async function openDataDir(root: string): Promise<DataDir> {
  const layout = layoutOf(root);
  await makeFolder(layout.root);
  await checkFreeSpace(layout.root, MIN_FREE_BYTES);
  let lock: Lock;
  try {
    lock = await acquireLock(layout.lockFile, "the data directory");
    for (const folder of [layout.nats, layout.clickhouse, layout.checkpoints, layout.logs]) {
      await makeFolder(folder);
    }
  } catch (error) {
    throw explain(error, layout.root);
  }
  return { ...layout, release: () => lock.release() };
}

/**
 * A fresh data directory `.courtside/runs/<time>` for a run without `--data`. The last three are kept; older
 * ones are deleted unless somebody runs in them.
 */
export async function createRunDir(home: string = HOME): Promise<string> {
  const runs = join(home, "runs");
  await makeFolder(runs);
  const name = `${new Date().toISOString().replaceAll(/[:.]/g, "-")}-${randomBytes(2).toString("hex")}`;
  const created = join(runs, name);
  await makeFolder(created);
  const old = (await readdir(runs)).toSorted().slice(0, -KEPT_RUNS);
  for (const run of old) {
    const layout = layoutOf(join(runs, run));
    if ((await readLockOwner(layout.lockFile)) !== undefined) continue;
    await rm(layout.root, { recursive: true, force: true });
  }
  return created;
}

/** @returns the data directory that was used last, or undefined when there is none. */
export async function latestDataDir(home: string = HOME): Promise<string | undefined> {
  try {
    const target = resolve(home, await readlink(join(home, "latest")));
    await readdir(target);
    return target;
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return undefined;
    throw error;
  }
}

/** @throws DiskFullError when fewer than `minFreeBytes` are free under `path`. */
export async function checkFreeSpace(path: string, minFreeBytes: number): Promise<void> {
  const freeBytes = await freeSpaceBytes(path);
  if (freeBytes < minFreeBytes) throw new DiskFullError(path, freeBytes, minFreeBytes);
}

/** Bytes that this user may still write under `path`. */
export async function freeSpaceBytes(path: string): Promise<number> {
  const stats = await statfs(path);
  return stats.bavail * stats.bsize;
}

/** Makes `root` the one that `latestDataDir` finds. */
export async function pointLatestTo(root: string, home: string = HOME): Promise<void> {
  const link = join(home, "latest");
  const fresh = `${link}.${process.pid}`;
  try {
    await mkdir(dirname(link), { recursive: true });
    await symlink(root, fresh);
    await rename(fresh, link);
  } catch (error) {
    // A read-only installation can still run with --data; `sql` then needs --data or --clickhouse-url too.
    if (!isErrno(error, "EROFS") && !isErrno(error, "EACCES")) throw error;
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw explain(error, path);
  }
}

function explain(error: unknown, path: string): unknown {
  if (error instanceof CourtsideError) return error;
  if (isErrno(error, "ENOSPC")) return new DiskFullError(path, 0, MIN_FREE_BYTES, { cause: error });
  if (isErrno(error, "EEXIST") || isErrno(error, "ENOTDIR")) {
    return new DataDirError(`${path} is not a directory; name another with --data`, {
      cause: error,
    });
  }
  return new DataDirError(
    `cannot write to the data directory ${path}: ${errorText(error)}; name another with --data`,
    { cause: error },
  );
}

function mebibytes(bytes: number): string {
  return Math.floor(bytes / 1024 / 1024).toLocaleString("en-US");
}
