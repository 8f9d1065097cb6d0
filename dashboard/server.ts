import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo } from "node:net";
import { CourtsideError } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import { noTracing, type Tracing } from "../base/tracing.ts";
import { PLAYS_STREAM } from "../proto/subjects.ts";
import { PageApi, type PageSources } from "./api.ts";
import { BROKER_WAIT_MS, connectBroker } from "./broker.ts";
import { GameBook } from "./games.ts";
import { HttpError, sendJson } from "./http.ts";
import { type InsightListener, type InsightSource, NatsInsightSource } from "./insight-source.ts";
import { type StreamStand } from "./wire-views.ts";
import { LiveFeed } from "./live-feed.ts";
import { loadPage, type PageFiles, serveStatic } from "./static.ts";

/** How often the stream of plays is looked at, to tell a job that has stopped from a game that has. */
const PLAYS_POLL_MS = 1_000;

/** Takes a request; false (or a promise of it) leaves it to the next one. */
export type RequestHandler = (
  request: IncomingMessage,
  response: ServerResponse,
) => boolean | Promise<boolean>;

export interface DashboardOptions {
  /** TCP port, 0 for a free one. */
  readonly port: number;
  /** Address to listen on; default 127.0.0.1. */
  readonly host?: string;
  /** Broker to read the insights from; or `source`. */
  readonly natsUrl?: string;
  readonly source?: InsightSource;
  /** How long a broker that does not answer yet is waited for, milliseconds; default 20,000. */
  readonly brokerWaitMs?: number;
  /** Ends that wait. */
  readonly signal?: AbortSignal;
  /** Tried in order before the page's own routes, for example the predict gateway. */
  readonly handlers?: readonly RequestHandler[];
  readonly log?: Log;
  readonly tracing?: Tracing;
  readonly metrics?: Metrics;
  /** What the views beside the live ones read from. */
  readonly sources?: PageSources;
  /** Path under which a proxy shows the page, for example `/courtside`; default none. */
  readonly basePath?: string;
  /** Games in the view; default `DEFAULT_MAX_GAMES`. */
  readonly maxGames?: number;
}

export interface Dashboard {
  readonly port: number;
  /** Ends the pages' event streams, stops reading and listening. */
  close(): Promise<void>;
}

/** Somebody else listens on the port. */
export class PortInUseError extends CourtsideError {
  override readonly code = "PORT_IN_USE";
  override readonly retryable = false;
  readonly port: number;

  constructor(port: number, options?: ErrorOptions) {
    super(
      `port ${String(port)} is in use; choose another one with --port, or --port 0 for a free one`,
      options,
    );
    this.port = port;
  }
}

/**
 * Serves the live page on `port` and keeps it up to date from the INSIGHTS stream.
 * @throws PortInUseError, BrokerUnreachableError
 */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { log = silentLog, tracing = noTracing, handlers = [] } = options;
  const basePath = (options.basePath ?? "").replace(/\/+$/u, "");
  const feed = new LiveFeed(new GameBook(options.maxGames), log, tracing, options.metrics);
  const page = loadPage();
  // Who asks for it is told; a server that nobody looks at works without.
  page.catch((error: unknown) => log.error("no page", error));
  const source = new LateSource();
  const api = new PageApi(feed, source, options.sources ?? {});
  const site: Site = { feed, api, handlers, basePath, page, log };
  const server = createServer((request, response) => {
    void answer(request, response, site);
  });
  await listen(server, options.port, options.host ?? "127.0.0.1");
  const { port } = server.address() as AddressInfo;
  let stopSource: () => Promise<void>;
  try {
    stopSource = await startSource(options, feed, source, log);
  } catch (error) {
    server.close();
    throw error;
  }
  log.info("dashboard ready", { port });
  return {
    port,
    close: async () => {
      await stopSource();
      feed.close();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeIdleConnections();
      // Event streams were ended above; whoever does not read his end is not waited for.
      const force = setTimeout(() => server.closeAllConnections(), 500);
      await closed.promise;
      clearTimeout(force);
    },
  };
}

async function startSource(
  options: DashboardOptions,
  feed: LiveFeed,
  late: LateSource,
  log: Log,
): Promise<() => Promise<void>> {
  if (options.source !== undefined) {
    late.use(options.source).start(feed);
    return async () => late.stop();
  }
  const { natsUrl = "nats://127.0.0.1:4222", brokerWaitMs = BROKER_WAIT_MS } = options;
  const { signal = new AbortController().signal } = options;
  const connection = await connectBroker(natsUrl, brokerWaitMs, signal);
  late.use(new NatsInsightSource(connection, log)).start(feed);
  const watch = setInterval(() => void lookAtPlays(late, feed), PLAYS_POLL_MS);
  return async () => {
    clearInterval(watch);
    await late.stop();
    await connection.close();
  };
}

async function lookAtPlays(source: InsightSource, feed: LiveFeed): Promise<void> {
  const streams = await source.streams();
  const plays = streams?.find(({ name }) => name === PLAYS_STREAM);
  if (plays !== undefined) feed.notePlays(plays.lastSequence);
}

/** The page is served before the broker answers; until then nothing can be read from it. */
class LateSource implements InsightSource {
  #source: InsightSource | undefined;

  use(source: InsightSource): InsightSource {
    this.#source = source;
    return source;
  }

  start(listener: InsightListener): void {
    this.#source?.start(listener);
  }

  async read(sequence: number): Promise<Uint8Array | undefined> {
    return this.#source?.read(sequence);
  }

  async streams(): Promise<readonly StreamStand[] | undefined> {
    return this.#source?.streams();
  }

  async stop(): Promise<void> {
    await this.#source?.stop();
  }
}

interface Site {
  readonly feed: LiveFeed;
  readonly api: PageApi;
  readonly handlers: readonly RequestHandler[];
  /** Empty, or `/prefix` without a slash at its end. */
  readonly basePath: string;
  readonly page: Promise<PageFiles>;
  readonly log: Log;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  site: Site,
): Promise<void> {
  const { log } = site;
  try {
    const url = parseUrl(request.url ?? "/");
    if (url === undefined) return sendJson(response, 400, { error: "the address is malformed" });
    if (site.basePath !== "" && !withoutPrefix(request, response, url, site.basePath)) return;
    for (const handler of site.handlers) if (await handler(request, response)) return;
    await answerOwn(request, response, site, url);
  } catch (error) {
    if (response.headersSent) {
      response.destroy();
    } else if (error instanceof HttpError) {
      const { status, code, message } = error;
      if (status >= 500) log.warn("request failed", { url: request.url ?? "", code, message });
      sendJson(response, status, { error: message, code });
    } else {
      log.error("request failed", error, { url: request.url ?? "" });
      sendJson(response, 500, { error: "internal error; the log of the server says more" });
    }
  }
}

/** Takes the prefix off the address; answers by itself, with false, what lies outside of it. */
function withoutPrefix(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  basePath: string,
): boolean {
  if (url.pathname === basePath) {
    response.writeHead(308, { location: `${basePath}/` }).end();
    return false;
  }
  // Health is asked for without the prefix too: by whoever runs the process, not by who reads the page.
  if (!url.pathname.startsWith(`${basePath}/`)) {
    if (url.pathname === "/healthz") return true;
    sendJson(response, 404, { error: `nothing here; the page is at ${basePath}/` });
    return false;
  }
  url.pathname = url.pathname.slice(basePath.length);
  request.url = url.pathname + url.search;
  return true;
}

async function answerOwn(
  request: IncomingMessage,
  response: ServerResponse,
  { feed, api, page }: Site,
  url: URL,
): Promise<void> {
  const { pathname } = url;
  if (await api.answer(request, response, url)) return;
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    throw new HttpError(405, "METHOD_NOT_ALLOWED", `${pathname} can only be read: use GET`);
  }
  if (pathname === "/healthz") return sendJson(response, 200, healthOf(feed));
  if (await serveStatic(await page, pathname, request, response)) return;
  throw new HttpError(404, "NOT_FOUND", `nothing at ${pathname}`);
}

/** The process is well as long as it answers; what it knows of the feed is for people and for `up`. */
function healthOf(feed: LiveFeed): Record<string, unknown> {
  return {
    ok: true,
    ...feed.status(),
    clients: feed.hub.clients,
    droppedClients: feed.hub.droppedClients,
  };
}

function parseUrl(path: string): URL | undefined {
  return URL.canParse(path, "http://localhost") ? new URL(path, "http://localhost") : undefined;
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  const listening = Promise.withResolvers<void>();
  server.once("error", (error: NodeJS.ErrnoException) => {
    listening.reject(
      error.code === "EADDRINUSE" ? new PortInUseError(port, { cause: error }) : error,
    );
  });
  server.listen(port, host, () => listening.resolve());
  await listening.promise;
}
