import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { delay } from "../base/clock.ts";
import { CourtsideError, errorText } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { SealedRows, TransactionalSink } from "../operators/mod.ts";
import { writeDurably } from "./directory-store.ts";

/** The disk did not take a file, at once or in the time that somebody may need to free some space. */
export class FileSinkError extends CourtsideError {
  override readonly code = "FILE_SINK";
  override readonly retryable = true;
}

const TEMPORARY = ".tmp";
/** So that names sort as numbers; ids do not get so long. */
const ID_DIGITS = 10;
/** Bytes that wait above which a checkpoint is asked for early: they are held in memory and in the snapshot. */
const FULL_BYTES = 32 * 1024 ** 2;
const RETRY_MS = 1000;
const GIVE_UP_AFTER_MS = 120_000;
/** What somebody else may mend while the job waits. */
const PASSING_CODES: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EMFILE", "ENFILE"]);

export interface FileSinkOptions<T> {
  readonly uid: string;
  /** Names the job, and its region where there are several: two of the same name would share their files. */
  readonly job: string;
  readonly directory: string;
  /** One line, without its end. */
  line(value: T): string;
  readonly log: Log;
  /** Called at named moments, for tests. */
  readonly fault?: (name: string) => void;
}

/**
 * Lines of text in files, one a checkpoint: `<directory>/<job>/<uid>/<checkpoint id>.jsonl`. A file gets its name
 * when all its lines are on the disk, so readers see a checkpoint whole or not at all; its name is its token, so
 * one that is committed again is there already. Readers leave names that end in `.tmp` alone.
 */
export class FileSink<T> implements TransactionalSink<T> {
  readonly mode = "transactional";
  readonly uid: string;
  readonly #options: FileSinkOptions<T>;
  #lines: string[] = [];
  #bytes = 0;

  constructor(options: FileSinkOptions<T>) {
    this.uid = options.uid;
    this.#options = options;
  }

  /** Makes the folder, and removes what a crash left half written. @throws FileSinkError. */
  async open(): Promise<void> {
    const folder = dirname(this.#path(this.#token(0)));
    try {
      await mkdir(folder, { recursive: true });
      for (const name of await readdir(folder))
        if (name.endsWith(TEMPORARY)) await rm(join(folder, name), { force: true });
    } catch (error) {
      throw new FileSinkError(`cannot write to ${folder}: ${errorText(error)}`, { cause: error });
    }
  }

  write(value: T): void {
    const line = `${this.#options.line(value)}\n`;
    this.#lines.push(line);
    this.#bytes += line.length;
  }

  full(): boolean {
    return this.#bytes >= FULL_BYTES;
  }

  seal(checkpointId: number): readonly SealedRows[] {
    const lines = this.#lines;
    if (lines.length === 0) return [];
    this.#lines = [];
    this.#bytes = 0;
    const bytes = Buffer.from(lines.join(""));
    return [{ table: this.uid, token: this.#token(checkpointId), rows: lines.length, bytes }];
  }

  async commit(blocks: readonly SealedRows[]): Promise<void> {
    for (const block of blocks) await this.#writeUntilTaken(block);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #writeUntilTaken(block: SealedRows): Promise<void> {
    const path = this.#path(block.token);
    const giveUpMs = performance.now() + GIVE_UP_AFTER_MS;
    for (;;) {
      try {
        await this.#writeOnce(path, block.bytes);
        return;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? "";
        if (performance.now() > giveUpMs || !PASSING_CODES.has(code))
          throw new FileSinkError(`cannot write ${path}: ${errorText(error)}`, { cause: error });
        this.#options.log.warn("file_retry", { path, error: errorText(error) });
        await delay(RETRY_MS);
      }
    }
  }

  async #writeOnce(path: string, bytes: Uint8Array): Promise<void> {
    if (await isThere(path)) return;
    const temporary = `${path}.${String(process.pid)}${TEMPORARY}`;
    await writeDurably(temporary, [bytes]);
    this.#options.fault?.("before-rename");
    await rename(temporary, path);
    await syncFolder(dirname(path));
    this.#options.fault?.("after-rename");
  }

  #token(checkpointId: number): string {
    return `${this.#options.job}/${this.uid}/${String(checkpointId).padStart(ID_DIGITS, "0")}`;
  }

  #path(token: string): string {
    // A part may not lead out of the directory.
    const parts = token.split("/").map((part) => encodeURIComponent(part).replace(/^\./, "%2E"));
    return `${join(this.#options.directory, ...parts)}.jsonl`;
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** A new name is on the disk when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
