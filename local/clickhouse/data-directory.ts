import { constants } from "node:fs";
import { access, mkdir, readFile, statfs } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CourtsideError, errorText } from "../../base/errors.ts";

/** The engine writes parts of some kilobytes to megabytes; with less than this it fails within minutes. */
const MIN_FREE_BYTES = 64 * 1024 * 1024;

/** The directory cannot hold a store; the message says why and what to do. */
export class DataDirectoryError extends CourtsideError {
  override readonly code = "DATA_DIRECTORY_UNUSABLE";
  override readonly retryable = false;
}

/** Another process has the directory open. */
export class DataDirectoryLockedError extends CourtsideError {
  override readonly code = "DATA_DIRECTORY_LOCKED";
  override readonly retryable = true;
}

/**
 * Makes `dataDir` if needed and checks that a store can live in it.
 *
 * @returns its absolute path.
 * @throws DataDirectoryError
 */
export async function prepareDataDirectory(dataDir: string): Promise<string> {
  const path = resolve(dataDir);
  const otherwise = "choose another with --data";
  // The engine takes these for patterns when it reads rows from a file.
  if (/[*?{}]/.test(path)) {
    throw new DataDirectoryError(`${path} contains one of * ? { }; ${otherwise}`);
  }
  let freeBytes: number;
  try {
    await mkdir(path, { recursive: true });
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    const disk = await statfs(path);
    freeBytes = disk.bavail * disk.bsize;
  } catch (error) {
    const detail = errorText(error);
    throw new DataDirectoryError(
      `${path} cannot be written (${detail}); give yourself the right to write there, or ${otherwise}`,
      { cause: error },
    );
  }
  if (freeBytes < MIN_FREE_BYTES) {
    const mebibytes = Math.floor(freeBytes / 1024 / 1024);
    throw new DataDirectoryError(
      `${path} has only ${mebibytes} MiB free on its disk; free some space, or ${otherwise}`,
    );
  }
  return path;
}

/**
 * Why the engine did not open `path`: most of the time another process has it.
 *
 * @param cause - what the engine said.
 */
export async function explainOpenFailure(path: string, cause: unknown): Promise<CourtsideError> {
  const pid = await holderOf(path);
  if (pid !== undefined && isAlive(pid)) {
    return new DataDirectoryLockedError(
      `${path} is in use by process ${pid}; stop it, talk to it with --clickhouse-url, ` +
        "or choose another directory with --data",
      { cause },
    );
  }
  return new DataDirectoryError(
    `ClickHouse cannot open ${path}; the line before this one says why. If the files there are damaged or ` +
      "from a newer version, move them away, or choose another directory with --data",
    { cause },
  );
}

/** The engine writes its process id into `status`, and holds a lock on that file while it runs. */
async function holderOf(path: string): Promise<number | undefined> {
  try {
    const pid = Number(/^PID: (\d+)/m.exec(await readFile(join(path, "status"), "utf8"))?.[1]);
    return Number.isInteger(pid) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
