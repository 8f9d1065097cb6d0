import { readdir } from "node:fs/promises";
import path from "node:path";
import { pregameForms, type PregameForms, type RatedGame } from "../ratings.ts";
import { csvRows, type CsvRow } from "./csv.ts";
import { fileLines } from "./file-lines.ts";
import { isRestartGame, normalGameId } from "./game-id.ts";
import { RowCells, ID_MAX, SCORE_MAX } from "./row-cells.ts";
import { type TeamName, tricodeOfSportsbook } from "./teams.ts";

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
 * Reads `../games/team_game_logs*` and `../odds/nba_*_raw*` seen from the folder of the play-by-play, as the
 * data folder lays them out. Rows of them that cannot be read are left out.
 */
export async function readReference(folder: string): Promise<Reference> {
  const games: OfficialGame[] = [];
  await eachRow(path.join(folder, "../games"), /^team_game_logs.*\.csv(\.gz)?$/, (cells) => {
    const game = officialGame(cells);
    if (game !== undefined) games.push(game);
  });
  const spreads = new Map<string, number>();
  await eachRow(path.join(folder, "../odds"), /^nba_.*_raw\.csv(\.gz)?$/, (cells) => {
    const home = tricodeOfSportsbook(cells.text("home"));
    const away = tricodeOfSportsbook(cells.text("away"));
    const spread = cells.decimal("spread");
    if (spread === undefined) return;
    const homeSpread = cells.text("whos_favored") === "home" ? spread : -spread;
    spreads.set(spreadKey(cells.text("date"), home, away), homeSpread);
  });
  return { games: new Map(games.map((g) => [g.gameId, g])), forms: pregameForms(games), spreads };
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

function officialGame(cells: RowCells): OfficialGame | undefined {
  const gameId = normalGameId(cells.text("game_id"));
  const date = cells.text("game_date");
  const season = Number(cells.text("season").slice(0, 4));
  const home = teamName(cells, "home");
  const away = teamName(cells, "road");
  const homeScore = cells.int("pts_home", SCORE_MAX);
  const awayScore = cells.int("pts_road", SCORE_MAX);
  if (gameId === undefined || cells.problem !== undefined || !/^\d{4}-\d\d-\d\d$/.test(date)) {
    return undefined;
  }
  const neutralSite = cells.text("neutral_site") === "True" || isRestartGame(season, date);
  const ids = { homeId: home.teamId, awayId: away.teamId };
  return { gameId, date, season, neutralSite, ...ids, home, away, homeScore, awayScore };
}

function teamName(cells: RowCells, suffix: string): TeamName {
  return {
    teamId: cells.int(`team_id_${suffix}`, ID_MAX),
    tricode: cells.text(`team_abbreviation_${suffix}`),
    name: cells.text(`team_name_${suffix}`),
  };
}

async function eachRow(
  folder: string,
  name: RegExp,
  take: (cells: RowCells, row: CsvRow) => void,
): Promise<void> {
  for (const file of (await listed(folder)).filter((entry) => name.test(entry)).sort()) {
    let cells: RowCells | undefined;
    for await (const batch of csvRows(fileLines(path.join(folder, file)))) {
      for (const row of batch.rows) {
        if (cells === undefined) cells = new RowCells(row.fields);
        else if (cells.set(row).problem === undefined) take(cells, row);
      }
    }
  }
}

/** Names in a folder; none when it is not there, since these tables may be absent. */
async function listed(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
