import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { namedPlayerId } from "../readers/basketball-reference.ts";
import { type BoxPage, readBoxPage } from "../readers/basketball-reference-box.ts";
import { fileLines } from "../readers/file-lines.ts";
import { normalGameId } from "../readers/game-id.ts";
import { type Json, list, member, parseJson, text } from "../readers/json-cells.ts";
import { ID_MAX, type RowCells } from "../readers/row-cells.ts";
import { eachTableRow } from "../readers/table-rows.ts";
import { teamByTricode } from "../readers/teams.ts";
import { type BoxLine, emptyLine } from "./box-score.ts";

/** Official figures, by game id. */
export interface Official {
  /** Game ids by date and home side, `2018-10-16 BOS`. */
  readonly gameIds: Map<string, string>;
  readonly finals: Map<string, { readonly home: number; readonly away: number }>;
  /** Sums of both sides' players, by team id. */
  readonly teams: Map<string, Map<number, BoxLine>>;
  /** By player id. */
  readonly players: Map<string, Map<number, BoxLine>>;
  /** The same by the ids that players get who are only named, see `namedPlayerId`. */
  readonly namedPlayers: Map<string, Map<number, BoxLine>>;
}

const PACKED = String.raw`\.csv(\.gz|\.zst)?$`;
const COUNT_MAX = 1000;

/**
 * Official figures of a data folder: `games/team_game_logs*`, `games/player_game_logs*`, and box scores of single
 * games in `fixtures/` (cdn.nba.com, stats.nba.com boxscoretraditionalv2, basketball-reference.com pages). Whatever is missing stays empty.
 */
export async function readOfficial(folder: string): Promise<Official> {
  const official: Official = {
    gameIds: new Map(),
    finals: new Map(),
    teams: new Map(),
    players: new Map(),
    namedPlayers: new Map(),
  };
  const games = path.join(folder, "games");
  for (const file of await matching(games, new RegExp(`^team_game_logs.*${PACKED}`))) {
    await readTeamLogs(file, official);
  }
  for (const file of await matching(games, new RegExp(`^player_game_logs.*${PACKED}`))) {
    await readPlayerLogs(file, official);
  }
  const fixtures = path.join(folder, "fixtures");
  for (const file of await matching(fixtures, /^cdn_boxscore.*\.json$/)) {
    addCdnBox(parseJson(await readFile(file, "utf8")), official);
  }
  for (const file of await matching(fixtures, /^cdn_raw.*\.jsonl(\.gz)?$/)) {
    for await (const { lines } of fileLines(file)) {
      for (const line of lines) addCdnBox(member(parseJson(line), "boxscore"), official);
    }
  }
  for (const file of await matching(fixtures, /^stats_boxscoretraditionalv2.*\.json$/)) {
    addTraditionalBox(parseJson(await readFile(file, "utf8")), official);
  }
  for (const file of await matching(fixtures, /^bbref_boxscore.*\.html(\.gz)?$/)) {
    const lines: string[] = [];
    for await (const batch of fileLines(file)) lines.push(...batch.lines);
    const [, date = "", home = ""] = /(\d{8})0([A-Z]{3})\.html/.exec(file) ?? [];
    addBoxPage(readBoxPage(lines.join("\n")), date, home, official);
  }
  return official;
}

const TEAM_COLUMNS = [
  "game_id",
  "game_date",
  "team_abbreviation_home",
  ...sided("team_id", "pts", "reb", "ast", "stl", "blk", "tov", "pf"),
] as const;

function sided<Name extends string>(...names: Name[]): `${Name}_${"home" | "road"}`[] {
  return names.flatMap((name) => [`${name}_home` as const, `${name}_road` as const]);
}

async function readTeamLogs(file: string, official: Official): Promise<void> {
  await eachTableRow(file, TEAM_COLUMNS, (cells) => {
    const gameId = normalGameId(cells.text(cells.at.game_id));
    if (gameId === undefined) return;
    const teams = new Map<number, BoxLine>();
    const number = (column: number): number => cells.int(column, ID_MAX);
    for (const side of ["home", "road"] as const) {
      const { at } = cells;
      teams.set(number(at[`team_id_${side}`]), {
        points: number(at[`pts_${side}`]),
        rebounds: number(at[`reb_${side}`]),
        assists: number(at[`ast_${side}`]),
        steals: number(at[`stl_${side}`]),
        blocks: number(at[`blk_${side}`]),
        turnovers: number(at[`tov_${side}`]),
        personalFouls: number(at[`pf_${side}`]),
        playedDs: 0,
      });
    }
    official.teams.set(gameId, teams);
    const { game_date: date, team_abbreviation_home: side } = cells.at;
    official.gameIds.set(`${cells.text(date)} ${cells.text(side)}`, gameId);
    const [home, away] = [number(cells.at.pts_home), number(cells.at.pts_road)];
    official.finals.set(gameId, { home, away });
  });
}

const PLAYER_COLUMNS = [
  "GAME_ID",
  "PLAYER_ID",
  "PTS",
  "REB",
  "AST",
  "STL",
  "BLK",
  "TOV",
  "PF",
  "MIN",
] as const;

async function readPlayerLogs(file: string, official: Official): Promise<void> {
  await eachTableRow(file, PLAYER_COLUMNS, (cells) => {
    const gameId = normalGameId(cells.text(cells.at.GAME_ID)) ?? "";
    playersOf(official.players, gameId).set(cells.int(cells.at.PLAYER_ID, ID_MAX), logLine(cells));
  });
}

function logLine(cells: RowCells<(typeof PLAYER_COLUMNS)[number]>): BoxLine {
  const { at } = cells;
  return {
    points: cells.int(at.PTS, COUNT_MAX),
    rebounds: cells.int(at.REB, COUNT_MAX),
    assists: cells.int(at.AST, COUNT_MAX),
    steals: cells.int(at.STL, COUNT_MAX),
    blocks: cells.int(at.BLK, COUNT_MAX),
    turnovers: cells.int(at.TOV, COUNT_MAX),
    personalFouls: cells.int(at.PF, COUNT_MAX),
    playedDs: cells.int(at.MIN, COUNT_MAX) * 600,
  };
}

/** Box score of cdn.nba.com: who played, with minutes to the hundredth of a second. */
function addCdnBox(document: Json, official: Official): void {
  const game = member(document, "game");
  const gameId = normalGameId(text(member(game, "gameId")));
  if (gameId === undefined) return;
  const [home, away] = [member(game, "homeTeam"), member(game, "awayTeam")];
  const points = (team: Json): number => Number(text(member(team, "score")));
  official.finals.set(gameId, { home: points(home), away: points(away) });
  for (const player of [home, away].flatMap((team) => list(member(team, "players")))) {
    if (text(member(player, "played")) !== "1") continue;
    const told = member(player, "statistics");
    const number = (name: string): number => Number(text(member(told, name)) || 0);
    playersOf(official.players, gameId).set(Number(text(member(player, "personId"))), {
      points: number("points"),
      rebounds: number("reboundsTotal"),
      assists: number("assists"),
      steals: number("steals"),
      blocks: number("blocks"),
      turnovers: number("turnovers"),
      personalFouls: number("foulsPersonal"),
      playedDs: isoSeconds(text(member(told, "minutes"))) * 10,
    });
  }
}

function isoSeconds(duration: string): number {
  const match = /^PT(\d+)M(\d+(?:\.\d+)?)S$/.exec(duration);
  return Number(match?.[1] ?? 0) * 60 + Number(match?.[2] ?? 0);
}

/** Box score of stats.nba.com, version 2. */
function addTraditionalBox(document: Json, official: Official): void {
  const set = list(member(document, "resultSets")).find(
    (each) => text(member(each, "name")) === "PlayerStats",
  );
  const headers = list(member(set, "headers")).map(text);
  for (const row of list(member(set, "rowSet"))) {
    const cell = (name: string): string => text(list(row)[headers.indexOf(name)]);
    const [minutes = "", seconds = ""] = cell("MIN").split(":");
    const gameId = normalGameId(cell("GAME_ID"));
    if (gameId === undefined || minutes === "") continue;
    playersOf(official.players, gameId).set(Number(cell("PLAYER_ID")), {
      ...emptyLine(),
      points: Number(cell("PTS")),
      rebounds: Number(cell("REB")),
      assists: Number(cell("AST")),
      steals: Number(cell("STL")),
      blocks: Number(cell("BLK")),
      turnovers: Number(cell("TO")),
      personalFouls: Number(cell("PF")),
      playedDs: (Number(minutes) * 60 + Number(seconds)) * 10,
    });
  }
}

/** Box score page of basketball-reference.com; players go by the ids that its play-by-play gets. */
function addBoxPage(page: BoxPage, day: string, home: string, official: Official): void {
  const date = `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}`;
  const gameId = official.gameIds.get(`${date} ${home}`);
  if (gameId === undefined) return;
  for (const [tricode, players] of page.teams) {
    const teamId = teamByTricode(tricode)?.teamId ?? 0;
    for (const { shortName, playedS, cells } of players) {
      const number = (name: string): number => cells.get(name) ?? 0;
      playersOf(official.namedPlayers, gameId).set(namedPlayerId(teamId, shortName), {
        points: number("pts"),
        rebounds: number("trb"),
        assists: number("ast"),
        steals: number("stl"),
        blocks: number("blk"),
        turnovers: number("tov"),
        personalFouls: number("pf"),
        playedDs: playedS * 10,
      });
    }
  }
}

function playersOf(games: Map<string, Map<number, BoxLine>>, gameId: string): Map<number, BoxLine> {
  let players = games.get(gameId);
  if (players === undefined) {
    players = new Map();
    games.set(gameId, players);
  }
  return players;
}

async function matching(folder: string, name: RegExp): Promise<string[]> {
  try {
    const names = (await readdir(folder)).filter((entry) => name.test(entry)).sort();
    return names.map((entry) => path.join(folder, entry));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
