import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { type Random, seededRandom } from "../base/random.ts";
import {
  type PlayEvent,
  PlayEventSchema,
  PlayKind,
  Side,
} from "../proto/gen/courtside/v1/play_pb.ts";
import type { SourceGame } from "./source.ts";

/** How unlike the order of the game its plays arrive. Shares are of the plays, 0 to 1, and independent. */
export interface Disorder {
  readonly seed: number;
  /** Come up to a minute late. */
  readonly delay: number;
  /** Change places with the play behind them. */
  readonly reorder: number;
  /** Come twice. */
  readonly duplicate: number;
  /** Are lost, and sent again minutes later. */
  readonly dropResend: number;
  /** Are told wrongly first and corrected later, or taken back for a while. */
  readonly correct: number;
}

/** One account of a play on its way. */
export interface Arrival {
  readonly play: PlayEvent;
  /** Milliseconds after the first play of the game. */
  readonly atMs: number;
}

export const NO_DISORDER: Omit<Disorder, "seed"> = {
  delay: 0,
  reorder: 0,
  duplicate: 0,
  dropResend: 0,
  correct: 0,
};

const DELAY_MAX_MS = 60_000;
/** What was lost is noticed by its receiver, and asked for again. */
const RESEND_MS = { min: 60_000, max: 600_000 };
/** From a play to its last edit, over 33,373 plays of sixty games: median 6.5 s, 90 % 164 s, 99 % 986 s. */
const CORRECTION_MEDIAN_MS = 6500;
const CORRECTION_SIGMA = 2.5;
const CORRECTION_MAX_MS = 4 * 3_600_000;

export function isDisordered(disorder: Disorder): boolean {
  const { seed: _seed, ...shares } = disorder;
  return Object.values(shares).some((share) => share > 0);
}

/** The plays as they happened, each once, at its own time; the clock of a feed never runs back here. */
export function inOrder({ plays }: SourceGame): Arrival[] {
  let atMs = 0;
  return plays.map((play, i) => {
    atMs += Math.max(0, Number(play.eventTimeMs - (plays[i - 1] ?? play).eventTimeMs));
    return { play, atMs };
  });
}

/**
 * The plays of a game as a careless feed tells them. In the end every play has been told, and the account of
 * its highest revision is the true one, so what follows from all of them is what follows from the clean game.
 * The same game and seed give the same arrivals, whatever else is replayed.
 */
export function disorderly(game: SourceGame, disorder: Disorder): Arrival[] {
  for (const share of [disorder.delay, disorder.reorder, disorder.duplicate, disorder.dropResend])
    assert(share >= 0 && share <= 1, "a share is 0 to 1");
  assert(disorder.correct >= 0 && disorder.correct <= 1, "a share is 0 to 1");
  const clean = inOrder(game);
  const random = seededRandom(disorder.seed).fork(game.info.gameId);
  const times = clean.map(({ atMs }) => atMs);
  const swap = random.fork("reorder");
  for (let i = 0; i + 1 < times.length; i += 1)
    if (swap.next() < disorder.reorder) {
      const [here = 0, next = 0] = [times[i], times[i + 1]];
      // Told a moment behind its successor, also where both happened at once.
      times[i] = Math.max(here, next) + 1;
    }
  const draws = {
    late: random.fork("late"),
    again: random.fork("again"),
    wrong: random.fork("wrong"),
  };
  const arrivals: Arrival[] = [];
  for (const [i, { play }] of clean.entries()) {
    let atMs = times[i] ?? 0;
    if (draws.late.next() < disorder.delay) atMs += draws.late.next() * DELAY_MAX_MS;
    if (draws.late.next() < disorder.dropResend)
      atMs += RESEND_MS.min + draws.late.next() * (RESEND_MS.max - RESEND_MS.min);
    const isWrong = draws.wrong.next() < disorder.correct;
    const told = isWrong ? corrected(clean, i, atMs, draws.wrong) : [{ play, atMs }];
    arrivals.push(...told);
    if (draws.again.next() >= disorder.duplicate) continue;
    for (const each of told)
      arrivals.push({ play: each.play, atMs: each.atMs + draws.again.next() * DELAY_MAX_MS });
  }
  return arrivals.sort((a, b) => a.atMs - b.atMs);
}

/** How many accounts of them a receiver takes that refuses what it knows already, and what is older than that. */
export function freshAccounts(arrivals: readonly Arrival[]): number {
  const known = new Map<number, number>();
  return arrivals.filter(({ play: { playNumber, revision } }) => {
    if (revision <= (known.get(playNumber) ?? 0)) return false;
    known.set(playNumber, revision);
    return true;
  }).length;
}

/** The accounts of a play that is not told rightly at once; the last of them is true. */
function corrected(
  plays: readonly Arrival[],
  i: number,
  atMs: number,
  random: Random,
): readonly Arrival[] {
  const play = plays[i]?.play;
  assert(play !== undefined, "only plays of the game are corrected");
  const laterMs = (): number =>
    Math.min(
      CORRECTION_MAX_MS,
      CORRECTION_MEDIAN_MS * Math.exp(random.normal(0, CORRECTION_SIGMA)),
    );
  const revised = (by: number, changes: Partial<PlayEvent>): PlayEvent =>
    create(PlayEventSchema, { ...play, ...changes, revision: play.revision + by });
  const firstMs = atMs + laterMs();
  if (random.next() < TAKEN_BACK_SHARE) {
    return [
      { play, atMs },
      { play: revised(1, { retracted: true }), atMs: firstMs },
      { play: revised(2, {}), atMs: firstMs + laterMs() },
    ];
  }
  const neighbour = plays[i + 1]?.play;
  const wrong = mistaken(play, neighbour, random);
  return [
    { play: revised(0, wrong), atMs },
    { play: revised(1, {}), atMs: firstMs },
  ];
}

const TAKEN_BACK_SHARE = 0.2;

/** A mistake as scorers make them. */
function mistaken(
  play: PlayEvent,
  neighbour: PlayEvent | undefined,
  random: Random,
): Partial<PlayEvent> {
  const onCourt = play.side === Side.AWAY ? play.awayOnCourtIds : play.homeOnCourtIds;
  const isShot = play.kind === PlayKind.SHOT;
  switch (random.int(6)) {
    case 0:
      return {
        actorId: onCourt[random.int(5)] ?? play.actorId,
        description: `${play.description} ?`,
      };
    case 1:
      return isShot ? { shotValue: play.shotValue === 3 ? 2 : 3 } : { assisterId: 0, subtype: "" };
    case 2:
      return { clockRemainingDs: Math.max(0, play.clockRemainingDs - random.int(300)) };
    case 3:
      return { kind: PlayKind.OTHER, shotMade: false, teamId: 0, side: Side.NONE };
    case 4:
      return isShot || play.kind === PlayKind.FREE_THROW
        ? { shotMade: !play.shotMade }
        : { homeScore: play.homeScore + 2 };
    default: {
      // The numbers of two plays are mixed up: here stands what belongs to the next.
      if (neighbour === undefined) return { description: "" };
      const { playNumber: _number, revision: _revision, gameOver: _over, ...content } = neighbour;
      return content;
    }
  }
}
