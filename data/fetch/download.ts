import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { CourtsideError, errorText } from "../../base/errors.ts";
import { type ArchiveFile } from "./archive.ts";

/** Tries of one request: five spread over half a minute outlast a restart of a server, not an outage. */
const TRIES = 5;
const FIRST_WAIT_MS = 1_000;
/** A server that asks for more patience than this is not waited for. */
const LONGEST_WAIT_MS = 60_000;
/** A connection that gives nothing for this long is dead. */
const SILENCE_MS = 30_000;

/** A file or a list could not be fetched. */
export class DownloadError extends CourtsideError {
  override readonly code = "DOWNLOAD_FAILED";
  override readonly retryable: boolean;

  constructor(url: string, why: string, retryable: boolean, options?: ErrorOptions) {
    super(`${url}: ${why}`, options);
    this.retryable = retryable;
  }
}

/** The bytes that came are not those that the archive names. */
export class ChecksumError extends CourtsideError {
  override readonly code = "CHECKSUM";
  override readonly retryable = true;

  constructor(name: string, found: string, expected: string) {
    super(
      `${name}: the checksum is ${found}, the archive says ${expected}; the file was thrown away`,
    );
  }
}

export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** First wait before another try; doubles. */
  readonly waitMs?: number;
  readonly onProgress?: (doneBytes: number) => void;
}

/** What became of a file: it was there already, or came now, whole or from where an earlier try broke off. */
export type Outcome = "kept" | "fetched" | "resumed";

/**
 * Fetches a file to `target`. What an interrupted run left in `<target>.part` is gone on from; the file gets its name
 * when its checksum is right, so a file that is there is a whole one.
 * @throws DownloadError, ChecksumError; AbortError when the signal says so (the part stays).
 */
export async function download(
  file: ArchiveFile,
  target: string,
  options: DownloadOptions,
): Promise<Outcome> {
  if ((await sizeOf(target)) === file.sizeBytes && (await gitSha1(target)) === file.gitSha1) {
    options.onProgress?.(file.sizeBytes);
    return "kept";
  }
  const part = `${target}.part`;
  const before = await sizeOf(part);
  for (let attempt = 1; ; attempt++) {
    try {
      await fetchRest(file, part, options);
      break;
    } catch (error) {
      options.signal.throwIfAborted();
      if (attempt === TRIES || (error instanceof DownloadError && !error.retryable)) throw error;
      await wait((options.waitMs ?? FIRST_WAIT_MS) * 2 ** (attempt - 1), undefined, {
        signal: options.signal,
      });
    }
  }
  const found = await gitSha1(part);
  if (found !== file.gitSha1) {
    await rm(part, { force: true });
    throw new ChecksumError(file.name, found, file.gitSha1);
  }
  await rename(part, target);
  return before > 0 ? "resumed" : "fetched";
}

/** Appends to the part what it lacks. */
async function fetchRest(file: ArchiveFile, part: string, options: DownloadOptions): Promise<void> {
  let done = await sizeOf(part);
  if (done > file.sizeBytes) {
    await rm(part);
    done = 0;
  }
  if (done === file.sizeBytes) return;
  const headers: Record<string, string> = done > 0 ? { range: `bytes=${done}-` } : {};
  const response = await request(file.url, { ...options, headers });
  // A server that knows no ranges sends all of it again.
  const isRest = response.status === 206;
  if (!isRest) done = 0;
  const handle = await open(part, isRest ? "a" : "w");
  try {
    for await (const bytes of response.body) {
      options.signal.throwIfAborted();
      await handle.write(bytes);
      done += bytes.length;
      if (done > file.sizeBytes) break;
      options.onProgress?.(done);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (done === file.sizeBytes) return;
  const found = `${done} of ${file.sizeBytes} bytes came`;
  if (done > file.sizeBytes) await rm(part);
  throw new DownloadError(file.url, found, true);
}

/** An answer with a status of success. */
export interface Answer {
  readonly status: number;
  /** To be read to its end or broken off; throws a `DownloadError` when the connection breaks or falls silent. */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * One answer with a status of success. 429 and 5xx are tried again, after the time that the server asks for.
 * @throws DownloadError, AbortError
 */
export async function request(
  url: string,
  options: DownloadOptions & { readonly headers?: Readonly<Record<string, string>> },
): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const silence = new Silence();
    const response = await answer(url, options, silence);
    if (typeof response !== "string" && response.ok) {
      return { status: response.status, body: bodyOf(response, url, silence) };
    }
    silence.end();
    const why = typeof response === "string" ? response : refusal(response);
    const isPassing =
      typeof response === "string" || response.status === 429 || response.status >= 500;
    if (typeof response !== "string") await response.body?.cancel();
    if (!isPassing || attempt === TRIES) throw new DownloadError(url, why, isPassing);
    const asked = typeof response === "string" ? undefined : retryAfterMs(response);
    const waitMs = asked ?? (options.waitMs ?? FIRST_WAIT_MS) * 2 ** (attempt - 1);
    if (waitMs > LONGEST_WAIT_MS) {
      throw new DownloadError(url, `${why}, and asks to wait ${waitMs / 1000} s`, true);
    }
    await wait(waitMs, undefined, { signal: options.signal });
  }
}

/** Gives up on a connection that gives nothing for `SILENCE_MS`. */
class Silence {
  readonly #controller = new AbortController();
  readonly #timer = setTimeout(() => {
    this.#controller.abort();
  }, SILENCE_MS);

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something came. */
  broken(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/** The answer, or why there is none. */
async function answer(
  url: string,
  options: DownloadOptions & { readonly headers?: Readonly<Record<string, string>> },
  silence: Silence,
): Promise<Response | string> {
  try {
    return await fetch(url, {
      headers: { "user-agent": "courtside", ...options.headers },
      signal: AbortSignal.any([options.signal, silence.signal]),
    });
  } catch (error) {
    silence.end();
    options.signal.throwIfAborted();
    if (silence.signal.aborted) return `no answer in ${SILENCE_MS / 1000} s`;
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    return `no connection (${errorText(cause)})`;
  }
}

async function* bodyOf(
  response: Response,
  url: string,
  silence: Silence,
): AsyncIterable<Uint8Array> {
  try {
    for await (const bytes of response.body ?? []) {
      silence.broken();
      yield bytes;
    }
  } catch (error) {
    const why = silence.signal.aborted ? `silent for ${SILENCE_MS / 1000} s` : errorText(error);
    throw new DownloadError(url, `the connection broke (${why})`, true, { cause: error });
  } finally {
    silence.end();
  }
}

function refusal(response: Response): string {
  const hint =
    response.headers.get("x-ratelimit-remaining") === "0"
      ? "; the server's limit of requests an hour is reached, try again later"
      : "";
  return `the server answers ${response.status} ${response.statusText}${hint}`;
}

function retryAfterMs(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}

/** The checksum that git gives a file. */
async function gitSha1(file: string): Promise<string> {
  const hash = createHash("sha1").update(`blob ${await sizeOf(file)}\0`);
  for await (const bytes of createReadStream(file)) hash.update(bytes as Buffer);
  return hash.digest("hex");
}
