import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  type DeadLetter,
  type GameInfo,
  type PlayEvent,
  type PlayFrame,
  PlayFrameSchema,
} from "../proto/gen/courtside/v1/play_pb.ts";
import { UNKNOWN_GAME } from "../proto/subjects.ts";
import { type Arrival, type Disorder, disorderly, inOrder } from "./disorder.ts";
import { type SourceGame } from "./source.ts";

/** Times faster than it was; `max` does not wait at all. */
export type ReplaySpeed = number | "max";

/** Games that run side by side when nothing else is said. */
export const DEFAULT_CONCURRENT_GAMES = 8;

/** Most games that may be open at once: about 0.6 MB of plays each. */
export const MAX_CONCURRENT_GAMES = 256;

/** What a packed frame may take, by estimate: research on the broker found 16 to 64 KB best. */
export const FRAME_BYTES = 32 * 1024;

/** Two games of one date never start further apart than this. */
const LONGEST_DAY_MS = 12 * 3_600_000;

export interface ReplayOptions {
  readonly speed: ReplaySpeed;
  /** Games side by side, 1 to `MAX_CONCURRENT_GAMES`. */
  readonly concurrent?: number;
  /** How unlike the order of the game the plays come; in order when absent. */
  readonly disorder?: Disorder;
}

/** One message of the replay. */
export interface ReplayItem {
  /** Game of the subject; `UNKNOWN_GAME` for rows whose game is not known. */
  readonly gameId: string;
  readonly frame: PlayFrame;
  /** Number of the frame among those of its game, from 0. */
  readonly index: number;
  /** Milliseconds after the start of the replay; 0 at speed `max`. */
  readonly dueMs: number;
  /** True when no frame of this game follows. */
  readonly isLast: boolean;
}

/**
 * What to publish and when. A game's own frame with its `GameInfo` comes first, then the rows that could not
 * be read, then its plays: one a frame at a finite speed, packed to `FRAME_BYTES` at `max`.
 *
 * Games keep their distances from tip-off to tip-off within a date; the next date begins as places become
 * free, and times without a running game are left out. No team plays two games at once. Games are read as places become free, so at most
 * `concurrent` are in memory.
 */
export async function* replaySchedule(
  games: Iterable<SourceGame> | AsyncIterable<SourceGame>,
  options: ReplayOptions,
): AsyncGenerator<ReplayItem> {
  const { speed, concurrent = DEFAULT_CONCURRENT_GAMES } = options;
  assert(speed === "max" || (Number.isFinite(speed) && speed > 0), "speed is positive, or max");
  assert(concurrent >= 1 && concurrent <= MAX_CONCURRENT_GAMES, "1 to 256 games side by side");
  const day = new ReplayDay();
  const open: OpenGame[] = [];
  const isPacked = speed === "max";
  let nowMs = 0;
  const next = (): ReplayItem | undefined => {
    const game = nextGame(open);
    if (game === undefined) return undefined;
    if (!open.some((each) => each.hasStarted)) day.skip(open, game.dueMs - nowMs);
    nowMs = Math.max(nowMs, game.dueMs);
    const { gameId, frame, index } = game.take(isPacked);
    if (game.isDone) open.splice(open.indexOf(game), 1);
    return {
      gameId,
      frame,
      index,
      dueMs: speed === "max" ? 0 : nowMs / speed,
      isLast: game.isDone,
    };
  };
  for await (const game of games) {
    while (open.length >= concurrent || open.some((each) => each.sharesTeam(game.info))) {
      const item = next();
      if (item !== undefined) yield item;
    }
    open.push(new OpenGame(game, day.startOf(game.info, nowMs), options.disorder));
  }
  for (let item = next(); item !== undefined; item = next()) yield item;
}

/** A scan, since the number of open games is small. The first opened goes first at equal times. */
function nextGame(open: readonly OpenGame[]): OpenGame | undefined {
  let best: OpenGame | undefined;
  for (const game of open) if (best === undefined || game.dueMs < best.dueMs) best = game;
  return best;
}

/** Where the tip-offs of one date lie on the time line of the replay. */
class ReplayDay {
  #date: string | undefined;
  #originMs = 0;
  #firstTipoffMs = 0;

  startOf(info: GameInfo, nowMs: number): number {
    const tipoffMs = Number(info.tipoffTimeMs);
    if (info.gameDate !== this.#date) {
      this.#date = info.gameDate;
      this.#originMs = nowMs;
      this.#firstTipoffMs = tipoffMs;
    }
    const afterFirstMs = Math.min(LONGEST_DAY_MS, Math.max(0, tipoffMs - this.#firstTipoffMs));
    return Math.max(nowMs, this.#originMs + afterFirstMs);
  }

  /** Nobody plays: brings everything forward to the next tip-off. */
  skip(open: readonly OpenGame[], byMs: number): void {
    if (byMs <= 0) return;
    this.#originMs -= byMs;
    for (const game of open) game.dueMs -= byMs;
  }
}

/** A game that is being replayed: what is still to come of it. */
class OpenGame {
  /** Time of the next frame at speed 1, milliseconds after the start of the replay. */
  dueMs: number;
  hasStarted = false;
  readonly #game: SourceGame;
  readonly #letters: readonly (readonly [gameId: string, letters: DeadLetter[]])[];
  readonly #arrivals: readonly Arrival[];
  #infoSent: boolean;
  #lettersSent = 0;
  #playsSent = 0;
  #frames = 0;

  constructor(game: SourceGame, startMs: number, disorder: Disorder | undefined) {
    this.#game = game;
    this.#arrivals = disorder === undefined ? inOrder(game) : disorderly(game, disorder);
    this.dueMs = startMs;
    this.#infoSent = game.info.gameId === "";
    assert(!this.#infoSent || game.plays.length === 0, "plays belong to a game");
    this.#letters = packLetters(game);
  }

  get isDone(): boolean {
    const areLettersSent = this.#lettersSent === this.#letters.length;
    return this.#infoSent && areLettersSent && this.#playsSent === this.#arrivals.length;
  }

  sharesTeam({ home, away }: GameInfo): boolean {
    const { info } = this.#game;
    const teams = [info.home, info.away, home, away];
    const ids = teams.flatMap((each) => each?.teamId ?? []).filter((id) => id !== 0);
    return new Set(ids).size < ids.length;
  }

  take(isPacked: boolean): { gameId: string; frame: PlayFrame; index: number } {
    const index = this.#frames++;
    return { ...this.#next(isPacked), index };
  }

  #next(isPacked: boolean): { gameId: string; frame: PlayFrame } {
    const { info } = this.#game;
    this.hasStarted = true;
    if (!this.#infoSent) {
      this.#infoSent = true;
      return { gameId: info.gameId, frame: create(PlayFrameSchema, { gameInfo: info }) };
    }
    const letters = this.#letters[this.#lettersSent];
    if (letters !== undefined) {
      this.#lettersSent += 1;
      return { gameId: letters[0], frame: create(PlayFrameSchema, { deadLetters: letters[1] }) };
    }
    const from = this.#playsSent;
    const end = isPacked ? packedEnd(this.#arrivals, from) : from + 1;
    const plays = this.#arrivals.slice(from, end).map(({ play }) => play);
    const atMs = this.#arrivals[from]?.atMs ?? 0;
    this.dueMs += (this.#arrivals[end]?.atMs ?? atMs) - atMs;
    this.#playsSent = end;
    return { gameId: info.gameId, frame: create(PlayFrameSchema, { plays }) };
  }
}

/** Letters that know their game go to its subject, the others to that of unknown games. */
function packLetters({ info, deadLetters }: SourceGame): [string, DeadLetter[]][] {
  const packed: [string, DeadLetter[]][] = [];
  let bytes = 0;
  for (const letter of deadLetters) {
    const gameId = letter.gameId === "" ? UNKNOWN_GAME : info.gameId || UNKNOWN_GAME;
    const size = letterBytes(letter);
    const last = packed.at(-1);
    if (last !== undefined && last[0] === gameId && bytes + size <= FRAME_BYTES) {
      last[1].push(letter);
      bytes += size;
    } else {
      packed.push([gameId, [letter]]);
      bytes = size;
    }
  }
  return packed;
}

function packedEnd(arrivals: readonly Arrival[], start: number): number {
  let bytes = 0;
  let end = start;
  for (; end < arrivals.length; end++) {
    const play = arrivals[end]?.play;
    if (play === undefined) break;
    bytes += playBytes(play);
    if (bytes > FRAME_BYTES && end > start) break;
  }
  return end;
}

/** Encoding to find the size would cost as much as publishing; the numbers of a play take about 130 bytes. */
function playBytes(play: PlayEvent): number {
  return 130 + play.description.length + play.actorName.length + play.subtype.length;
}

function letterBytes({ raw, message, source }: DeadLetter): number {
  return 60 + raw.length + message.length + source.length;
}
