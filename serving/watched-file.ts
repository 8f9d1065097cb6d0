import { readFile } from "node:fs/promises";
import { CourtsideError, errorText } from "../base/errors.ts";
import { type Log } from "../base/log.ts";

/** A file that the server was told to use cannot be used. */
export class UnusableFileError extends CourtsideError {
  override readonly code = "UNUSABLE_FILE";
  override readonly retryable = false;
}

/** Certificates are renewed hours before they end; a token is out of use within this time. */
const POLL_MS = 5_000;

/** Files that are read again when they change. */
export interface WatchedFiles {
  stop(): void;
}

/**
 * Reads files, and again now and then; hands them over when any of them has changed.
 * @param use - throws when the files cannot be used: at first that is an error, later the ones before stay in use.
 * @throws UnusableFileError
 */
export async function watchFiles(
  files: readonly string[],
  use: (contents: readonly Buffer[]) => void,
  { log, pollMs = POLL_MS }: { readonly log: Log; readonly pollMs?: number },
): Promise<WatchedFiles> {
  let used: readonly Buffer[] = [];
  const load = async (): Promise<void> => {
    const contents = await Promise.all(files.map((file) => readFile(file)));
    if (used.length > 0 && contents.every((content, i) => used[i]?.equals(content))) return;
    used = contents;
    use(contents);
  };
  try {
    await load();
  } catch (error) {
    const message = `cannot use ${files.join(", ")}: ${errorText(error)}`;
    throw new UnusableFileError(message, { cause: error });
  }
  const timer = setInterval(() => {
    load().catch((error: unknown) => {
      log.error("changed files cannot be used; those before stay", error, {
        files: files.join(", "),
      });
    });
  }, pollMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
