import { type IncomingMessage, type ServerResponse } from "node:http";
import { type Changes } from "./games.ts";
import { type FeedStatus, type GameDetail, type GameSummary } from "./wire.ts";

/** Open event streams; a page holds one, so this is a large audience for one process. */
export const MAX_CLIENTS = 1_000;

/** Bytes that may wait for a client before it is dropped: several snapshots of a long game. */
export const MAX_CLIENT_BACKLOG_BYTES = 4 * 1024 * 1024;

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

/** Changes between two positions; event text is made when the first client needs it and then kept. */
interface Flush {
  readonly from: number;
  readonly to: EventPosition;
  readonly changes: Changes;
  readonly gameTexts: Map<string, string>;
  listText?: string;
}

interface Client {
  readonly response: ServerResponse;
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
      this.#broadcast(eventText("beat", { serverTimeMs: Date.now() }));
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
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    const header = request.headers["last-event-id"];
    const lastId = (typeof header === "string" ? header : url.searchParams.get("last")) ?? "";
    const gameId = url.searchParams.get("game") ?? "";
    const client: Client = { response, gameId, lastId, admitted: false };
    this.#clients.add(client);
    response.once("close", () => this.#clients.delete(client));
    this.#send(
      client,
      `retry: ${String(RETRY_MS)}\n\n${eventText("status", this.#source.status())}`,
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
    const flush: Flush = { from, to: position, changes, gameTexts: new Map() };
    this.#position = position;
    this.#flushes.push(flush);
    if (this.#flushes.length > REPLAY_FLUSHES) this.#flushes.shift();
    for (const client of this.#clients) {
      if (client.admitted) this.#send(client, flushText(flush, client.gameId));
    }
  }

  publishStatus(): void {
    this.#broadcast(eventText("status", this.#source.status()));
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
    for (const { response } of this.#clients) response.end();
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
    const head = eventText("resume", this.#source.status(), this.#position);
    this.#send(client, missed.map((flush) => flushText(flush, client.gameId)).join("") + head);
  }

  #sendSnapshot(client: Client): void {
    const snapshot = {
      status: this.#source.status(),
      games: this.#source.summaries(),
      game: this.#source.detail(client.gameId) ?? null,
    };
    this.#send(client, eventText("snapshot", snapshot, this.#position));
  }

  #broadcast(text: string): void {
    for (const client of this.#clients) this.#send(client, text);
  }

  #send(client: Client, text: string): void {
    const { response } = client;
    response.write(text);
    if (response.writableLength <= MAX_CLIENT_BACKLOG_BYTES) return;
    // Its page reconnects and gets a snapshot, which is less than all it has not read.
    this.#dropped += 1;
    this.#clients.delete(client);
    response.destroy();
  }
}

/** Events of one flush for a client; only the last one has the id, so that a cut repeats the whole flush. */
function flushText(flush: Flush, gameId: string): string {
  const { details, removedIds } = flush.changes;
  flush.listText ??= eventText(
    "games",
    { changed: details.map(({ summary }) => summary), removed: removedIds },
    flush.to,
  );
  if (gameId === "") return flush.listText;
  let gameText = flush.gameTexts.get(gameId);
  if (gameText === undefined) {
    const detail = details.find(({ id }) => id === gameId);
    gameText = detail === undefined ? "" : eventText("game", detail);
    flush.gameTexts.set(gameId, gameText);
  }
  return gameText + flush.listText;
}

function eventText(name: string, data: unknown, position?: EventPosition): string {
  const id = position === undefined ? "" : `id: ${position.stream}-${String(position.sequence)}\n`;
  return `event: ${name}\n${id}data: ${JSON.stringify(data)}\n\n`;
}
