import { rm } from "node:fs/promises";
import { CourtsideError } from "../../base/errors.ts";
import {
  createRunDir,
  DiskFullError,
  freeSpaceBytes,
  latestDataDir,
  layoutOf,
  MIN_RUNNING_FREE_BYTES,
  openDataDir,
  pointLatestTo,
  type DataDir,
} from "../../local/data-dir.ts";
import { readLockOwner } from "../../local/lock.ts";
import { endOrphans, removeRunFile, writeRunFile, type RunUrls } from "../../local/run-file.ts";
import { Supervisor } from "../../local/supervisor.ts";

/** How often the free space is looked at while a run goes on. */
const DISK_POLL_MS = 2_000;
/** What programs and libraries write when there is no space left. */
const DISK_FULL_TEXT = /ENOSPC|no space left|NOT_ENOUGH_SPACE|disk full/i;

/** A data directory with the processes that work on it. */
export interface Session {
  readonly data: DataDir;
  readonly supervisor: Supervisor;
  /** Rejects when a child failed for good or the disk is full; never resolves. */
  readonly failed: Promise<never>;
  /** Stops all processes and gives the directory back. */
  close(): Promise<void>;
}

/** Opens the named data directory, or a new one, and ends what a killed run left in it. */
export async function claimDataDir(
  named: string | undefined,
  say: (text: string) => void,
): Promise<DataDir> {
  if (named === undefined) await endOrphansOfLatest(say);
  const data = await openDataDir(named ?? (await createRunDir()));
  tellOrphans(await endOrphans(data.root), say);
  return data;
}

/** Undoes `claimDataDir` before anything was started. */
export async function abandonDataDir(data: DataDir, named: string | undefined): Promise<void> {
  await data.release();
  if (named === undefined) await rm(data.root, { recursive: true, force: true });
}

/** Begins to supervise; `run.json` always says which processes run. */
export async function openSession(
  data: DataDir,
  urls: RunUrls,
  say: (text: string) => void,
): Promise<Session> {
  await pointLatestTo(data.root);
  const startedAt = new Date().toISOString();
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  let writing = Promise.resolve();
  const supervisor = new Supervisor({
    logs: data.logs,
    say,
    onProcesses: (processes) => {
      writing = writing
        .then(async () => writeRunFile(data.root, { started_at: startedAt, urls, processes }))
        .catch(failure.reject);
    },
  });
  const disk = setInterval(() => {
    void watchDisk(data.root).catch(failure.reject);
  }, DISK_POLL_MS);
  disk.unref();
  supervisor.failed.catch(failure.reject);
  return {
    data,
    supervisor,
    failed: failure.promise,
    async close() {
      clearInterval(disk);
      await supervisor.stop();
      await writing;
      await removeRunFile(data.root);
      await data.release();
    },
  };
}

async function watchDisk(root: string): Promise<void> {
  const freeBytes = await freeSpaceBytes(root);
  if (freeBytes < MIN_RUNNING_FREE_BYTES)
    throw new DiskFullError(root, freeBytes, MIN_RUNNING_FREE_BYTES);
}

/** A child that failed because the disk is full says so in its own words; here it is said in ours. */
export async function explainFailure(error: unknown, root: string): Promise<unknown> {
  if (!(error instanceof CourtsideError) || error instanceof DiskFullError) return error;
  const freeBytes = await freeSpaceBytes(root);
  if (!DISK_FULL_TEXT.test(error.message) && freeBytes >= MIN_RUNNING_FREE_BYTES) return error;
  return new DiskFullError(root, freeBytes, MIN_RUNNING_FREE_BYTES, { cause: error });
}

/** A killed run without `--data` may still hold the ports that the next one wants. */
async function endOrphansOfLatest(say: (text: string) => void): Promise<void> {
  const latest = await latestDataDir();
  if (latest === undefined) return;
  if ((await readLockOwner(layoutOf(latest).lockFile)) !== undefined) return;
  tellOrphans(await endOrphans(latest), say);
}

function tellOrphans(names: readonly string[], say: (text: string) => void): void {
  if (names.length > 0) say(`ended what a killed run had left running: ${names.join(", ")}`);
}
