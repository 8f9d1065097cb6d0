import { fromBinary } from "@bufbuild/protobuf";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo } from "node:net";
import { CourtsideError } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import { fnv1a } from "../base/random.ts";
import { noTracing, type Span, type Tracing } from "../base/tracing.ts";
import { InsightSchema } from "../proto/gen/courtside/v1/insight_pb.ts";
import { BROKER_WAIT_MS, connectBroker } from "./broker.ts";
import { GameBook } from "./games.ts";
import { type InsightMessage, type InsightSource, NatsInsightSource } from "./insight-source.ts";
import { EventHub, type EventPosition, type SnapshotSource } from "./sse.ts";
import { SECURITY_HEADERS, serveStatic } from "./static.ts";
import { type FeedStatus } from "./wire.ts";

/** At most one flush in this time: faster than two frames of a screen nobody sees more. */
const FLUSH_INTERVAL_MS = 20;

/** Spans kept open until the flush of their plays; more sampled plays in one flush are not traced here. */
const MAX_OPEN_SPANS = 64;

/** Progress of reading the backlog is told in steps of so many messages. */
const PROGRESS_STEP = 5_000;

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
  const feed = new LiveFeed(new GameBook(options.maxGames), log, tracing);
  const server = createServer((request, response) => {
    void answer(request, response, feed, handlers, log);
  });
  await listen(server, options.port, options.host ?? "127.0.0.1");
  const { port } = server.address() as AddressInfo;
  let stopSource: () => Promise<void>;
  try {
    stopSource = await startSource(options, feed, log);
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
  log: Log,
): Promise<() => Promise<void>> {
  if (options.source !== undefined) {
    const { source } = options;
    source.start(feed);
    return () => source.stop();
  }
  const { natsUrl = "nats://127.0.0.1:4222", brokerWaitMs = BROKER_WAIT_MS } = options;
  const { signal = new AbortController().signal } = options;
  const connection = await connectBroker(natsUrl, brokerWaitMs, signal);
  const source = new NatsInsightSource(connection, log);
  source.start(feed);
  return async () => {
    await source.stop();
    await connection.close();
  };
}

/** From messages to events: folds each insight at once and sends what changed, many at a time when there is much. */
class LiveFeed implements SnapshotSource {
  readonly hub: EventHub;
  readonly #book: GameBook;
  readonly #log: Log;
  readonly #tracing: Tracing;
  #phase: FeedStatus["phase"] = "waiting";
  #backlog = 0;
  #insights = 0;
  #refused = 0;
  #position: EventPosition = { stream: "", sequence: 0 };
  #flushTimer: NodeJS.Timeout | undefined;
  #flushedAtMs = 0;
  #spans: Span[] = [];

  constructor(book: GameBook, log: Log, tracing: Tracing) {
    this.#book = book;
    this.#log = log;
    this.#tracing = tracing;
    this.hub = new EventHub(this);
  }

  onStart(stream: string, backlog: number): void {
    this.#book.clear();
    this.#insights = 0;
    this.#refused = 0;
    this.#backlog = backlog;
    this.#position = { stream: fnv1a(stream).toString(36), sequence: 0 };
    this.hub.restart(this.#position);
    this.#setPhase(backlog === 0 ? "live" : "catching-up");
  }

  onMessage({ data, sequence, traceparent }: InsightMessage): void {
    this.#position = { stream: this.#position.stream, sequence };
    this.#fold(data, sequence);
    if (this.#phase === "catching-up") {
      if (sequence >= this.#backlog) this.#setPhase("live");
      else if (sequence % PROGRESS_STEP === 0) this.hub.publishStatus();
    }
    if (traceparent !== "" && this.#phase === "live" && this.#spans.length < MAX_OPEN_SPANS) {
      this.#spans.push(this.#tracing.start("page", { kind: "consumer", parent: traceparent }));
    }
    const sinceFlushMs = performance.now() - this.#flushedAtMs;
    this.#flushTimer ??= setTimeout(
      () => this.flush(),
      Math.max(0, FLUSH_INTERVAL_MS - sinceFlushMs),
    );
  }

  onState(state: "waiting" | "lost" | "reading"): void {
    if (state === "waiting") this.#setPhase("waiting");
    else if (state === "lost") this.#setPhase("disconnected");
    else this.#setPhase(this.#position.sequence >= this.#backlog ? "live" : "catching-up");
  }

  /** Sends what has been folded since the last time. */
  flush(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    this.#flushedAtMs = performance.now();
    this.hub.publish(this.#book.takeChanges(), this.#position);
    for (const span of this.#spans) {
      span.setAttributes({ "courtside.clients": this.hub.clients });
      span.end();
    }
    this.#spans = [];
  }

  summaries(): ReturnType<GameBook["summaries"]> {
    return this.#book.summaries();
  }

  detail(gameId: string): ReturnType<GameBook["detail"]> {
    return this.#book.detail(gameId);
  }

  status(): FeedStatus {
    return {
      phase: this.#phase,
      insights: this.#insights,
      refused: this.#refused,
      backlog: this.#backlog,
      notShown: this.#book.notShown,
    };
  }

  close(): void {
    clearTimeout(this.#flushTimer);
    this.hub.close();
  }

  #fold(data: Uint8Array, sequence: number): void {
    try {
      const outcome = this.#book.apply(fromBinary(InsightSchema, data));
      if (outcome === "seen") this.#refused += 1;
      else if (outcome === "applied") this.#insights += 1;
    } catch (error) {
      this.#refused += 1;
      this.#log.error("insight not readable, skipped", error, { sequence });
    }
  }

  #setPhase(phase: FeedStatus["phase"]): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    if (phase === "live") {
      this.flush();
      this.hub.open();
    }
    this.hub.publishStatus();
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  feed: LiveFeed,
  handlers: readonly RequestHandler[],
  log: Log,
): Promise<void> {
  try {
    const url = parseUrl(request.url ?? "/");
    if (url === undefined) return sendJson(response, 400, { error: "the address is malformed" });
    for (const handler of handlers) if (await handler(request, response)) return;
    await answerOwn(request, response, feed, url);
  } catch (error) {
    log.error("request failed", error, { url: request.url ?? "" });
    if (response.headersSent) response.destroy();
    else sendJson(response, 500, { error: "internal error; the log of the server says more" });
  }
}

async function answerOwn(
  request: IncomingMessage,
  response: ServerResponse,
  feed: LiveFeed,
  url: URL,
): Promise<void> {
  const { pathname } = url;
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    return sendJson(response, 405, { error: `${pathname} can only be read: use GET` });
  }
  if (pathname === "/healthz") return sendJson(response, 200, healthOf(feed));
  if (pathname === "/api/games") return sendJson(response, 200, { games: feed.summaries() });
  if (pathname === "/api/events") {
    feed.hub.connect(request, response, url);
    return;
  }
  const gameId = /^\/api\/games\/(?<id>[^/]+)$/u.exec(pathname)?.groups?.["id"];
  if (gameId !== undefined) {
    const detail = feed.detail(gameId);
    if (detail !== undefined) return sendJson(response, 200, detail);
    return sendJson(response, 404, { error: `no game ${gameId}; GET /api/games lists all` });
  }
  if (await serveStatic(pathname, response)) return;
  sendJson(response, 404, { error: `nothing at ${pathname}` });
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

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
  });
  response.end(JSON.stringify(body));
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
