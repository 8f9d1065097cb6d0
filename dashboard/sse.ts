import { type IncomingMessage, type ServerResponse } from "node:http";
import { type Socket } from "node:net";
import { type Changes } from "./games.ts";
import { SECURITY_HEADERS } from "./http.ts";
import { type FeedStatus, type GameDetail, type GameSummary } from "./wire.ts";

/** Open event streams; a page holds one, so this is a large audience for one process. */
export const MAX_CLIENTS = 1_000;

/** Bytes that may wait for a client before it is dropped with a notice: several snapshots of a long game. */
export const MAX_CLIENT_BACKLOG_BYTES = 4 * 1024 * 1024;

/** How long a dropped client may take to read the notice before its connection is cut. */
export const DROP_NOTICE_MS = 10_000;

/** Flushes kept for resuming: at the fastest pace (one in 20 ms) these are 40 s, live many minutes. */
export const REPLAY_FLUSHES = 2_000;

/** Time between heartbeats; the page takes three missed ones as a lost connection. */
export const HEARTBEAT_MS = 5_000;

/** Delay that the browser is told to wait before it connects again. */
const RETRY_MS = 1_000;

/** Everything a new client needs, asked for when its position cannot be resumed. */
export interface SnapshotSource {
  summaries(): GameSummary[];
  detail(gameId: string): GameDetail | undefined;
  status(): FeedStatus;
}

/** Position in the stream of insights; `stream` tells one incarnation of the stream from another. */
export interface EventPosition {
  readonly stream: string;
  readonly sequence: number;
}

/** Changes between two positions; the bytes are made when the first client needs them and then kept. */
interface Flush {
  readonly from: number;
  readonly to: EventPosition;
  readonly changes: Changes;
  readonly games: Map<string, Buffer>;
  list?: Buffer;
}

interface Client {
  readonly response: ServerResponse;
  /** Written to directly: the body ends with the connection, so an encoded event is the same bytes for all clients. */
  readonly socket: Socket;
  readonly gameId: string;
  /** Last event that it saw before; empty for a new page. */
  readonly lastId: string;
  /** False while the server itself is still reading what is stored. */
  admitted: boolean;
}

/**
 * Sends changes to all open pages as server-sent events: `snapshot` first (or, for a client that names the
 * last event it saw, just what it missed and `resume`), then `game` (changed rows of the game that it watches), `games`
 * (changed lines of the list), `status`, and `beat`. The id of an event is a position in the stream of
 * insights, so a resume also works across a restart of this server. Rows are keyed, hence doubles harmless.
 */
export class EventHub {
  readonly #source: SnapshotSource;
  readonly #clients = new Set<Client>();
  readonly #flushes: Flush[] = [];
  readonly #heartbeat: NodeJS.Timeout;
  #position: EventPosition = { stream: "", sequence: 0 };
  #open = false;
  #dropped = 0;

  constructor(source: SnapshotSource, heartbeatMs: number = HEARTBEAT_MS) {
    this.#source = source;
    this.#heartbeat = setInterval(() => {
      this.#broadcast(event("beat", { serverTimeMs: Date.now() }));
    }, heartbeatMs);
    this.#heartbeat.unref();
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Clients cut off because they read too slowly. */
  get droppedClients(): number {
    return this.#dropped;
  }

  /** Opens an event stream for `GET /api/events`; answers 503 when there are too many. */
  connect(request: IncomingMessage, response: ServerResponse, url: URL): void {
    if (this.#clients.size >= MAX_CLIENTS) {
      response.writeHead(503, { "retry-after": "10", "content-type": "text/plain" });
      response.end("too many open event streams; try again in 10 s\n");
      return;
    }
    // Without chunks the end of the connection is the end of the body, and what is sent needs no framing of its own.
    response.shouldKeepAlive = false;
    response.removeHeader("transfer-encoding");
    response.writeHead(200, {
      ...SECURITY_HEADERS,
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    response.flushHeaders();
    const { socket } = request;
    socket.setNoDelay(true);
    const header = request.headers["last-event-id"];
    const lastId = (typeof header === "string" ? header : url.searchParams.get("last")) ?? "";
    const gameId = url.searchParams.get("game") ?? "";
    const client: Client = { response, socket, gameId, lastId, admitted: false };
    this.#clients.add(client);
    socket.once("close", () => this.#clients.delete(client));
    this.#send(
      client,
      Buffer.concat([
        Buffer.from(`retry: ${String(RETRY_MS)}\n\n`),
        event("status", this.#source.status()),
      ]),
    );
    if (this.#open) this.#admit(client);
  }

  /** The stored insights have been read: clients that were waiting get their snapshot or what they missed. */
  open(): void {
    this.#open = true;
    for (const client of this.#clients) if (!client.admitted) this.#admit(client);
  }

  /** Sends what changed up to `position`; all clients share one encoding of each event. */
  publish(changes: Changes, position: EventPosition): void {
    if (changes.details.length === 0 && changes.removedIds.length === 0) return;
    const from = this.#position.stream === position.stream ? this.#position.sequence : 0;
    const flush: Flush = { from, to: position, changes, games: new Map() };
    this.#position = position;
    this.#flushes.push(flush);
    if (this.#flushes.length > REPLAY_FLUSHES) this.#flushes.shift();
    for (const client of this.#clients) {
      if (client.admitted) this.#send(client, flushBytes(flush, client.gameId));
    }
  }

  publishStatus(): void {
    this.#broadcast(event("status", this.#source.status()));
  }

  /** The view started anew: every client gets a snapshot, old positions are void. */
  restart(position: EventPosition): void {
    this.#position = position;
    this.#flushes.length = 0;
    for (const client of this.#clients) if (client.admitted) this.#sendSnapshot(client);
  }

  /** Ends all event streams; the pages connect again when a server is back. */
  close(): void {
    clearInterval(this.#heartbeat);
    for (const { socket } of this.#clients) socket.end();
    this.#clients.clear();
  }

  #admit(client: Client): void {
    client.admitted = true;
    const missed = this.#flushesSince(client.lastId);
    if (missed === undefined) this.#sendSnapshot(client);
    else this.#sendMissed(client, missed);
  }

  /** @returns undefined when the position is unknown, of another stream, or too old. */
  #flushesSince(last: string): Flush[] | undefined {
    const [stream, sequenceText] = last.split("-");
    const sequence = Number(sequenceText);
    if (stream === "" || stream !== this.#position.stream || !Number.isSafeInteger(sequence)) {
      return undefined;
    }
    if (sequence > this.#position.sequence) return undefined;
    const oldest = this.#flushes[0];
    if (oldest === undefined ? sequence < this.#position.sequence : sequence < oldest.from) {
      return undefined;
    }
    return this.#flushes.filter(({ to }) => to.sequence > sequence);
  }

  #sendMissed(client: Client, missed: readonly Flush[]): void {
    const head = event("resume", this.#source.status(), this.#position);
    const parts = missed.map((flush) => flushBytes(flush, client.gameId));
    this.#send(client, Buffer.concat([...parts, head]));
  }

  #sendSnapshot(client: Client): void {
    const snapshot = {
      status: this.#source.status(),
      games: this.#source.summaries(),
      game: this.#source.detail(client.gameId) ?? null,
    };
    this.#send(client, event("snapshot", snapshot, this.#position));
  }

  #broadcast(bytes: Buffer): void {
    for (const client of this.#clients) this.#send(client, bytes);
  }

  #send(client: Client, bytes: Buffer): void {
    const { socket } = client;
    socket.write(bytes);
    if (socket.writableLength > MAX_CLIENT_BACKLOG_BYTES) this.#drop(client);
  }

  /** Its page reads the notice behind what waits for it, connects again and gets what it missed, or a snapshot. */
  #drop(client: Client): void {
    const { socket } = client;
    this.#dropped += 1;
    this.#clients.delete(client);
    socket.end(event("dropped", { waitingBytes: socket.writableLength }));
    const cut = setTimeout(() => socket.destroy(), DROP_NOTICE_MS);
    cut.unref();
    socket.once("close", () => clearTimeout(cut));
  }
}

/** Events of one flush for a client; only the last one has the id, so that a cut repeats the whole flush. */
function flushBytes(flush: Flush, gameId: string): Buffer {
  const { details, removedIds } = flush.changes;
  flush.list ??= event(
    "games",
    { changed: details.map(({ summary }) => summary), removed: removedIds },
    flush.to,
  );
  if (gameId === "") return flush.list;
  let bytes = flush.games.get(gameId);
  if (bytes === undefined) {
    const detail = details.find(({ id }) => id === gameId);
    bytes = detail === undefined ? flush.list : Buffer.concat([event("game", detail), flush.list]);
    flush.games.set(gameId, bytes);
  }
  return bytes;
}

function event(name: string, data: unknown, position?: EventPosition): Buffer {
  const id = position === undefined ? "" : `id: ${position.stream}-${String(position.sequence)}\n`;
  return Buffer.from(`event: ${name}\n${id}data: ${JSON.stringify(data)}\n\n`);
}
