import { type Clock, preciseMs } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Tracing } from "../../base/tracing.ts";
import type { FeedAnswer, FeedClient } from "../../data/live/feed-client.ts";
import { BackOff } from "../../data/live/pace.ts";
import { boxScorePath, playByPlayPath } from "../../data/live/schedule.ts";
import { isCdnPlayByPlay, readCdnGame } from "../../data/readers/cdn-live.ts";
import { type Json, member, text } from "../../data/readers/json-cells.ts";
import type { Reference } from "../../data/readers/reference.ts";
import type { SourceGame } from "../../data/source.ts";
import type { StrengthLedger } from "../../data/strength/ledger.ts";
import {
  Feed,
  type PlayEvent,
  type PlayFrame,
  PlayKind,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { PLAYS_STREAM } from "../../proto/subjects.ts";
import type { OrderedPublisher } from "../replay/ordered-publisher.ts";
import { PublishedGame } from "./published-game.ts";

/** Times of following, all derived from the time between two looks at a play-by-play. */
export interface Rhythm {
  /** Between two looks at the play-by-play of a running game. */
  readonly pollMs: number;
  /** Without a new play for so long, a running game is stale. */
  readonly staleMs: number;
  /** A finished game is followed until nothing has changed for so long. */
  readonly settleMs: number;
}

/** The box score changes what the job knows only now and then: who starts, who plays, that it is over. */
const BOX_POLLS = 8;
/** A game that has not begun or has ended is looked at less often. */
const IDLE_POLLS = 5;
/** Longest wait between attempts that fail. */
const BACK_OFF_POLLS = 15;
/** Looks at a play-by-play that comes without a box score, before it is published as it is. */
const LOOKS_WITHOUT_BOX = 10;
/** Between periods nothing happens for up to 15 minutes: this many times the ordinary patience. */
const BREAK_PATIENCE = 7;

const STATUS_FINAL = "3";

export interface FollowerOptions {
  readonly gameId: string;
  readonly client: FeedClient;
  readonly publisher: OrderedPublisher;
  readonly feedUrl: string;
  readonly reference: Reference;
  /** What earlier results say of both teams. */
  readonly strength: StrengthLedger;
  readonly rhythm: Rhythm;
  readonly clock: Clock;
  readonly random: Random;
  readonly tracing: Tracing;
  readonly log: Log;
  /** Takes a turn of the whole process, which keeps its requests apart. */
  readonly turn: () => Promise<void>;
  readonly onAnswer: (what: "play_by_play" | "box_score", answer: FeedAnswer) => void;
  readonly onPublished: (frame: PlayFrame) => void;
  readonly onStale: (gameId: string, silentMs: number, isStale: boolean) => void;
}

/**
 * Follows one game: reads its documents when they are due, and publishes what the stream of plays lacks.
 *
 * `waiting → running → settling → done`: it waits while there is no play-by-play, settles once the last play
 * ends the game and the box score is final, and is done when nothing has changed for a while. A game that is
 * postponed rests, and waits again when it is back on the schedule.
 */
export class GameFollower {
  readonly gameId: string;
  phase: "waiting" | "running" | "settling" | "done" | "postponed" = "waiting";
  /** When it wants its next turn, `performance.now()`. */
  dueMs = 0;
  published: PublishedGame | undefined;
  isStale = false;
  readonly #options: FollowerOptions;
  readonly #backOff: BackOff;
  #playByPlay: Json;
  #boxScore: Json;
  /** Age of the documents at hand: caches on the way may answer with older ones. */
  readonly #asOfMs = { playByPlay: 0, boxScore: 0 };
  #boxDueMs = 0;
  #playsDueMs = 0;
  #looksWithoutBox = 0;
  #lastChangeMs = performance.now();
  #lastPlay: PlayEvent | undefined;

  constructor(options: FollowerOptions) {
    const { pollMs } = options.rhythm;
    this.gameId = options.gameId;
    this.#options = options;
    this.#backOff = new BackOff(pollMs, pollMs * BACK_OFF_POLLS, options.random);
  }

  get isActive(): boolean {
    return this.phase !== "done" && this.phase !== "postponed";
  }

  /** What the schedule says of the game. */
  list({ isPostponed }: { readonly isPostponed: boolean }): void {
    if (isPostponed && this.phase === "waiting") {
      this.phase = "postponed";
      this.#options.log.info("game_postponed", { gameId: this.gameId });
    } else if (!isPostponed && this.phase === "postponed") this.phase = "waiting";
  }

  /** One look at the feed. @throws what the publisher throws: the feed's own failures are waited out. */
  async step(): Promise<void> {
    this.published ??= await PublishedGame.read(this.#options.publisher, this.gameId);
    const isBox = this.#boxDueMs <= this.#playsDueMs;
    const answer = await this.#ask(isBox);
    if (answer.kind === "fresh") await this.#compare();
    this.#move();
    this.#plan(isBox, answer);
  }

  async #ask(isBox: boolean): Promise<FeedAnswer> {
    const { client, turn, onAnswer } = this.#options;
    await turn();
    const path = isBox ? boxScorePath(this.gameId) : playByPlayPath(this.gameId);
    const answer = await client.get(path);
    onAnswer(isBox ? "box_score" : "play_by_play", answer);
    if (answer.kind !== "fresh") return answer;
    const { document, asOfMs = 0 } = answer;
    const age = isBox ? "boxScore" : "playByPlay";
    if (asOfMs < this.#asOfMs[age]) return { kind: "unchanged" };
    // Before tip-off there may be a document without actions; one that has lost them all is no account of a game.
    if (!isBox && !isCdnPlayByPlay(document)) return { kind: "absent", status: 200 };
    this.#asOfMs[age] = asOfMs;
    if (isBox) this.#boxScore = document;
    else this.#playByPlay = document;
    return answer;
  }

  async #compare(): Promise<void> {
    if (this.#playByPlay === undefined || this.published === undefined) return;
    if (this.#boxScore === undefined && this.#looksWithoutBox++ < LOOKS_WITHOUT_BOX) return;
    const readMs = preciseMs(this.#options.clock);
    const game = this.#read();
    const frames = this.published.missing(game);
    for (const frame of frames) await this.#publish(this.published, frame, readMs);
    this.#lastPlay = game.plays.at(-1);
    if (frames.some(({ plays }) => plays.length > 0)) {
      this.#lastChangeMs = performance.now();
      this.#tellStale(false);
    }
  }

  #read(): SourceGame {
    const { feedUrl, reference, strength } = this.#options;
    const documents = { playByPlay: this.#playByPlay, boxScore: this.#boxScore, line: 1 };
    const file = `${feedUrl}${playByPlayPath(this.gameId)}`;
    const game = readCdnGame(documents, { file, feed: Feed.CDN_LIVE, reference }, []);
    strength.prepare(game.info);
    return game;
  }

  /** @param readMs - when the document with these plays was at hand. */
  async #publish(published: PublishedGame, frame: PlayFrame, readMs: number): Promise<void> {
    const { tracing, clock, publisher, onPublished } = this.#options;
    const ingestTimeMs = clock.nowMs();
    const startTimeMs = Math.min(readMs, ingestTimeMs);
    const [play] = frame.plays;
    const span =
      play &&
      tracing.start("play", {
        kind: "producer",
        startTimeMs,
        attributes: {
          "courtside.game_id": this.gameId,
          "courtside.play_number": play.playNumber,
          "courtside.plays": frame.plays.length,
          "messaging.system": "nats",
          "messaging.destination.name": PLAYS_STREAM,
        },
      });
    const parent = span?.traceparent;
    // Reading, comparing, and waiting behind earlier plays of the game.
    if (parent !== undefined)
      tracing.start("feed.queue", { parent, startTimeMs }).end(ingestTimeMs);
    try {
      await published.publish(publisher, frame, { ingestTimeMs, traceparent: parent ?? "" });
    } catch (error) {
      span?.fail(error);
      throw error;
    } finally {
      span?.end();
    }
    onPublished(frame);
  }

  #move(): void {
    const { rhythm } = this.#options;
    const silentMs = performance.now() - this.#lastChangeMs;
    const last = this.#lastPlay;
    if (last === undefined) {
      // Nobody misses plays of a game that has not begun.
      this.#lastChangeMs = performance.now();
      return;
    }
    const isFinal = text(member(member(this.#boxScore, "game"), "gameStatus")) === STATUS_FINAL;
    if (last.gameOver && isFinal) {
      this.phase = silentMs >= rhythm.settleMs ? "done" : "settling";
      // From the next day on it counts.
      if (this.phase === "done") this.#options.strength.add(this.#read());
      this.#tellStale(false);
      return;
    }
    this.phase = "running";
    const isBreak = last.kind === PlayKind.PERIOD_END;
    if (silentMs > rhythm.staleMs * (isBreak ? BREAK_PATIENCE : 1)) this.#tellStale(true, silentMs);
  }

  /** Once when it goes stale, once when it is alive again. */
  #tellStale(isStale: boolean, silentMs = 0): void {
    if (isStale === this.isStale) return;
    this.isStale = isStale;
    this.#options.onStale(this.gameId, silentMs, isStale);
  }

  #plan(wasBox: boolean, answer: FeedAnswer): void {
    const { random, rhythm } = this.#options;
    const { pollMs } = rhythm;
    const nowMs = performance.now();
    // A tenth more or less, so that games that began together are not asked for together.
    const jitter = 0.9 + 0.2 * random.next();
    const isIdle = this.phase !== "running";
    let waitMs = pollMs * jitter * (isIdle ? IDLE_POLLS : 1);
    if (wasBox && this.phase === "running") waitMs *= BOX_POLLS;
    if (answer.kind === "fresh" || answer.kind === "unchanged") this.#backOff.succeeded();
    else if (answer.kind === "failed")
      waitMs = Math.max(this.#backOff.failed(), answer.retryAfterMs ?? 0);
    if (wasBox) this.#boxDueMs = nowMs + waitMs;
    else this.#playsDueMs = nowMs + waitMs;
    // What waits for the other document to be told whole should not wait long.
    const isHalf = (this.#boxScore === undefined) !== (this.#playByPlay === undefined);
    if (isHalf && answer.kind === "fresh") {
      if (wasBox) this.#playsDueMs = Math.min(this.#playsDueMs, nowMs);
      else this.#boxDueMs = Math.min(this.#boxDueMs, nowMs);
    }
    // The last play of a game wants its box score, which says that it is over.
    if (this.#lastPlay?.kind === PlayKind.GAME_END && this.phase === "running")
      this.#boxDueMs = Math.min(this.#boxDueMs, nowMs + pollMs);
    this.dueMs = Math.min(this.#boxDueMs, this.#playsDueMs);
  }
}
