import { constants } from "node:fs";
import { access, mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CourtsideError, errorText } from "../../base/errors.ts";
import { checkFreeSpace, DataDirError } from "../data-dir.ts";
import { isErrno } from "../process.ts";

/** The engine writes parts of some kilobytes to megabytes; with less than this it fails within minutes. */
const MIN_FREE_BYTES = 64 * 1024 * 1024;

/** Another process has the directory open. */
export class DataDirLockedError extends CourtsideError {
  override readonly code = "DATA_DIR_LOCKED";
  override readonly retryable = true;
}

/**
 * Makes `dataDir` if needed and checks that a store can live in it.
 *
 * @returns its absolute path.
 * @throws DataDirError, DiskFullError
 */
export async function prepareDataDirectory(dataDir: string): Promise<string> {
  const path = resolve(dataDir);
  // The engine takes these for patterns when it reads rows from a file.
  if (/[*?{}]/.test(path)) {
    throw new DataDirError(`${path} contains one of * ? { }; name another directory with --data`);
  }
  try {
    await mkdir(path, { recursive: true });
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new DataDirError(
      `cannot write to ${path}: ${errorText(error)}; name another directory with --data`,
      { cause: error },
    );
  }
  await checkFreeSpace(path, MIN_FREE_BYTES);
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
    return new DataDirLockedError(
      `${path} is in use by process ${pid}; stop it, talk to it with --clickhouse-url, ` +
        "or name another directory with --data",
      { cause },
    );
  }
  return new DataDirError(
    `ClickHouse cannot open ${path}; the line before this one says why. If the files there are damaged or ` +
      "from a newer version, move them away, or name another directory with --data",
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
    return isErrno(error, "EPERM");
  }
}
