import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { seededRandom } from "../../base/random.ts";
import { ELO_AVERAGE, eloUpdate, eloWinProb, homeAdvantageElo } from "../../features/elo.ts";
import {
  Feed,
  type GameInfo,
  GameInfoSchema,
  League,
  SeasonType,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { playGame } from "./game.ts";
import { FITTED_RATES } from "./fitted-rates.ts";
import { type LeagueTeam, makeLeague } from "./league.ts";
import { type Rates } from "./rates.ts";

export interface SyntheticSeasonOptions {
  /** Any integer; the same seed gives the same bytes. */
  readonly seed: number;
  /** How many games, at least 1. */
  readonly games: number;
  /** Default: eight, or twice `concurrent` when that is more. */
  readonly teams?: number;
  /** Games on one day, side by side; at most half of the teams. Default: half of the teams. */
  readonly concurrent?: number;
  /** Tip-off of the first game, epoch milliseconds. */
  readonly startTimeMs: number;
  /** Default: those fitted to real seasons. */
  readonly rates?: Rates;
}

const DEFAULT_TEAMS = 8;

/** Tip-offs of a day follow each other at this distance, so that games side by side are not in step. */
const TIPOFF_STEP_MS = 180_000;
const DAY_MS = 86_400_000;
/** The invented cities lie five hours west of Greenwich. */
const LOCAL_TIME_MS = 5 * 3_600_000;
/** A season that starts before July belongs to the year before. */
const FIRST_MONTH = 6;

/** What the league knows of a team between its games. */
interface Standing {
  readonly team: LeagueTeam;
  elo: number;
  lastDay: number | undefined;
}

interface Pairing {
  readonly home: Standing;
  readonly away: Standing;
}

/**
 * A season of invented teams, game by game in the order of tip-offs, made while it is read: only one day is in
 * memory. Each day's ratings come from the days before.
 */
export function* syntheticSeason(options: SyntheticSeasonOptions): Generator<SourceGame> {
  const { seed, games, startTimeMs, rates = FITTED_RATES } = options;
  const teams = options.teams ?? Math.max(DEFAULT_TEAMS, 2 * (options.concurrent ?? 0));
  const concurrent = options.concurrent ?? Math.floor(teams / 2);
  assert(Number.isInteger(games) && games > 0, "a season has at least one game");
  assert(concurrent >= 1 && concurrent * 2 <= teams, "a team plays one game at a time");
  const random = seededRandom(seed);
  const standings = makeLeague(random.fork("league"), teams, rates).map((team): Standing => {
    return { team, elo: ELO_AVERAGE, lastDay: undefined };
  });
  const season = seasonOf(startTimeMs);
  let made = 0;
  for (let day = 0; made < games; day++) {
    const updates: (() => void)[] = [];
    const pairings = pairingsOf(standings, day, concurrent).slice(0, games - made);
    for (const [slot, pairing] of pairings.entries()) {
      made += 1;
      const gameId = `SYN${String(made).padStart(7, "0")}`;
      const tipoffTimeMs = startTimeMs + day * DAY_MS + slot * TIPOFF_STEP_MS;
      const info = gameInfo({ gameId, season, tipoffTimeMs, day, ...pairing });
      const { home, away } = pairing;
      const fork = random.fork(gameId);
      const teamsOfGame = { home: home.team, away: away.team };
      const played = playGame({
        gameId,
        season,
        random: fork,
        rates,
        tipoffTimeMs,
        ...teamsOfGame,
      });
      updates.push(() => settle(pairing, season, day, played.homePoints - played.awayPoints));
      yield { info, plays: played.plays, deadLetters: [], rows: played.plays.length };
    }
    for (const update of updates) update();
  }
}

/**
 * Everybody meets everybody by the circle method: one team stays, the others move on by one each day.
 * Home and away alternate by round and by position.
 */
function pairingsOf(standings: readonly Standing[], day: number, concurrent: number): Pairing[] {
  const size = standings.length - (standings.length % 2);
  const moving = size - 1;
  const at = (position: number): Standing => {
    const index = position === 0 ? 0 : 1 + ((position - 1 + day) % moving);
    const standing = standings[index];
    assert(standing !== undefined, "positions stay inside the circle");
    return standing;
  };
  const isSwapped = Math.floor(day / moving) % 2 === 1;
  return Array.from({ length: concurrent }, (_, position): Pairing => {
    const [first, second] = [at(position), at(size - 1 - position)];
    const swap = isSwapped !== ((position === 0 ? day : position) % 2 === 1);
    return swap ? { home: second, away: first } : { home: first, away: second };
  });
}

interface InfoParts extends Pairing {
  readonly gameId: string;
  readonly season: number;
  readonly tipoffTimeMs: number;
  readonly day: number;
}

function gameInfo(parts: InfoParts): GameInfo {
  const { gameId, season, tipoffTimeMs, day, home, away } = parts;
  const restDays = ({ lastDay }: Standing) => (lastDay === undefined ? undefined : day - lastDay);
  const [homeRestDays, awayRestDays] = [restDays(home), restDays(away)];
  return create(GameInfoSchema, {
    gameId,
    league: League.SYNTHETIC,
    season,
    seasonType: SeasonType.REGULAR,
    gameDate: new Date(tipoffTimeMs - LOCAL_TIME_MS).toISOString().slice(0, 10),
    tipoffTimeMs: BigInt(tipoffTimeMs),
    home: { teamId: home.team.teamId, tricode: home.team.tricode, name: home.team.name },
    away: { teamId: away.team.teamId, tricode: away.team.tricode, name: away.team.name },
    venue: home.team.venue,
    roster: [home, away].flatMap(({ team }) =>
      team.players.map(({ playerId, name, teamId, starter }) => {
        return { playerId, name, teamId, starter };
      }),
    ),
    homeElo: home.elo,
    awayElo: away.elo,
    homePregameWinProb: eloWinProb(home.elo, away.elo, homeAdvantageElo(season, false)),
    ...(homeRestDays === undefined ? {} : { homeRestDays }),
    ...(awayRestDays === undefined ? {} : { awayRestDays }),
    feed: Feed.SYNTHETIC,
  });
}

function settle({ home, away }: Pairing, season: number, day: number, margin: number): void {
  const homeAdvantage = homeAdvantageElo(season, false);
  const after = eloUpdate({ homeElo: home.elo, awayElo: away.elo, margin, homeAdvantage });
  home.elo = after.homeElo;
  away.elo = after.awayElo;
  home.lastDay = day;
  away.lastDay = day;
}

function seasonOf(startTimeMs: number): number {
  const start = new Date(startTimeMs);
  return start.getUTCMonth() < FIRST_MONTH ? start.getUTCFullYear() - 1 : start.getUTCFullYear();
}
