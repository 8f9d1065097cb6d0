import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { normalGameId } from "./readers/game-id.ts";
import { PERIOD_MAX, SCORE_MAX } from "./readers/row-cells.ts";
import { eachTableRow } from "./readers/table-rows.ts";
import { teamByName, teamByNickname, tricodeOfSportsbook } from "./readers/teams.ts";

/** What somebody else said during a game. */
export interface InGamePoint {
  /** Seconds left in regulation, or in the overtime under way. */
  readonly leftS: number;
  /** 5 and up in overtime, else at most 4. */
  readonly overtime: boolean;
  /** Home points minus away points. */
  readonly margin: number;
  readonly homeWinProb: number;
}

/** Probabilities that somebody else published for games, with where they come from. */
export interface PublishedPredictor {
  readonly name: string;
  /** During games, by game id or by `gameKey`. */
  readonly inGame: ReadonlyMap<string, readonly InGamePoint[]>;
  /** Before games, by `gameKey`: home win, 0..1. */
  readonly pregame: ReadonlyMap<string, number>;
}

/** Names a game by its local date and its teams' three-letter names. */
export function gameKey(date: string, home: string, away: string): string {
  return `${date} ${home} ${away}`;
}

/** Reads the tables of published probabilities in a folder; none when it is not there. */
export async function readPredictors(folder: string): Promise<PublishedPredictor[]> {
  const names = await readdir(folder).catch(() => []);
  const files = names.toSorted(byName).map((name) => path.join(folder, name));
  const found: PublishedPredictor[] = [];
  for (const file of files) {
    if (/celtics_in_game.*\.csv/u.test(file)) found.push(...(await celtics(file)));
    else if (/espn_pregame.*\.csv/u.test(file)) found.push(await espnPregame(file));
    else if (/fivethirtyeight_pregame.*\.csv/u.test(file)) found.push(await fiveThirtyEight(file));
  }
  const espn = new Map<string, readonly InGamePoint[]>();
  for (const file of files.filter((name) => /espn_in_game.*\.json/u.test(name))) {
    const game = await espnInGame(file);
    if (game !== undefined) espn.set(game.key, game.points);
  }
  if (espn.size > 0) found.push({ name: "ESPN, in game", inGame: espn, pregame: new Map() });
  return found;
}

const CELTICS_COLUMNS = [
  "game_id",
  "celtics_home",
  "period",
  "clock",
  "celtics_score",
  "opponent_score",
  "wp",
  "wp_generic",
] as const;

function byName(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** A community model of Boston's games, out of fold, and its score-and-time baseline. */
async function celtics(file: string): Promise<PublishedPredictor[]> {
  const models = [
    { column: "wp" as const, name: "celtics-win-probability (published, out of fold)" },
    { column: "wp_generic" as const, name: "celtics-win-probability, score and time" },
  ].map(({ column, name }) => ({ column, name, inGame: new Map<string, InGamePoint[]>() }));
  await eachTableRow(file, CELTICS_COLUMNS, (cells) => {
    const { at } = cells;
    const gameId = normalGameId(cells.text(at.game_id));
    const isHome = cells.text(at.celtics_home) === "1";
    const own = cells.int(at.celtics_score, SCORE_MAX) - cells.int(at.opponent_score, SCORE_MAX);
    const period = cells.int(at.period, PERIOD_MAX);
    const clock = /^PT(\d+)M([\d.]+)S$/u.exec(cells.text(at.clock));
    if (gameId === undefined || clock === null) return;
    const clockS = Number(clock[1]) * 60 + Number(clock[2]);
    const leftS = Math.max(0, 4 - period) * 720 + clockS;
    for (const { column, inGame } of models) {
      const said = cells.decimal(at[column]);
      if (said === undefined) continue;
      const points = inGame.get(gameId) ?? [];
      inGame.set(gameId, points);
      points.push({
        leftS,
        overtime: period > 4,
        margin: isHome ? own : -own,
        homeWinProb: isHome ? said : 1 - said,
      });
    }
  });
  return models.map(({ name, inGame }) => ({ name, inGame, pregame: new Map() }));
}

/** Hours from the start of an evening game in UTC back to the local day. */
const UTC_TO_LOCAL_MS = 8 * 3_600_000;

/** The columns of the source are swapped: what it calls home is the away side's. */
async function espnPregame(file: string): Promise<PublishedPredictor> {
  const pregame = new Map<string, number>();
  const columns = ["game_date", "home_team_abb", "away_team_abb", "winpb_away"] as const;
  await eachTableRow(file, columns, (cells) => {
    const { at } = cells;
    const said = cells.decimal(at.winpb_away);
    const startMs = Date.parse(cells.text(at.game_date));
    if (said === undefined || said < 0 || said > 1 || Number.isNaN(startMs)) return;
    const date = new Date(startMs - UTC_TO_LOCAL_MS).toISOString().slice(0, 10);
    const home = tricodeOfSportsbook(cells.text(at.home_team_abb).toLowerCase());
    const away = tricodeOfSportsbook(cells.text(at.away_team_abb).toLowerCase());
    pregame.set(gameKey(date, home, away), said);
  });
  return { name: "ESPN, pre-game", inGame: new Map(), pregame };
}

async function fiveThirtyEight(file: string): Promise<PublishedPredictor> {
  const pregame = new Map<string, number>();
  await eachTableRow(file, ["date", "team1", "team2", "prob1"] as const, (cells) => {
    const { at } = cells;
    const [one, two] = [at.team1, at.team2].map((column) => teamByNickname(cells.text(column)));
    const said = cells.decimal(at.prob1);
    if (one === undefined || two === undefined || said === undefined) return;
    // The table does not say who was at home: both spellings lead to the same number.
    const date = cells.text(at.date);
    pregame.set(gameKey(date, one.tricode, two.tricode), said);
    pregame.set(gameKey(date, two.tricode, one.tricode), 1 - said);
  });
  return { name: "FiveThirtyEight, pre-game", inGame: new Map(), pregame };
}

interface EspnChart {
  readonly title?: string;
  readonly lines?: readonly {
    readonly line_type?: string;
    readonly team_name?: string;
    readonly x_values?: readonly number[];
    readonly y_values?: readonly { readonly percent?: number; readonly point_margin?: number }[];
  }[];
}

/** One game's second half; the title has teams and date, the line is one team's. */
async function espnInGame(
  file: string,
): Promise<{ readonly key: string; readonly points: InGamePoint[] } | undefined> {
  const bytes = await readFile(file);
  const text = (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  const chart = JSON.parse(text) as EspnChart;
  const title = /^(.+) @ (.+) \((\w+ \d+, \d{4})\)/u.exec(chart.title ?? "");
  const line = chart.lines?.find(({ line_type: type }) => type === "live-data");
  const [away, home] = [teamByName(title?.[1] ?? ""), teamByName(title?.[2] ?? "")];
  const dayMs = Date.parse(`${title?.[3] ?? ""} 12:00 UTC`);
  if (line === undefined || away === undefined || home === undefined || Number.isNaN(dayMs)) {
    return undefined;
  }
  const isHome = teamByName(line.team_name ?? "")?.teamId === home.teamId;
  const points: InGamePoint[] = [];
  for (const [i, left] of (line.x_values ?? []).entries()) {
    const { percent, point_margin: margin } = line.y_values?.[i] ?? {};
    if (percent === undefined || margin === undefined) continue;
    points.push({
      leftS: left * 60,
      overtime: false,
      margin: isHome ? margin : -margin,
      homeWinProb: isHome ? percent : 1 - percent,
    });
  }
  const date = new Date(dayMs).toISOString().slice(0, 10);
  return { key: gameKey(date, home.tricode, away.tricode), points };
}
