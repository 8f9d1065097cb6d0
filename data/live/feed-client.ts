import { errorText } from "../../base/errors.ts";
import type { Json } from "../readers/json-cells.ts";

/** The league's own feed. */
export const NBA_FEED_URL = "https://cdn.nba.com/static/json";

/** A play-by-play has 0.4 MB, the schedule of a season 8 MB. */
const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024;

/** Longest wait that a server may ask for; beyond it, it is asked again anyhow. */
const MAX_RETRY_AFTER_MS = 600_000;

/** What became of one request. */
export type FeedAnswer =
  | { readonly kind: "fresh"; readonly document: Json; readonly asOfMs: number | undefined }
  /** The document is the one that was given last. */
  | { readonly kind: "unchanged" }
  /** There is no such document, as for a game that has not begun. */
  | { readonly kind: "absent"; readonly status: number }
  | { readonly kind: "failed"; readonly why: string; readonly retryAfterMs: number | undefined };

export interface FeedClientOptions {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

interface Validators {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/**
 * Documents of the feed over the platform's `fetch`. Asks for what has changed only (`If-None-Match`,
 * `If-Modified-Since`); what was cut short or is no JSON is a failure and is asked for again. Never throws but
 * when the signal is aborted.
 */
export class FeedClient {
  readonly #options: FeedClientOptions;
  readonly #validators = new Map<string, Validators>();

  constructor(options: FeedClientOptions) {
    this.#options = options;
  }

  /** @param path - behind the address of the feed, with a slash at its beginning. */
  async get(path: string): Promise<FeedAnswer> {
    const { baseUrl, timeoutMs, signal } = this.#options;
    try {
      const response = await fetch(`${baseUrl}${path}`, {
        headers: this.#headers(path),
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      return await this.#read(path, response);
    } catch (error) {
      signal.throwIfAborted();
      return failed(reasonOf(error));
    }
  }

  /** Forgets what it has of a document, so that the next answer is a whole one. */
  forget(path: string): void {
    this.#validators.delete(path);
  }

  #headers(path: string): Record<string, string> {
    const { etag, lastModified } = this.#validators.get(path) ?? {};
    return {
      accept: "application/json",
      "user-agent": "courtside (play-by-play follower)",
      ...(etag !== undefined && { "if-none-match": etag }),
      ...(lastModified !== undefined && { "if-modified-since": lastModified }),
    };
  }

  async #read(path: string, response: Response): Promise<FeedAnswer> {
    const { status, headers } = response;
    if (status !== 200) await response.body?.cancel();
    if (status === 304) return { kind: "unchanged" };
    // The league's servers answer 403 for what is not there (yet).
    if (status === 403 || status === 404) return { kind: "absent", status };
    if (status !== 200) return failed(`status ${String(status)}`, headers.get("retry-after"));
    const body = await readBody(response);
    const document = JSON.parse(body) as Json;
    const lastModified = headers.get("last-modified") ?? undefined;
    // Only now: a document that could not be read must not be taken for known.
    this.#validators.set(path, { etag: headers.get("etag") ?? undefined, lastModified });
    const asOfMs = Date.parse(lastModified ?? "");
    return { kind: "fresh", document, asOfMs: Number.isFinite(asOfMs) ? asOfMs : undefined };
  }
}

async function readBody(response: Response): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_DOCUMENT_BYTES)
      throw new RangeError(`the document has more than ${String(MAX_DOCUMENT_BYTES)} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function failed(why: string, retryAfter: string | null = null): FeedAnswer {
  return { kind: "failed", why, retryAfterMs: retryAfterMs(retryAfter) };
}

/** Seconds, or a date. @see RFC 9110, section 10.2.3. */
function retryAfterMs(text: string | null): number | undefined {
  if (text === null) return undefined;
  const seconds = Number(text);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms)) : undefined;
}

/** The word for a metric as well, so without what differs from time to time. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return "timed out";
  if (error instanceof SyntaxError) return "no whole JSON";
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? `${errorText(error)}: ${errorText(cause)}` : errorText(error);
}
