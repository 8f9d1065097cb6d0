import { errorText } from "../base/errors.ts";
import { type Body, HttpError, jsonBody } from "./http.ts";
import { type SqlAnswer } from "./wire-views.ts";

/** The tables, read-only. Whoever starts the page opens them and sets the limits. */
export interface StoreReader {
  /** Rows of a statement of ours; `{name:Type}` in it is taken from `params`. */
  rows<Row>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<Row[]>;
  /** A statement that a person typed: refused unless it only reads. */
  ask(sql: string): Promise<SqlAnswer>;
}

/** Answers that fit a screen; whoever wants more asks with the command line. */
export const MAX_CONSOLE_ROWS = 1_000;

/** Views by address that are kept; the list of games and a few traces fit. */
const MAX_KEPT_VIEWS = 64;

interface Kept {
  readonly madeAtMs: number;
  readonly body: Promise<Body>;
}

/** Makes each view once in `freshMs` for all pages together, however many ask. */
export class ViewCache {
  readonly #kept = new Map<string, Kept>();

  async get(key: string, freshMs: number, make: () => Promise<unknown>): Promise<Body> {
    const kept = this.#kept.get(key);
    if (kept !== undefined && performance.now() - kept.madeAtMs < freshMs) return kept.body;
    const body = make().then((view) => jsonBody(view));
    this.#kept.delete(key);
    this.#kept.set(key, { madeAtMs: performance.now(), body });
    // An answer that failed is not kept: the next page asks again.
    body.catch(() => this.#kept.delete(key));
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > MAX_KEPT_VIEWS && oldest.done !== true) this.#kept.delete(oldest.value);
    return body;
  }
}

/** @throws HttpError 503 when the page was started without a store. */
export function needStore(store: StoreReader | undefined): StoreReader {
  if (store !== undefined) return store;
  throw new HttpError(
    503,
    "NO_STORE",
    "this page was started without a store; start it with --clickhouse-url to see this view",
  );
}

/** A view that failed, as an answer: the store's own words help whoever looks at the page. */
export function storeError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  return new HttpError(503, "STORE_FAILED", `the store did not answer: ${errorText(error)}`, {
    cause: error,
  });
}
