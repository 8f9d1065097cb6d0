import { setTimeout as delay } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/nats-core";
import type { Clock } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { Random } from "../../base/random.ts";
import type { Tracing } from "../../base/tracing.ts";
import { type FeedAnswer, FeedClient } from "../../data/live/feed-client.ts";
import { BackOff, Pace } from "../../data/live/pace.ts";
import {
  type ListedGame,
  SCHEDULE_PATH,
  scheduledGames,
  SCOREBOARD_PATH,
  scoreboardDate,
  scoreboardGames,
} from "../../data/live/schedule.ts";
import type { Reference } from "../../data/readers/reference.ts";
import { createLedger } from "../../data/strength/ledger.ts";
import { PLAYS_STREAM } from "../../proto/subjects.ts";
import { OrderedPublisher } from "../replay/ordered-publisher.ts";
import { GameFollower, type Rhythm } from "./game-follower.ts";

/** The list of games is looked at every twentieth poll: who plays changes a few times an evening. */
const LIST_POLLS = 20;
const LIST_BACK_OFF_POLLS = 15;

/** Requests under way at once; the pace keeps them apart anyhow. */
const CONCURRENCY = 4;

/** Games that are followed at once: twice the league's busiest evening. */
const MAX_GAMES = 32;

/** Without anything due, the loop looks around this often. */
const IDLE_MS = 250;

/** A feed that has fallen silent, or speaks again. */
export interface StaleAlarm {
  readonly gameId: string;
  readonly silentMs: number;
  readonly isStale: boolean;
  readonly atMs: number;
}

export interface LiveOptions {
  readonly nats: NatsConnection;
  /** Without a slash at its end. */
  readonly feedUrl: string;
  /** YYYY-MM-DD; undefined for the evening that the scoreboard shows. */
  readonly date: string | undefined;
  /** Ids; undefined for all games of the date. */
  readonly games: readonly string[] | undefined;
  readonly reference: Reference;
  readonly rhythm: Rhythm;
  readonly requestsPerS: number;
  readonly timeoutMs: number;
  /** Ends when every game has ended and settled, or is postponed. */
  readonly untilDone: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly onAlarm: (alarm: StaleAlarm) => void;
  readonly onProgress?: (summary: LiveSummary) => void;
}

/** What the stream holds of the games that were followed. */
export interface LiveSummary {
  readonly games: readonly string[];
  readonly postponed: readonly string[];
  readonly finished: number;
  readonly plays: number;
  /** Rows that they become: plays and their corrections. */
  readonly accounts: number;
  readonly deadLetters: number;
  /** Messages that this run has stored. */
  readonly frames: number;
  readonly lastSequence: number;
  readonly interrupted: boolean;
}

/**
 * Follows the games of an evening and publishes new and corrected plays, until the signal or until all are
 * done. Stopped or killed and started again it goes on with what the stream lacks. Needs `ensureStreams` before.
 *
 * @throws PublishConflictError, PublishRefusedError, BrokerUnavailableError
 */
export async function runLive(options: LiveOptions, signal: AbortSignal): Promise<LiveSummary> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const publisher = await OrderedPublisher.open(options.nats, PLAYS_STREAM, {
    signal: both,
    log: options.log,
  });
  const evening = new Evening(options, publisher, both);
  try {
    await evening.follow();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    stop.abort();
    publisher.close();
  }
  return { ...evening.summary(), interrupted: signal.aborted };
}

class Evening {
  readonly #options: LiveOptions;
  readonly #publisher: OrderedPublisher;
  readonly #signal: AbortSignal;
  readonly #client: FeedClient;
  readonly #pace: Pace;
  readonly #listBackOff: BackOff;
  readonly #strength = createLedger();
  readonly #followers = new Map<string, GameFollower>();
  readonly #busy = new Map<GameFollower, Promise<void>>();
  readonly #answers: (what: string, answer: FeedAnswer) => void;
  readonly #published: ReturnType<Metrics["counter"]>;
  readonly #alarms: ReturnType<Metrics["counter"]>;
  #listDueMs = 0;
  #isListed = false;
  /** The scoreboard is small; the schedule of the season is asked for when it shows another day. */
  #usesSchedule = false;
  #frames = 0;
  #failure: Error | undefined;

  constructor(options: LiveOptions, publisher: OrderedPublisher, signal: AbortSignal) {
    const { feedUrl: baseUrl, timeoutMs, rhythm, metrics } = options;
    this.#options = options;
    this.#publisher = publisher;
    this.#signal = signal;
    this.#client = new FeedClient({ baseUrl, timeoutMs, signal });
    this.#pace = new Pace(options.requestsPerS);
    const { pollMs } = rhythm;
    this.#listBackOff = new BackOff(pollMs, pollMs * LIST_BACK_OFF_POLLS, options.random);
    this.#published = metrics.counter("courtside.live.plays", "{play}", "Plays published, by kind");
    this.#alarms = metrics.counter("courtside.live.alarms", "{alarm}", "Times a feed fell silent");
    const requests = metrics.counter(
      "courtside.live.requests",
      "{request}",
      "By document, outcome",
    );
    this.#answers = (document, { kind }) => requests.add(1, { document, outcome: kind });
    metrics.gauge("courtside.live.stale_games", "{game}", "Running games without a new play", () =>
      this.#count(({ isStale }) => isStale),
    );
    metrics.gauge("courtside.live.running_games", "{game}", "Games under way", () =>
      this.#count(({ phase }) => phase === "running"),
    );
  }

  async follow(): Promise<void> {
    for (const gameId of this.#options.games ?? []) this.#add({ gameId });
    while (!this.#isDone()) {
      this.#signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#listDueMs <= performance.now()) await this.#list();
      this.#start();
      await this.#waitForNext();
    }
    await Promise.all(this.#busy.values());
    if (this.#failure !== undefined) throw this.#failure;
  }

  summary(): LiveSummary {
    const followers = [...this.#followers.values()];
    const begun = followers.filter(({ published }) => (published?.accounts ?? 0) > 0);
    const sum = (of: (follower: GameFollower) => number | undefined): number =>
      begun.reduce((total, follower) => total + (of(follower) ?? 0), 0);
    return {
      games: begun.map(({ gameId }) => gameId),
      postponed: followers.filter(({ phase }) => phase === "postponed").map(({ gameId }) => gameId),
      finished: begun.filter(({ phase }) => phase === "done" || phase === "settling").length,
      plays: sum(({ published }) => published?.plays),
      accounts: sum(({ published }) => published?.accounts),
      deadLetters: sum(({ published }) => published?.deadLetters),
      frames: this.#frames,
      lastSequence: Math.max(0, ...begun.map(({ published }) => published?.lastSequence ?? 0)),
      interrupted: false,
    };
  }

  #count(is: (follower: GameFollower) => boolean): number {
    return this.#followers.values().filter(is).toArray().length;
  }

  #isDone(): boolean {
    const { untilDone, games } = this.#options;
    if (!untilDone || (!this.#isListed && games === undefined)) return false;
    return this.#followers.values().every((follower) => !follower.isActive);
  }

  /** The games of the evening, and which of them are postponed. */
  async #list(): Promise<void> {
    const { date, rhythm, random, log, games: wanted } = this.#options;
    const path = this.#usesSchedule ? SCHEDULE_PATH : SCOREBOARD_PATH;
    await this.#pace.turn(this.#signal);
    const answer = await this.#client.get(path);
    this.#onAnswer(this.#usesSchedule ? "schedule" : "scoreboard", answer);
    this.#listDueMs = performance.now() + rhythm.pollMs * LIST_POLLS * (0.9 + 0.2 * random.next());
    if (answer.kind === "failed" || answer.kind === "absent") {
      log.warn("games_unknown", { path, why: answer.kind === "failed" ? answer.why : "absent" });
      this.#listDueMs = performance.now() + this.#listBackOff.failed();
      return;
    }
    this.#listBackOff.succeeded();
    if (answer.kind === "unchanged") return;
    const { document } = answer;
    if (!this.#usesSchedule && date !== undefined && scoreboardDate(document) !== date) {
      this.#usesSchedule = true;
      this.#listDueMs = 0;
      return;
    }
    const listed =
      this.#usesSchedule && date !== undefined
        ? scheduledGames(document, date)
        : scoreboardGames(document);
    for (const game of listed)
      if (wanted === undefined || wanted.includes(game.gameId)) this.#add(game).list(game);
    this.#isListed = true;
    if (listed.length === 0) log.info("no_games", { date: date ?? scoreboardDate(document) });
  }

  #add({ gameId }: Pick<ListedGame, "gameId">): GameFollower {
    const { feedUrl, reference, rhythm, clock, random, tracing, log } = this.#options;
    const known = this.#followers.get(gameId);
    if (known !== undefined) return known;
    this.#forgetDone();
    const follower = new GameFollower({
      gameId,
      client: this.#client,
      publisher: this.#publisher,
      feedUrl,
      reference,
      strength: this.#strength,
      rhythm,
      clock,
      random: random.fork(gameId),
      tracing,
      log,
      turn: async () => this.#pace.turn(this.#signal),
      onAnswer: (what, answer) => this.#onAnswer(what, answer),
      onPublished: (frame) => {
        this.#frames += 1;
        for (const { revision } of frame.plays)
          this.#published.add(1, { kind: revision > 1 ? "correction" : "play" });
        this.#options.onProgress?.(this.summary());
      },
      onStale: (id, silentMs, isStale) => this.#onStale(id, silentMs, isStale),
    });
    this.#followers.set(gameId, follower);
    return follower;
  }

  /** Evening after evening: games that are long done make room. */
  #forgetDone(): void {
    if (this.#followers.size < MAX_GAMES) return;
    for (const [gameId, { isActive }] of this.#followers)
      if (!isActive) {
        this.#followers.delete(gameId);
        return;
      }
  }

  #onAnswer(what: string, answer: FeedAnswer): void {
    this.#answers(what, answer);
    if (answer.kind !== "failed") return;
    this.#options.log.debug("request_failed", { what, why: answer.why });
    // Too many requests is said to all of us, not to one game.
    if (answer.retryAfterMs !== undefined) this.#pace.pause(answer.retryAfterMs);
  }

  #onStale(gameId: string, silentMs: number, isStale: boolean): void {
    const { log, onAlarm, clock } = this.#options;
    const silentS = Math.round(silentMs / 1000);
    if (isStale) {
      this.#alarms.add(1);
      log.warn("feed_stale", { gameId, silentS });
    } else log.info("feed_alive", { gameId });
    onAlarm({ gameId, silentMs, isStale, atMs: clock.nowMs() });
  }

  #start(): void {
    const nowMs = performance.now();
    const due = [...this.#followers.values()]
      .filter((each) => each.isActive && each.dueMs <= nowMs && !this.#busy.has(each))
      .sort((a, b) => a.dueMs - b.dueMs);
    for (const follower of due) {
      if (this.#busy.size >= CONCURRENCY) return;
      const step = follower
        .step()
        .catch((error: unknown) => {
          this.#failure ??= error instanceof Error ? error : new Error(errorText(error));
        })
        .finally(() => this.#busy.delete(follower));
      this.#busy.set(follower, step);
    }
  }

  async #waitForNext(): Promise<void> {
    const nowMs = performance.now();
    let nextMs = Math.min(nowMs + IDLE_MS, Math.max(nowMs, this.#listDueMs));
    const isFull = this.#busy.size >= CONCURRENCY;
    for (const follower of this.#followers.values())
      if (!isFull && follower.isActive && !this.#busy.has(follower))
        nextMs = Math.min(nextMs, Math.max(nowMs, follower.dueMs));
    const wait = new AbortController();
    const signal = AbortSignal.any([this.#signal, wait.signal]);
    const timer = delay(Math.max(1, nextMs - nowMs), undefined, { signal }).catch(() => {});
    await Promise.race([timer, ...this.#busy.values()]);
    wait.abort();
  }
}
