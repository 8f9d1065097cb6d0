/** The event stream and what it brought: opened, opened again when it breaks, folded, and told once a frame. */
import {
  type FeedStatus,
  type GameDetail,
  type GameFacts,
  type GameSituation,
  type GameSummary,
  type PlayerLine,
  type PlayRow,
  type ResultLine,
  type TrendRow,
  type WindowRow,
} from "../wire.ts";

/** Three heartbeats of the server (5 s each) without a word: the connection is dead without having closed. */
const SILENCE_MS = 16_000;
/** Between attempts when the browser itself has given up. */
const REOPEN_MS = 1_000;
/** Plays whose latency makes the quantiles. */
const LATENCY_SAMPLES = 1_001;

export type Link = "connecting" | "open" | "lost";

/** The watched game; every list is a new one when something in it changed, so that what did not is not drawn again. */
export interface Watched {
  readonly id: string;
  readonly facts: GameFacts | null;
  readonly situation: GameSituation | null;
  readonly result: ResultLine | null;
  /** By rising number. */
  readonly plays: readonly PlayRow[];
  readonly players: readonly PlayerLine[];
  readonly windows: readonly WindowRow[];
  readonly trend: readonly TrendRow[];
}

export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

/** What the page knows; replaced as a whole once a frame. */
export interface LiveState {
  readonly link: Link;
  readonly lostSinceMs: number;
  readonly status: FeedStatus | null;
  readonly hasSnapshot: boolean;
  readonly games: ReadonlyMap<string, GameSummary>;
  readonly watched: Watched | null;
  readonly latency: Latency | null;
  /** Times that the server cut this page off because it read too slowly. */
  readonly dropped: number;
}

export class LiveStore {
  state: LiveState = {
    link: "connecting",
    lostSinceMs: 0,
    status: null,
    hasSnapshot: false,
    games: new Map(),
    watched: null,
    latency: null,
    dropped: 0,
  };
  #onFrame: () => void = () => {};
  #gameId = "";
  #source: EventSource | undefined;
  #lastId = "";
  #heardAtMs = 0;
  /** Events that a resume repeats are not live: they say nothing of the latency. */
  #isLive = false;
  #frame = 0;
  #latenciesMs: number[] = [];
  /** Publish time of each game's newest play that was told. */
  readonly #toldMs = new Map<string, number>();
  /** Publish times of the plays that the next frame shows. */
  #unseen: number[] = [];

  constructor() {
    setInterval(() => this.#watch(), 1_000);
  }

  /** @param onFrame - called at most once a frame, when something has changed. @returns what ends that */
  follow(onFrame: () => void): () => void {
    this.#onFrame = onFrame;
    onFrame();
    return () => (this.#onFrame = () => {});
  }

  /** Follows one game and the list of all; the empty id is the list alone. */
  watch(gameId: string): void {
    if (this.#source !== undefined && gameId === this.#gameId) return;
    this.#gameId = gameId;
    this.#lastId = "";
    this.#source?.close();
    if (this.state.watched?.id !== gameId) this.#set({ watched: null });
    this.#open();
  }

  #open(): void {
    this.#isLive = false;
    const query = new URLSearchParams({
      game: this.#gameId,
      ...(this.#lastId === "" ? {} : { last: this.#lastId }),
    });
    const source = new EventSource(`api/events?${query.toString()}`);
    this.#source = source;
    this.#heardAtMs = performance.now();
    source.addEventListener("open", () => {
      this.#heardAtMs = performance.now();
      this.#isLive = false;
    });
    source.addEventListener("error", () => {
      if (this.#source !== source) return;
      this.#lost();
      if (source.readyState === EventSource.CLOSED)
        setTimeout(() => this.#reopen(source), REOPEN_MS);
    });
    const on = (name: string, handle: (data: never) => void): void =>
      source.addEventListener(name, (event: MessageEvent<string>) => {
        if (this.#source !== source) return;
        this.#heardAtMs = performance.now();
        if (event.lastEventId !== "") this.#lastId = event.lastEventId;
        handle(JSON.parse(event.data) as never);
      });
    on("snapshot", (data: Snapshot) => this.#onSnapshot(data));
    on("resume", (status: FeedStatus) => this.#begin({ status }));
    on("game", (detail: GameDetail) => this.#onGame(detail));
    on("games", (data: GamesChange) => this.#onGames(data));
    on("status", (status: FeedStatus) => this.#set({ link: "open", status }));
    on("dropped", () => this.#set({ dropped: this.state.dropped + 1 }));
    on("beat", () => {});
  }

  #reopen(broken: EventSource | undefined): void {
    if (this.#source !== broken) return;
    broken?.close();
    this.#open();
  }

  #watch(): void {
    if (performance.now() - this.#heardAtMs > SILENCE_MS && this.#source !== undefined) {
      this.#lost();
      this.#reopen(this.#source);
    }
    // "3 min ago" grows without any event.
    this.#schedule();
  }

  #lost(): void {
    this.#isLive = false;
    const lostSinceMs = this.state.link === "lost" ? this.state.lostSinceMs : Date.now();
    this.#set({ link: "lost", lostSinceMs });
  }

  #begin(change: Partial<LiveState>): void {
    this.#isLive = true;
    this.#set({ link: "open", ...change });
  }

  #onSnapshot({ status, games, game }: Snapshot): void {
    this.#toldMs.clear();
    for (const { id, lastPlayTimeMs } of games) this.#toldMs.set(id, lastPlayTimeMs);
    this.#begin({
      status,
      hasSnapshot: true,
      games: new Map(games.map((summary) => [summary.id, summary])),
      watched: game === null ? null : watchedOf(game),
    });
  }

  #onGame(detail: GameDetail): void {
    const { watched, games } = this.state;
    this.#set({
      watched: watched?.id === detail.id ? merged(watched, detail) : watchedOf(detail),
      games: new Map(games).set(detail.id, detail.summary),
    });
  }

  #onGames({ changed, removed }: GamesChange): void {
    const games = new Map(this.state.games);
    for (const id of removed) {
      games.delete(id);
      this.#toldMs.delete(id);
    }
    for (const summary of changed) {
      const { id, lastPlayTimeMs } = summary;
      if (this.#isLive && lastPlayTimeMs > (this.#toldMs.get(id) ?? 0))
        this.#unseen.push(lastPlayTimeMs);
      this.#toldMs.set(id, lastPlayTimeMs);
      games.set(id, summary);
    }
    this.#set({ games });
  }

  #set(change: Partial<LiveState>): void {
    this.state = { ...this.state, ...change };
    this.#schedule();
  }

  #schedule(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#onFrame();
      if (this.#unseen.length > 0) this.#measure(this.#unseen.splice(0));
    });
  }

  /** The task behind the frame's paint: then the plays can be seen. */
  #measure(publishedMs: readonly number[]): void {
    const channel = new MessageChannel();
    channel.port1.addEventListener("message", () => {
      channel.port1.close();
      const nowMs = Date.now();
      this.#latenciesMs.push(...publishedMs.map((ms) => Math.max(0, nowMs - ms)));
      this.#latenciesMs = this.#latenciesMs.slice(-LATENCY_SAMPLES);
      const sorted = this.#latenciesMs.toSorted((a, b) => a - b);
      const at = (share: number): number =>
        sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
      const latency = { p50: at(0.5), p99: at(0.99), count: sorted.length };
      this.state = { ...this.state, latency };
    });
    channel.port1.start();
    channel.port2.postMessage(0);
  }
}

interface Snapshot {
  readonly status: FeedStatus;
  readonly games: readonly GameSummary[];
  readonly game: GameDetail | null;
}

interface GamesChange {
  readonly changed: readonly GameSummary[];
  readonly removed: readonly string[];
}

function watchedOf(detail: GameDetail): Watched {
  const { id, facts, situation, result, plays, players, windows, trend } = detail;
  return { id, facts, situation, result, plays, players, windows, trend };
}

function merged(watched: Watched, detail: GameDetail): Watched {
  return {
    id: watched.id,
    facts: detail.facts,
    situation: detail.situation,
    result: detail.result,
    plays: mergedPlays(watched.plays, detail.plays),
    players: replaced(watched.players, detail.players, ({ id }) => String(id)),
    windows: replaced(watched.windows, detail.windows, ({ side, sizeS }) => `${side} ${sizeS}`),
    trend: replaced(watched.trend, detail.trend, ({ side, endS }) => `${side} ${endS}`),
  };
}

/** Nearly always new plays go to the end; a correction replaces its play. */
function mergedPlays(plays: readonly PlayRow[], changed: readonly PlayRow[]): readonly PlayRow[] {
  if (changed.length === 0) return plays;
  const first = changed[0]?.number ?? 0;
  if (first > (plays.at(-1)?.number ?? 0)) return [...plays, ...changed];
  return replaced(plays, changed, ({ number }) => String(number)).toSorted(
    (a, b) => a.number - b.number,
  );
}

function replaced<Row>(
  rows: readonly Row[],
  changed: readonly Row[],
  keyOf: (row: Row) => string,
): readonly Row[] {
  if (changed.length === 0) return rows;
  const byKey = new Map(rows.map((row) => [keyOf(row), row]));
  for (const row of changed) byKey.set(keyOf(row), row);
  return [...byKey.values()];
}
