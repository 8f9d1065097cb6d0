import { carryOver, homeAdvantageElo } from "../../features/mod.ts";
import { type GameInfo, League, SeasonType } from "../../proto/gen/courtside/v1/play_pb.ts";
import { guessedDate } from "../readers/wall-clock.ts";
import { type SourceGame } from "../source.ts";
import { afterSummer, type SeasonStart } from "./forms.ts";
import { SeasonStrength, type StrengthGame } from "./season.ts";
import { committedStart } from "./snapshot.ts";
import { accountOf } from "./stints.ts";

/**
 * What results so far say of the teams and players of the next game. Games come in any order; each is told by
 * results of earlier days only, and its own never counts for it.
 */
export interface StrengthLedger {
  /** Fills in ratings, rest and the probability before tip-off, as far as they can be told. */
  prepare(info: GameInfo): void;
  /** Takes in a game; one that is not over, or not of the league, changes nothing. */
  add(game: SourceGame): void;
  /** The start of a season by all that was learnt before it; undefined before any game. */
  nextStart(startYear: number): SeasonStart | undefined;
}

/** Where a season begins when no earlier one was read: its committed start, or nothing. */
export type Starts = (season: number) => SeasonStart | undefined;

/** Points of home court when nothing is known: the league's mean since 2015-16, with a variance of a point². */
const HOME_POINTS = 2.4;
const HOME_VARIANCE = 1;

/** Seasons that the summers between two known ones are counted over; more say nothing of today's players. */
const SUMMERS_MAX = 3;

/** Games of the league's cup come first by number but are played in November. */
const CUP_FROM_SEASON = 2023;
const CUP_GAMES = 60;
const CUP_GUESS = "-11-15";

/**
 * Weights of the logit before tip-off: points of home court, points of the players, box-score value, and a game on the
 * day before. Fitted on 2017-18 to 2022-23 without a constant, so that swapping the sides swaps the answer.
 */
const HOME_WEIGHT = 0.1317;
const POINTS_WEIGHT = 0.1197;
const BOX_WEIGHT = 0.0278;
const TIRED_WEIGHT = -0.2046;

export function createLedger(starts: Starts = committedStart): StrengthLedger {
  const seasons = new Map<number, OpenSeason>();
  const enter = (startYear: number): OpenSeason => {
    const known = seasons.get(startYear);
    if (known !== undefined) return known;
    const start = starts(startYear) ?? carried(seasons, startYear) ?? nearest(starts, startYear);
    const opened = new OpenSeason(start);
    seasons.set(startYear, opened);
    return opened;
  };

  return {
    prepare(info) {
      if (info.league !== League.NBA) return;
      fill(info, enter(info.season).before(dateOf(info)));
    },
    add(game) {
      const { info, plays } = game;
      const last = plays.at(-1);
      if (info.league !== League.NBA || !COUNTED.has(info.seasonType)) return;
      if (last?.gameOver !== true || last.homeScore === last.awayScore) return;
      enter(info.season).add({
        gameId: info.gameId,
        date: dateOf(info),
        homeId: info.home?.teamId ?? 0,
        awayId: info.away?.teamId ?? 0,
        homeAdvantage: homeAdvantageElo(info.season, info.neutralSite),
        neutralSite: info.neutralSite,
        margin: last.homeScore - last.awayScore,
        account: accountOf(game),
      });
    },
    nextStart: (startYear) => carried(seasons, startYear),
  };
}

/** A season whose games come in any order; going back to an earlier day learns everything before it anew. */
class OpenSeason {
  readonly #start: SeasonStart;
  readonly #games: StrengthGame[] = [];
  #strength: SeasonStrength;
  /** Games before this date are in `#strength`, the first so many of the sorted ones. */
  #date = "";
  #taken = 0;

  constructor(start: SeasonStart) {
    this.#start = start;
    this.#strength = new SeasonStrength(start);
  }

  add(game: StrengthGame): void {
    const after = this.#games.findLastIndex((other) => !isLater(other, game));
    this.#games.splice(after + 1, 0, game);
    // A game from before the day that was reached: what was learnt lacks it.
    if (after + 1 < this.#taken) this.#forget();
  }

  /** Strengths on the morning of a day. */
  before(date: string): SeasonStrength {
    if (date < this.#date) this.#forget();
    this.#date = date;
    for (let game = this.#games[this.#taken]; game !== undefined && game.date < date;) {
      this.#strength.add(game);
      this.#taken += 1;
      game = this.#games[this.#taken];
    }
    return this.#strength;
  }

  #forget(): void {
    this.#strength = new SeasonStrength(this.#start);
    this.#date = "";
    this.#taken = 0;
  }
}

/** By date, and by id within a day, so that the order in which games came does not matter. */
function isLater(a: StrengthGame, b: StrengthGame): boolean {
  return a.date === b.date ? a.gameId > b.gameId : a.date > b.date;
}

const END_OF_TIME = "9999";

const COUNTED: ReadonlySet<SeasonType> = new Set([
  SeasonType.REGULAR,
  SeasonType.PLAYOFFS,
  SeasonType.PLAY_IN,
  SeasonType.CUP_FINAL,
]);

/** The day of the game, guessed by its number where the feed has none. */
function dateOf({ gameDate, gameId, season }: GameInfo): string {
  if (gameDate !== "") return gameDate;
  const number = Number(gameId.slice(5));
  if (season >= CUP_FROM_SEASON && number <= CUP_GAMES) return `${season}${CUP_GUESS}`;
  return guessedDate(season, gameId);
}

function fill(info: GameInfo, strength: SeasonStrength): void {
  const [homeId, awayId] = [info.home?.teamId ?? 0, info.away?.teamId ?? 0];
  const [homeTeam, awayTeam] = [strength.team(homeId), strength.team(awayId)];
  if (homeTeam.elo !== undefined && awayTeam.elo !== undefined) {
    info.homeElo = homeTeam.elo;
    info.awayElo = awayTeam.elo;
  }
  if (info.gameDate !== "") {
    const homeRest = restDays(homeTeam.lastDate, info.gameDate);
    const awayRest = restDays(awayTeam.lastDate, info.gameDate);
    if (homeRest !== undefined) info.homeRestDays ??= homeRest;
    if (awayRest !== undefined) info.awayRestDays ??= awayRest;
  }
  const home = strength.side(homeId, startersOf(info, homeId));
  const away = strength.side(awayId, startersOf(info, awayId));
  if (home === undefined || away === undefined || info.homePregameWinProb !== undefined) return;
  const logit =
    (info.neutralSite ? 0 : HOME_WEIGHT * strength.homePoints) +
    POINTS_WEIGHT * (home.points - away.points) +
    BOX_WEIGHT * (home.boxValue - away.boxValue) +
    TIRED_WEIGHT * (isTired(info.homeRestDays) - isTired(info.awayRestDays));
  info.homePregameWinProb = 1 / (1 + Math.exp(-logit));
}

function startersOf(info: GameInfo, teamId: number): number[] {
  return info.roster
    .filter((player) => player.starter && player.teamId === teamId)
    .map((player) => player.playerId);
}

function isTired(days: number | undefined): number {
  return Number(days !== undefined && days <= 1);
}

const DAY_MS = 86_400_000;

function restDays(lastDate: string | undefined, date: string): number | undefined {
  if (lastDate === undefined) return undefined;
  return Math.round((Date.parse(date) - Date.parse(lastDate)) / DAY_MS);
}

/** Box-score minutes from which on a player who sat out a whole season is still remembered. */
const REMEMBERED_MINUTES = 300;

/** A season's start from what was learnt in an earlier one; undefined when there is none or it is too long ago. */
function carried(
  seasons: ReadonlyMap<number, OpenSeason>,
  startYear: number,
): SeasonStart | undefined {
  const last = Math.max(...[...seasons.keys()].filter((year) => year < startYear));
  const season = seasons.get(last);
  if (season === undefined) return undefined;
  const strength = season.before(END_OF_TIME);
  const end = strength.end();
  const { played } = strength;
  const kept = [...end.players].filter(
    ([id, { boxMinutes }]) => played.has(id) || boxMinutes >= REMEMBERED_MINUTES,
  );
  return summers({ ...end, players: new Map(kept) }, startYear);
}

/** @param known - the end of an earlier season; its players and teams are carried over the summers since. */
function summers(known: SeasonStart, startYear: number): SeasonStart | undefined {
  const count = startYear - known.season;
  if (count > SUMMERS_MAX) return undefined;
  let players = [...known.players];
  let elo = [...known.elo];
  for (let i = 0; i < count; i += 1) {
    players = players.map(([id, form]) => [id, afterSummer(form)]);
    elo = elo.map(([id, rating]) => [id, carryOver(rating)]);
  }
  return { ...known, season: startYear, players: new Map(players), elo: new Map(elo) };
}

/** The committed start of an earlier season, carried on; an empty league when there is none. */
function nearest(starts: Starts, startYear: number): SeasonStart {
  for (let year = startYear - 1; year >= startYear - SUMMERS_MAX; year -= 1) {
    const start = starts(year);
    const later = start === undefined ? undefined : summers(start, startYear);
    if (later !== undefined) return later;
  }
  return {
    season: startYear,
    homePoints: HOME_POINTS,
    homeVariance: HOME_VARIANCE,
    players: new Map(),
    elo: new Map(),
  };
}
