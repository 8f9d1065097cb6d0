import { link, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errorText } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import {
  type BlobStore,
  type FaultPoint,
  FencedError,
  type HeadRevision,
  type HeadStore,
  RegionStore,
  StoreError,
} from "../operators/mod.ts";

const TEMPORARY = ".tmp";

/** Blobs as files. A file gets its name when all its bytes are on the disk (fsync, then rename). */
export class DirectoryBlobs implements BlobStore {
  readonly location: string;
  readonly #fault: FaultPoint | undefined;

  constructor(directory: string, fault?: FaultPoint) {
    this.location = directory;
    this.#fault = fault;
  }

  async put(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const path = join(this.location, name);
    await explained(`write ${name} to`, this.location, async () => {
      await mkdir(dirname(path), { recursive: true });
      await writeDurably(`${path}${TEMPORARY}`, parts);
      this.#fault?.("half-blob");
      await rename(`${path}${TEMPORARY}`, path);
    });
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    return explained(`read ${name} in`, this.location, async () =>
      orMissing(readFile(join(this.location, name))),
    );
  }

  async list(prefix: string): Promise<readonly string[]> {
    return explained("list", this.location, async () => {
      const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
      const found = await orMissing(
        readdir(join(this.location, folder), { recursive: true, withFileTypes: true }),
      );
      return (found ?? [])
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(join(this.location, "/").length))
        .filter((name) => name.startsWith(prefix));
    });
  }

  async remove(name: string): Promise<void> {
    await explained(`remove ${name} in`, this.location, async () =>
      rm(join(this.location, name), { force: true }),
    );
  }
}

/**
 * A head as numbered files, for jobs without a broker: the next number is taken by a link, which fails when the
 * file is there, so of two that swap the same revision one wins.
 */
export class DirectoryHead implements HeadStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async read(): Promise<HeadRevision> {
    const revision = await this.#newest();
    if (revision === 0) return { bytes: undefined, revision };
    const bytes = await orMissing(readFile(this.#path(revision)));
    // Somebody has swapped in between.
    return bytes === undefined ? this.read() : { bytes, revision };
  }

  async swap(revision: number, bytes: Uint8Array): Promise<number> {
    return explained("swap the head in", this.#directory, async () => {
      await mkdir(this.#directory, { recursive: true });
      const temporary = join(
        this.#directory,
        `${String(process.pid)}-${String(revision)}${TEMPORARY}`,
      );
      await writeDurably(temporary, [bytes]);
      try {
        await link(temporary, this.#path(revision + 1));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
        throw new FencedError(`the head in ${this.#directory} was swapped by another process`);
      } finally {
        await rm(temporary, { force: true });
      }
      // Far behind, the number may have been free because it was used and removed.
      if ((await this.#newest()) !== revision + 1)
        throw new FencedError(`the head in ${this.#directory} was swapped by another process`);
      await rm(this.#path(revision), { force: true });
      return revision + 1;
    });
  }

  async #newest(): Promise<number> {
    const names = (await orMissing(readdir(this.#directory))) ?? [];
    return Math.max(0, ...names.filter((name) => /^\d+$/.test(name)).map(Number));
  }

  #path(revision: number): string {
    return join(this.#directory, String(revision));
  }
}

/** Snapshots of a job of one region, all of it in one directory: for runs without a broker. */
export function directoryStore(directory: string, job: string, log: Log): RegionStore {
  return new RegionStore({
    blobs: new DirectoryBlobs(directory),
    head: new DirectoryHead(join(directory, "head")),
    job,
    region: "all",
    owner: String(process.pid),
    log,
  });
}

/** Resolves when the bytes are on the disk; the name is not until its folder is. */
export async function writeDurably(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, "w");
  try {
    if (parts.length > 0) await file.writev([...parts]);
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function orMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** What a person can do about an error of the file system. */
const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: free some space, the job goes on by itself",
  EDQUOT: "the quota is used up: free some space, the job goes on by itself",
  EACCES:
    "this user has no rights there: give them, or name another place with --data or --checkpoints",
  EPERM:
    "this user has no rights there: give them, or name another place with --data or --checkpoints",
  EROFS: "it is read-only: name another place with --data or --checkpoints",
  ENOTDIR: "it is not a directory: name another place with --data or --checkpoints",
};

async function explained<T>(what: string, where: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof FencedError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? "";
    throw new StoreError(`cannot ${what} ${where}: ${HINTS[code] ?? errorText(error)}`, {
      cause: error,
    });
  }
}
