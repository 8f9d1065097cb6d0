import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";

/**
 * Rows of inserts on their way to the engine, each in a file of its own. The engine ends rows that stand in
 * a statement at the first blank line and runs what follows as SQL; from a file it reads every byte as data.
 */
export class Spool {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes an empty folder in `dataDir`; what a killed server left there is removed. */
  static async open(dataDir: string): Promise<Spool> {
    const folder = join(dataDir, "spool");
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new Spool(folder);
  }

  /**
   * Runs `work` with the path of a file that holds `rows`; the file is gone afterwards.
   * @param through - for example a decompressor.
   */
  async with<T>(
    rows: Readable,
    through: readonly (Readable & Writable)[],
    work: (path: string, sizeBytes: number) => Promise<T>,
  ): Promise<T> {
    const path = join(this.#folder, randomUUID());
    const file = createWriteStream(path, { mode: 0o600 });
    try {
      await pipeline([rows, ...through, file]);
      return await work(path, file.bytesWritten);
    } finally {
      await rm(path, { force: true });
    }
  }

  /** Removes the folder. */
  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
