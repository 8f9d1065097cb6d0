import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Random } from "../../base/random.ts";
import {
  Feed,
  League,
  PlayEventSchema,
  type PlayEvent,
  type PlayKind,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { type LeaguePlayer, type LeagueTeam } from "./league.ts";
import { type Rates } from "./rates.ts";

/** 0 = home, 1 = away. */
export type SideIndex = 0 | 1;

/** A player's game so far; times in tenths of a second. */
export interface PlayerLine {
  readonly player: LeaguePlayer;
  playedDs: number;
  /** Since the last time the player came in or went out. */
  sinceChangeDs: number;
  points: number;
  fouls: number;
  offensiveRebounds: number;
  defensiveRebounds: number;
  assists: number;
  steals: number;
  blocks: number;
  turnovers: number;
}

export interface SimSide {
  readonly index: SideIndex;
  readonly team: LeagueTeam;
  readonly lines: readonly PlayerLine[];
  /** Always five. */
  onCourt: PlayerLine[];
  points: number;
  /** Points without an answer. */
  run: number;
  /** Fouls of this period that count towards the penalty. */
  periodFouls: number;
  /** Those of them in the last two minutes. */
  lateFouls: number;
  timeouts: number;
}

/** A game under way. */
export interface Sim {
  readonly gameId: string;
  readonly season: number;
  readonly random: Random;
  readonly rates: Rates;
  readonly sides: readonly [home: SimSide, away: SimSide];
  readonly plays: PlayEvent[];
  period: number;
  clockDs: number;
  /** Game time since tip-off, tenths of a second. */
  elapsedDs: number;
  /** Wall clock, epoch milliseconds. */
  wallMs: number;
  /** Side with the ball. */
  offense: SideIndex;
  /** Time-outs of both sides in this period. */
  periodTimeouts: number;
}

export interface SimOptions {
  readonly gameId: string;
  readonly season: number;
  readonly random: Random;
  readonly rates: Rates;
  readonly home: LeagueTeam;
  readonly away: LeagueTeam;
  readonly tipoffTimeMs: number;
}

const TIMEOUTS_A_GAME = 7;

export function makeSim(options: SimOptions): Sim {
  return {
    gameId: options.gameId,
    season: options.season,
    random: options.random,
    rates: options.rates,
    sides: [makeSide(0, options.home), makeSide(1, options.away)],
    plays: [],
    period: 1,
    clockDs: 0,
    elapsedDs: 0,
    wallMs: options.tipoffTimeMs,
    offense: 0,
    periodTimeouts: 0,
  };
}

function makeSide(index: SideIndex, team: LeagueTeam): SimSide {
  const lines = team.players.map((player) => ({
    player,
    playedDs: 0,
    sinceChangeDs: 0,
    points: 0,
    fouls: 0,
    offensiveRebounds: 0,
    defensiveRebounds: 0,
    assists: 0,
    steals: 0,
    blocks: 0,
    turnovers: 0,
  }));
  const onCourt = lines.filter((line) => line.player.starter);
  const counts = { points: 0, run: 0, periodFouls: 0, lateFouls: 0 };
  return { index, team, lines, onCourt, ...counts, timeouts: TIMEOUTS_A_GAME };
}

export function otherSide(index: SideIndex): SideIndex {
  return index === 0 ? 1 : 0;
}

export function attackers(sim: Sim): SimSide {
  return sim.sides[sim.offense];
}

export function defenders(sim: Sim): SimSide {
  return sim.sides[otherSide(sim.offense)];
}

/** Points that the side with the ball is ahead; negative when behind. */
export function leadOfOffense(sim: Sim): number {
  return attackers(sim).points - defenders(sim).points;
}

/** Runs the game clock, not below zero, and everybody's time with it. */
export function runClock(sim: Sim, wantedDs: number): void {
  const ds = Math.min(sim.clockDs, Math.max(0, Math.round(wantedDs)));
  sim.clockDs -= ds;
  sim.elapsedDs += ds;
  sim.wallMs += ds * 100;
  for (const side of sim.sides) {
    for (const line of side.lines) line.sinceChangeDs += ds;
    for (const line of side.onCourt) line.playedDs += ds;
  }
}

/** The wall clock goes on while the game clock stands. */
export function pause(sim: Sim, seconds: number): void {
  sim.wallMs += Math.round(seconds * 1000);
}

export type PlayFields = MessageInitShape<typeof PlayEventSchema> & { readonly kind: PlayKind };

/** Adds a play as of now. `actor` fills id and name. */
export function emit(
  sim: Sim,
  side: SimSide | undefined,
  actor: PlayerLine | undefined,
  fields: PlayFields,
): void {
  const [home, away] = sim.sides;
  sim.plays.push(
    create(PlayEventSchema, {
      gameId: sim.gameId,
      league: League.SYNTHETIC,
      season: sim.season,
      playNumber: sim.plays.length + 1,
      revision: 1,
      period: sim.period,
      clockRemainingDs: sim.clockDs,
      eventTimeMs: BigInt(sim.wallMs),
      teamId: side?.team.teamId ?? 0,
      side: sideOf(side),
      actorId: actor?.player.playerId ?? 0,
      actorName: actor?.player.name ?? "",
      homeScore: home.points,
      awayScore: away.points,
      feed: Feed.SYNTHETIC,
      homeOnCourtIds: home.onCourt.map((line) => line.player.playerId),
      awayOnCourtIds: away.onCourt.map((line) => line.player.playerId),
      ...fields,
    }),
  );
}

function sideOf(side: SimSide | undefined): Side {
  if (side === undefined) return Side.NONE;
  return side.index === 0 ? Side.HOME : Side.AWAY;
}

export function score(side: SimSide, other: SimSide, line: PlayerLine, points: number): void {
  side.points += points;
  side.run += points;
  line.points += points;
  other.run = 0;
}

/** One of `items` with the chance that its weight has among all. */
export function pickWeighted<T>(
  random: Random,
  items: readonly T[],
  weightOf: (item: T) => number,
): T {
  let total = 0;
  for (const item of items) total += weightOf(item);
  let left = random.next() * total;
  for (const item of items) {
    left -= weightOf(item);
    if (left < 0) return item;
  }
  // Rounding may leave a rest; the last item takes it.
  return items[items.length - 1] as T;
}
