import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Random, seededRandom } from "../../base/random.ts";
import type { Evening, EveningDocument } from "./evening.ts";

/** What goes wrong with a request. */
const FAULTS = ["403", "429", "500", "503", "silence", "truncated", "reset"] as const;
export type Fault = (typeof FAULTS)[number];

/** A request that gets no answer is held this long, unless the client gives up before. */
const SILENCE_MS = 60_000;

export interface FeedServerOptions {
  readonly evening: Evening;
  /** Times as fast as it was. */
  readonly speed: number;
  readonly port: number;
  readonly host: string;
  /** Share of the requests, 0 to 1, that go wrong. */
  readonly errors: number;
  readonly seed: number;
}

export interface FeedServer {
  readonly url: string;
  readonly port: number;
  /** Requests by what became of them. */
  readonly counts: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** Serves an evening in the paths and with the caching of cdn.nba.com, beginning now. */
export async function serveFeed(options: FeedServerOptions): Promise<FeedServer> {
  const { evening, speed } = options;
  const nextFault = faultsOf(seededRandom(options.seed).fork("faults"), options.errors);
  const counts = new Map<string, number>();
  const startMs = performance.now();
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  const server = createServer((request, response) => {
    const atMs = evening.startMs + (performance.now() - startMs) * speed;
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const document = evening.document(path, Math.min(atMs, evening.endMs));
    const fault = nextFault();
    if (fault === undefined) count(answer(request, response, document, atMs));
    else {
      count(fault);
      fail(response, fault, document);
    }
  });
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.host}:${String(port)}`,
    port,
    counts,
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server, { port, host }: FeedServerOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
}

/** Which requests go wrong is by chance; the faults take turns, so that each of them comes. */
function faultsOf(random: Random, share: number): () => Fault | undefined {
  let drawn = random.int(FAULTS.length);
  return () => (random.next() < share ? FAULTS[drawn++ % FAULTS.length] : undefined);
}

/** @returns what became of it. */
function answer(
  request: IncomingMessage,
  response: ServerResponse,
  document: EveningDocument | undefined,
  atMs: number,
): string {
  if (document === undefined) {
    // As the league's servers do for a game that has not begun.
    response
      .writeHead(403, { "content-type": "application/xml" })
      .end("<Error>AccessDenied</Error>");
    return "absent";
  }
  const etag = `"${document.version}"`;
  const headers = {
    etag,
    "last-modified": new Date(atMs).toUTCString(),
    "cache-control": "max-age=1",
    "content-type": "application/json",
  };
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304, headers).end();
    return "unchanged";
  }
  response.writeHead(200, headers).end(document.body);
  return "fresh";
}

function fail(response: ServerResponse, fault: Fault, document: EveningDocument | undefined): void {
  switch (fault) {
    case "403":
    case "500":
    case "503":
      response.writeHead(Number(fault)).end("no");
      return;
    case "429":
      response.writeHead(429, { "retry-after": "1" }).end("slow down");
      return;
    case "silence":
      setTimeout(() => response.destroy(), SILENCE_MS).unref();
      return;
    case "truncated": {
      const body = document?.body ?? "{}";
      const half = body.slice(0, Math.floor(body.length / 2));
      response.writeHead(200, { etag: '"half"', "content-type": "application/json" }).end(half);
      return;
    }
    case "reset":
      response.destroy();
      return;
    default:
      fault satisfies never;
  }
}
