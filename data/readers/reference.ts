import { readdir } from "node:fs/promises";
import path from "node:path";
import { pregameForms, type PregameForms, type RatedGame } from "../ratings.ts";
import { isRestartGame, normalGameId } from "./game-id.ts";
import { ID_MAX, type RowCells, SCORE_MAX } from "./row-cells.ts";
import { eachTableRow, tableColumns } from "./table-rows.ts";
import { type TeamName, tricodeOfSportsbook } from "./teams.ts";

const LOG_COLUMNS = [
  "game_id",
  "game_date",
  "season",
  "neutral_site",
  "team_id_home",
  "team_id_road",
  "team_abbreviation_home",
  "team_abbreviation_road",
  "team_name_home",
  "team_name_road",
  "pts_home",
  "pts_road",
] as const;
const ODDS_COLUMNS = ["date", "home", "away", "spread", "whos_favored"] as const;

type LogCells = RowCells<(typeof LOG_COLUMNS)[number]>;

/** The official account of a finished game. */
export interface OfficialGame extends RatedGame {
  readonly home: TeamName;
  readonly away: TeamName;
}

/** What is known of games from tables beside the play-by-play; empty when there are none. */
export interface Reference {
  /** By game id. */
  readonly games: ReadonlyMap<string, OfficialGame>;
  /** By game id. */
  readonly forms: ReadonlyMap<string, PregameForms>;
  /** Points by which the home team is favoured, by `spreadKey`. */
  readonly spreads: ReadonlyMap<string, number>;
}

export const NO_REFERENCE: Reference = { games: new Map(), forms: new Map(), spreads: new Map() };

/**
 * Reads tables of results and of odds beside the play-by-play: CSV files in `games`, `odds`, `../games` and
 * `../odds`, seen from its folder, and in the folder itself. A table is known by its columns; any may be absent.
 * Rows that cannot be read are left out.
 */
export async function readReference(folder: string): Promise<Reference> {
  const games = new Map<string, OfficialGame>();
  const spreads = new Map<string, number>();
  for (const place of [".", "games", "odds", "../games", "../odds"]) {
    for (const file of await tables(path.join(folder, place))) {
      const columns = await tableColumns(file);
      if (LOG_COLUMNS.every((name) => columns.has(name))) {
        await eachTableRow(file, LOG_COLUMNS, (cells) => {
          const game = officialGame(cells);
          if (game !== undefined) games.set(game.gameId, game);
        });
      } else if (ODDS_COLUMNS.every((name) => columns.has(name))) {
        await eachTableRow(file, ODDS_COLUMNS, (cells) => addSpread(spreads, cells));
      }
    }
  }
  return { games, forms: pregameForms([...games.values()]), spreads };
}

function addSpread(
  spreads: Map<string, number>,
  cells: RowCells<(typeof ODDS_COLUMNS)[number]>,
): void {
  const home = tricodeOfSportsbook(cells.text(cells.at.home));
  const away = tricodeOfSportsbook(cells.text(cells.at.away));
  const spread = cells.decimal(cells.at.spread);
  if (spread === undefined) return;
  const homeSpread = cells.text(cells.at.whos_favored) === "home" ? spread : -spread;
  spreads.set(spreadKey(cells.text(cells.at.date), home, away), homeSpread);
}

/** Id of the game that a team played at home on a date; undefined when no table has it. */
export function gameIdAt(reference: Reference, date: string, home: string): string | undefined {
  for (const game of reference.games.values()) {
    if (game.date === date && game.home.tricode === home) return game.gameId;
  }
  return undefined;
}

/** Points by which `home` is favoured; a few neutral-floor games are listed with the sides the other way. */
export function spreadOf(
  reference: Reference,
  date: string,
  home: string,
  away: string,
): number | undefined {
  const listed = reference.spreads.get(spreadKey(date, home, away));
  if (listed !== undefined) return listed;
  const turned = reference.spreads.get(spreadKey(date, away, home));
  return turned === undefined ? undefined : -turned;
}

function spreadKey(date: string, home: string, away: string): string {
  return `${date} ${home} ${away}`;
}

function officialGame(cells: LogCells): OfficialGame | undefined {
  const gameId = normalGameId(cells.text(cells.at.game_id));
  const date = cells.text(cells.at.game_date);
  const season = Number(cells.text(cells.at.season).slice(0, 4));
  const home = teamName(cells, "home");
  const away = teamName(cells, "road");
  const homeScore = cells.int(cells.at.pts_home, SCORE_MAX);
  const awayScore = cells.int(cells.at.pts_road, SCORE_MAX);
  if (gameId === undefined || cells.problem !== undefined || !/^\d{4}-\d\d-\d\d$/.test(date)) {
    return undefined;
  }
  const neutralSite = cells.text(cells.at.neutral_site) === "True" || isRestartGame(season, date);
  const ids = { homeId: home.teamId, awayId: away.teamId };
  return { gameId, date, season, neutralSite, ...ids, home, away, homeScore, awayScore };
}

function teamName(cells: LogCells, suffix: "home" | "road"): TeamName {
  return {
    teamId: cells.int(cells.at[`team_id_${suffix}`], ID_MAX),
    tricode: cells.text(cells.at[`team_abbreviation_${suffix}`]),
    name: cells.text(cells.at[`team_name_${suffix}`]),
  };
}

const TABLE = /\.csv(\.gz|\.zst)?$/;

/** Paths of the tables in a folder by name; none when it is not there, since these tables may be absent. */
async function tables(folder: string): Promise<string[]> {
  try {
    const names = (await readdir(folder)).filter((entry) => TABLE.test(entry)).sort();
    return names.map((entry) => path.join(folder, entry));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw error;
  }
}
