import { carryOver, ELO_AVERAGE, eloUpdate, homeAdvantageElo } from "../features/elo.ts";

/** What a rating needs of a finished game. */
export interface RatedGame {
  readonly gameId: string;
  /** YYYY-MM-DD. */
  readonly date: string;
  /** Year in which the season starts. */
  readonly season: number;
  readonly neutralSite: boolean;
  readonly homeId: number;
  readonly awayId: number;
  readonly homeScore: number;
  readonly awayScore: number;
}

/** What was known of one team on the morning of a game. */
export interface PregameForm {
  /** Elo rating, 1500 = average. */
  readonly elo: number;
  /** Whole days since the team's previous game of this season; undefined for its first one. */
  readonly restDays?: number;
}

/** Form of both teams of a game, by team id. */
export type PregameForms = ReadonlyMap<number, PregameForm>;

const DAY_MS = 86_400_000;

/**
 * Form of both teams before each game, from the results of earlier days only: all games of a day see the
 * ratings of the evening before, so no game knows its own result or that of one played at the same time.
 * @param games - in any order; of all seasons that are to count.
 * @returns by game id.
 */
export function pregameForms(games: readonly RatedGame[]): ReadonlyMap<string, PregameForms> {
  const league = new Ratings();
  const forms = new Map<string, PregameForms>();
  const byDate = new Map<string, RatedGame[]>();
  for (const game of games) {
    const sameDay = byDate.get(game.date);
    if (sameDay === undefined) byDate.set(game.date, [game]);
    else sameDay.push(game);
  }
  for (const [date, today] of [...byDate].sort(([a], [b]) => (a < b ? -1 : 1))) {
    for (const game of today) {
      league.startSeason(game.season);
      forms.set(
        game.gameId,
        new Map([game.homeId, game.awayId].map((team) => [team, league.formOf(team, date)])),
      );
    }
    for (const game of today) league.add(game);
  }
  return forms;
}

class Ratings {
  readonly #elo = new Map<number, number>();
  readonly #lastDate = new Map<number, string>();
  #season: number | undefined;

  startSeason(season: number): void {
    if (this.#season === season) return;
    if (this.#season !== undefined) {
      for (const [team, elo] of this.#elo) this.#elo.set(team, carryOver(elo));
    }
    this.#lastDate.clear();
    this.#season = season;
  }

  formOf(team: number, date: string): PregameForm {
    const elo = this.#elo.get(team) ?? ELO_AVERAGE;
    const last = this.#lastDate.get(team);
    if (last === undefined) return { elo };
    return { elo, restDays: Math.round((Date.parse(date) - Date.parse(last)) / DAY_MS) };
  }

  add(game: RatedGame): void {
    const { homeElo, awayElo } = eloUpdate({
      homeElo: this.#elo.get(game.homeId) ?? ELO_AVERAGE,
      awayElo: this.#elo.get(game.awayId) ?? ELO_AVERAGE,
      margin: game.homeScore - game.awayScore,
      homeAdvantage: homeAdvantageElo(game.season, game.neutralSite),
    });
    this.#elo.set(game.homeId, homeElo);
    this.#elo.set(game.awayId, awayElo);
    this.#lastDate.set(game.homeId, game.date);
    this.#lastDate.set(game.awayId, game.date);
  }
}
