import { type IncomingMessage, type ServerResponse } from "node:http";
import { HttpError, jsonBody, sendBody, sendJson } from "./http.ts";
import { type InsightSource } from "./insight-source.ts";
import { type LiveFeed } from "./live-feed.ts";
import { needStore, type StoreReader, storeError, ViewCache } from "./store.ts";
import { modelView } from "./views/model.ts";
import { type About, type JobStand, type ModelEntry } from "./wire-views.ts";
import { type Explain, type FeatureDescription, playMoment } from "./views/moment.ts";
import { pipelineView } from "./views/pipeline.ts";
import { seasonView } from "./views/season.ts";
import { tracesView, traceView } from "./views/traces.ts";

/** What the page can show beyond the live feed; each part may be missing, and its view then says so. */
export interface PageSources {
  readonly store?: StoreReader | undefined;
  readonly features?: readonly FeatureDescription[] | undefined;
  readonly explain?: Explain | undefined;
  /** Models of the registry with their cards. */
  readonly models?: (() => Promise<readonly ModelEntry[]>) | undefined;
  /** Text of the insight job's Prometheus endpoint. */
  readonly metrics?: (() => Promise<string>) | undefined;
  /** Workers, leases and checkpoints of the insight job. */
  readonly job?: (() => Promise<JobStand>) | undefined;
  /** True when `POST /v1/predict` is answered beside the page. */
  readonly predict?: boolean | undefined;
  /** Address of Grafana for the links to it; without it there are none. */
  readonly grafanaUrl?: string | undefined;
}

/** How long a view is the same for everybody, milliseconds: results change by the hour, the machine room by the second. */
const SEASON_FRESH_MS = 10_000;
const MODEL_FRESH_MS = 15_000;
const PIPELINE_FRESH_MS = 1_000;
const TRACES_FRESH_MS = 1_000;
/** A past play's trace and rows may still be on their way to the store. */
const MOMENT_FRESH_MS = 1_000;
/** A statement that a person types; the longest of ours has 2 KB. */
const MAX_STATEMENT_BYTES = 16 * 1024;

/** The JSON behind the page: `GET /api/...`, and `POST /api/sql`. */
export class PageApi {
  readonly #feed: LiveFeed;
  readonly #source: InsightSource;
  readonly #sources: PageSources;
  readonly #views = new ViewCache();

  constructor(feed: LiveFeed, source: InsightSource, sources: PageSources) {
    this.#feed = feed;
    this.#source = source;
    this.#sources = sources;
  }

  /** False when the address is none of these. @throws HttpError */
  async answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<boolean> {
    const { pathname } = url;
    if (!pathname.startsWith("/api/")) return false;
    if (pathname === "/api/sql") {
      await this.#sql(request, response);
      return true;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      throw new HttpError(405, "METHOD_NOT_ALLOWED", `${pathname} can only be read: use GET`);
    }
    if (pathname === "/api/events") {
      this.#feed.hub.connect(request, response, url);
      return true;
    }
    const body = await this.#view(url);
    if (body === undefined) return false;
    await sendBody(request, response, body);
    return true;
  }

  async #view(url: URL): ReturnType<ViewCache["get"]> {
    const { store } = this.#sources;
    const stored = async (
      freshMs: number,
      make: (store: StoreReader) => Promise<unknown>,
    ): ReturnType<ViewCache["get"]> => {
      const reader = needStore(store);
      try {
        return await this.#views.get(url.pathname + url.search, freshMs, () => make(reader));
      } catch (error) {
        throw storeError(error);
      }
    };
    const parts = url.pathname.split("/").slice(2).map(decode);
    const [name, id, sub, number] = parts;
    if (name === "games" && parts.length <= 4) return this.#games(url, id, sub, number);
    if (parts.length > 2) throw notFound(url.pathname);
    if (name === "season") return stored(SEASON_FRESH_MS, seasonView);
    if (name === "models") {
      const models = (await this.#sources.models?.().catch(() => [])) ?? [];
      return stored(MODEL_FRESH_MS, (reader) => modelView(reader, models));
    }
    if (name === "pipeline") {
      return this.#views.get("pipeline", PIPELINE_FRESH_MS, () => this.#pipeline());
    }
    if (name === "traces" && id !== undefined) {
      return stored(TRACES_FRESH_MS, (reader) => traceView(reader, id));
    }
    if (name === "traces") {
      const text = (key: string): string => url.searchParams.get(key) ?? "";
      const minMs = Number(text("minMs"));
      const search = { service: text("service"), name: text("name"), game: text("game") };
      return stored(TRACES_FRESH_MS, (reader) =>
        tracesView(reader, { ...search, minMs: Number.isFinite(minMs) ? minMs : 0 }),
      );
    }
    if (name === "about") {
      const { grafanaUrl = null, predict = false } = this.#sources;
      return jsonBody({ grafanaUrl, predict, store: store !== undefined } satisfies About);
    }
    throw notFound(url.pathname);
  }

  async #games(
    url: URL,
    id: string | undefined,
    sub: string | undefined,
    number: string | undefined,
  ): ReturnType<ViewCache["get"]> {
    if (id === undefined) return jsonBody({ games: this.#feed.summaries() });
    const detail = this.#feed.detail(id);
    if (detail === undefined) {
      throw new HttpError(404, "NO_SUCH_GAME", `no game ${id}; GET /api/games lists all`);
    }
    if (sub === undefined) return jsonBody(detail);
    if (sub !== "plays" || number === undefined) throw notFound(url.pathname);
    return this.#views.get(url.pathname, MOMENT_FRESH_MS, () => this.#moment(id, Number(number)));
  }

  async #moment(id: string, number: number): Promise<unknown> {
    const { book } = this.#feed;
    const sequence = book.sequenceOf(id, number);
    const data = sequence === undefined ? undefined : await this.#source.read(sequence);
    const starterIds = book.startersOf(id);
    const { store, features = [], explain } = this.#sources;
    const moment =
      data === undefined
        ? undefined
        : await playMoment(
            data,
            (playNumber) => ({ elapsedS: book.elapsedAt(id, playNumber), starterIds }),
            { store, features, explain },
          );
    if (moment !== undefined) return moment;
    throw new HttpError(
      404,
      "NO_SUCH_PLAY",
      `play ${String(number)} of game ${id} is not in the stream (any more)`,
    );
  }

  async #pipeline(): Promise<unknown> {
    const { store, metrics, job } = this.#sources;
    return pipelineView({
      store,
      metrics,
      job,
      streams: async () => this.#source.streams(),
      producers: () => this.#feed.book.producers(),
    });
  }

  async #sql(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "POST") {
      response.setHeader("allow", "POST");
      throw new HttpError(405, "METHOD_NOT_ALLOWED", "send the statement with POST");
    }
    // A form of another site cannot send JSON without asking first, and nobody answers it.
    if (!String(request.headers["content-type"]).startsWith("application/json")) {
      throw new HttpError(415, "UNSUPPORTED_MEDIA_TYPE", "content-type must be application/json");
    }
    const site = request.headers["sec-fetch-site"];
    if (site !== undefined && site !== "same-origin" && site !== "none") {
      throw new HttpError(403, "FOREIGN_PAGE", "only this page may ask the store");
    }
    const store = needStore(this.#sources.store);
    const statement = statementOf(await readText(request));
    try {
      sendJson(response, 200, await store.ask(statement));
    } catch (error) {
      const text = storeError(error).message.replace("the store did not answer: ", "");
      throw new HttpError(400, "SQL_FAILED", text, { cause: error });
    }
  }
}

function notFound(pathname: string): HttpError {
  return new HttpError(404, "NOT_FOUND", `nothing at ${pathname}`);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new HttpError(400, "BAD_ADDRESS", "the address is malformed", { cause });
  }
}

function statementOf(text: string): string {
  try {
    const body = JSON.parse(text) as { query?: unknown } | null;
    if (typeof body?.query === "string" && body.query.trim() !== "") return body.query;
  } catch (cause) {
    throw new HttpError(400, "INVALID_JSON", 'the body must be JSON: {"query": "SELECT 1"}', {
      cause,
    });
  }
  throw new HttpError(400, "NO_STATEMENT", 'the body must be {"query": "SELECT 1"}');
}

async function readText(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_STATEMENT_BYTES) {
      throw new HttpError(413, "TOO_LONG", `a statement has at most ${MAX_STATEMENT_BYTES} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
