import { ELO_AVERAGE, eloUpdate } from "../../features/mod.ts";
import {
  afterGame,
  homeCourtDrift,
  learnStint,
  NEW_PLAYER,
  type PlayerForm,
  type SeasonStart,
  starterMinutes,
} from "./forms.ts";
import { type GameAccount } from "./stints.ts";

/** A finished game as the season's strengths see it. */
export interface StrengthGame {
  readonly gameId: string;
  /** YYYY-MM-DD, guessed where the feed has none. */
  readonly date: string;
  readonly homeId: number;
  readonly awayId: number;
  /** Home court in rating points of Elo. */
  readonly homeAdvantage: number;
  readonly neutralSite: boolean;
  /** Home points minus away points. */
  readonly margin: number;
  readonly account: GameAccount;
}

/** What is known of one side on the morning of a game. */
export interface SideStrength {
  /** Points per 48 minutes above average, the players weighted by the minutes that they are expected to play. */
  readonly points: number;
  /** Box-score value of a game above the league's, weighted alike. */
  readonly boxValue: number;
}

/** Weight of the past in a player's presence, by game of his team: who sat out four games is hardly expected. */
const PRESENCE_MEMORY = 0.75;
/** Who started more than this share of late and does not start today is out. */
const USUAL_STARTER_SHARE = 0.6;
/** Least minutes to expect of a starter. */
const STARTER_MINUTES_MIN = 22;
/** Bench players fill what the starters leave, but not by more than this factor. */
const BENCH_STRETCH_MAX = 3;
const TEAM_MINUTES = 240;
const ON_COURT = 5;
/** Minutes without any value that a player's box-score rate is mixed with. */
const BOX_SHRINK_MINUTES = 400;
/** Starters with history that a line-up needs before it is believed: feeds with ids of their own have none. */
const KNOWN_STARTERS_MIN = 3;

interface TeamSeason {
  elo: number;
  games: number;
  lastDate: string | undefined;
  /** By player id: how surely he is part of the team of late, 0..1, as of the given number of team games. */
  readonly presence: Map<number, { readonly share: number; readonly games: number }>;
}

/** Strengths of one season: everything that the games taken in so far say. */
export class SeasonStrength {
  readonly #start: SeasonStart;
  readonly #players: Map<number, PlayerForm>;
  readonly #played = new Set<number>();
  readonly #teams = new Map<number, TeamSeason>();
  readonly #home: { points: number; variance: number };

  constructor(start: SeasonStart) {
    this.#start = start;
    this.#players = new Map(start.players);
    this.#home = { points: start.homePoints, variance: start.homeVariance };
  }

  /** Points of home court. */
  get homePoints(): number {
    return this.#home.points;
  }

  /** A team's Elo, undefined when it is not known, and the date of its last game in this season. */
  team(teamId: number): {
    readonly elo: number | undefined;
    readonly lastDate: string | undefined;
  } {
    const team = this.#teams.get(teamId);
    return { elo: team?.elo ?? this.#start.elo.get(teamId), lastDate: team?.lastDate };
  }

  /** Ids of those who played in this season. */
  get played(): ReadonlySet<number> {
    return this.#played;
  }

  /**
   * @param starterIds - the five who start, when they are known.
   * @returns undefined when nothing is known of the team's players.
   */
  side(teamId: number, starterIds: readonly number[]): SideStrength | undefined {
    const known = starterIds.filter((id) => this.#players.has(id));
    const weights = this.#weights(teamId, known.length >= KNOWN_STARTERS_MIN ? starterIds : []);
    const minutes = sum(weights.values());
    if (minutes <= 0) return undefined;
    let points = 0;
    let boxValue = 0;
    for (const [id, weight] of weights) {
      const form = this.#players.get(id) ?? NEW_PLAYER;
      points += (form.points * weight) / minutes;
      boxValue += ((form.boxSum / (form.boxMinutes + BOX_SHRINK_MINUTES)) * weight) / minutes;
    }
    return { points: points * ON_COURT, boxValue: boxValue * TEAM_MINUTES };
  }

  add({ account, homeId, awayId, ...game }: StrengthGame): void {
    const points = new Map<number, number>();
    const variance = new Map<number, number>();
    for (const id of account.players.keys()) {
      const form = this.#players.get(id);
      if (form === undefined) continue;
      points.set(id, form.points);
      variance.set(id, form.variance);
    }
    homeCourtDrift(this.#home);
    const learning = { points, variance, home: this.#home };
    for (const stint of account.stints) learnStint(learning, stint, game.neutralSite);
    const [home, away] = [this.#team(homeId), this.#team(awayId)];
    for (const team of [home, away]) {
      team.games += 1;
      team.lastDate = game.date;
    }
    for (const [id, played] of account.players) {
      const [own, spread] = [points.get(id), variance.get(id)];
      const form = afterGame(
        this.#players.get(id),
        played,
        own ?? NEW_PLAYER.points,
        spread ?? NEW_PLAYER.variance,
      );
      this.#players.set(id, form);
      this.#played.add(id);
      markPresent(this.#team(played.teamId), id);
    }
    const elo = eloUpdate({ ...game, homeElo: home.elo, awayElo: away.elo });
    home.elo = elo.homeElo;
    away.elo = elo.awayElo;
  }

  /** Everything learnt so far, as a season's end. */
  end(): SeasonStart {
    const elo = new Map(this.#start.elo);
    for (const [id, team] of this.#teams) elo.set(id, team.elo);
    return {
      season: this.#start.season,
      homePoints: this.#home.points,
      homeVariance: this.#home.variance,
      players: this.#players,
      elo,
    };
  }

  #team(teamId: number): TeamSeason {
    const known = this.#teams.get(teamId);
    if (known !== undefined) return known;
    const elo = this.#start.elo.get(teamId) ?? ELO_AVERAGE;
    const team: TeamSeason = { elo, games: 0, lastDate: undefined, presence: new Map() };
    this.#teams.set(teamId, team);
    return team;
  }

  /** Expected minutes by player: 240 with known starters and a bench that is known, else shares of them. */
  #weights(teamId: number, starterIds: readonly number[]): ReadonlyMap<number, number> {
    const bench = new Map<number, number>();
    const { presence, games } = this.#team(teamId);
    for (const [id, seen] of presence) {
      const form = this.#players.get(id);
      if (form?.teamId !== teamId || starterIds.includes(id)) continue;
      if (starterIds.length > 0 && form.startShare > USUAL_STARTER_SHARE) continue;
      bench.set(id, seen.share * PRESENCE_MEMORY ** (games - seen.games) * form.minutes);
    }
    if (starterIds.length === 0) return bench;
    const weights = new Map(
      starterIds.map((id) => [id, starterMinutes(this.#players.get(id), STARTER_MINUTES_MIN)]),
    );
    const benched = sum(bench.values());
    const left = Math.max(0, TEAM_MINUTES - sum(weights.values()));
    const stretch = benched > 0 ? Math.min(BENCH_STRETCH_MAX, left / benched) : 0;
    for (const [id, minutes] of bench) weights.set(id, minutes * stretch);
    return weights;
  }
}

function markPresent({ presence, games }: TeamSeason, id: number): void {
  const last = presence.get(id);
  const kept = last === undefined ? 0 : last.share * PRESENCE_MEMORY ** (games - last.games);
  presence.set(id, { share: kept + 1 - PRESENCE_MEMORY, games });
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
