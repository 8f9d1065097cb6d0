import { existsSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { FoulKind, type PlayEvent, PlayKind } from "../../proto/gen/courtside/v1/play_pb.ts";
import { csvRows } from "./csv.ts";
import { fileLines } from "./file-lines.ts";
import { openSource, type SourceGame } from "./mod.ts";
import { readReference } from "./reference.ts";
import { periodLengthDs, RowCells } from "./row-cells.ts";

const NBA = process.env["COURTSIDE_NBA"] ?? path.join(import.meta.dirname, "../../../shared/nba");
const PRESENT = existsSync(path.join(NBA, "pbp"));
if (!PRESENT) console.log(`skipped: box scores need real seasons, and there are none at ${NBA}`);

/** Of every game of the season only these many-th are compared, unless COURTSIDE_FULL=1. */
const EVERY = process.env["COURTSIDE_FULL"] === "1" ? 1 : 10;

interface Line {
  points: number;
  rebounds: number;
  assists: number;
  personalFouls: number;
  playedDs: number;
}

/** Player lines by adding up plays, the way a reader of the stream would. */
function boxScore(plays: readonly PlayEvent[]): Map<number, Line> {
  const lines = new Map<number, Line>();
  const line = (id: number): Line => {
    let found = lines.get(id);
    if (found === undefined) {
      found = { points: 0, rebounds: 0, assists: 0, personalFouls: 0, playedDs: 0 };
      lines.set(id, found);
    }
    return found;
  };
  let home: readonly number[] = [];
  let away: readonly number[] = [];
  let period = 0;
  let clockDs = 0;
  for (const play of plays) {
    if (play.period !== period) {
      period = play.period;
      clockDs = periodLengthDs(period);
      // In a feed without period rows the first row already has the new fives.
      if (play.homeOnCourtIds.length > 0) home = play.homeOnCourtIds;
      if (play.awayOnCourtIds.length > 0) away = play.awayOnCourtIds;
    }
    const goneDs = Math.max(0, clockDs - play.clockRemainingDs);
    for (const id of [...home, ...away]) line(id).playedDs += goneDs;
    clockDs -= goneDs;
    if (play.homeOnCourtIds.length > 0) home = play.homeOnCourtIds;
    if (play.awayOnCourtIds.length > 0) away = play.awayOnCourtIds;
    if (play.shotMade) line(play.actorId).points += play.shotValue;
    if (play.kind === PlayKind.REBOUND) line(play.actorId).rebounds++;
    if (play.kind === PlayKind.FOUL && isPersonal(play)) line(play.actorId).personalFouls++;
    if (play.assisterId !== 0) line(play.assisterId).assists++;
  }
  return lines;
}

function isPersonal(play: PlayEvent): boolean {
  return play.foulKind !== FoulKind.TECHNICAL && play.foulKind !== FoulKind.NON_PERSONAL;
}

type Official = Map<string, Map<number, Line>>;

async function officialLines(): Promise<Official> {
  const games: Official = new Map();
  const file = path.join(NBA, "games/player_game_logs_2023-24_2024-25.csv.gz");
  let cells: RowCells | undefined;
  for await (const { rows } of csvRows(fileLines(file))) {
    for (const row of rows) {
      if (cells === undefined) {
        cells = new RowCells(row.fields);
        continue;
      }
      const { text } = { text: (name: string) => cells?.set(row).text(name) ?? "" };
      const players = games.get(text("GAME_ID")) ?? new Map<number, Line>();
      games.set(text("GAME_ID"), players);
      players.set(Number(text("PLAYER_ID")), {
        points: Number(text("PTS")),
        rebounds: Number(text("REB")),
        assists: Number(text("AST")),
        personalFouls: Number(text("PF")),
        playedDs: Number(text("MIN")) * 600,
      });
    }
  }
  return games;
}

interface Agreement {
  games: number;
  finals: number;
  lines: number;
  readonly equal: Record<keyof Line, number>;
}

function compare(game: SourceGame, official: Official, agreement: Agreement): void {
  const own = boxScore(game.plays);
  const none = { points: 0, rebounds: 0, assists: 0, personalFouls: 0, playedDs: 0 };
  for (const [player, told] of official.get(game.info.gameId) ?? []) {
    const line = own.get(player) ?? none;
    agreement.lines++;
    for (const name of ["points", "rebounds", "assists", "personalFouls"] as const) {
      if (line[name] === told[name]) agreement.equal[name]++;
    }
    // The official minutes are rounded to whole ones.
    if (Math.abs(line.playedDs - told.playedDs) <= 600) agreement.equal.playedDs++;
  }
}

describe.skipIf(!PRESENT)("against the official box scores", () => {
  test.each(["v3_2023-24_regular", "cdn_2023-24_regular"])(
    "%s: points, rebounds, assists, minutes and finals come out of the plays",
    { timeout: 300_000 },
    async (season) => {
      const official = await officialLines();
      const { games: finals } = await readReference(path.join(NBA, "pbp"));
      const equal = { points: 0, rebounds: 0, assists: 0, personalFouls: 0, playedDs: 0 };
      const agreement: Agreement = { games: 0, finals: 0, lines: 0, equal };
      let at = 0;
      for await (const game of openSource(path.join(NBA, `pbp/${season}.csv.gz`))) {
        expect(game.plays.length + game.deadLetters.length).toBe(game.rows);
        if (at++ % EVERY !== 0) continue;
        agreement.games++;
        compare(game, official, agreement);
        const told = finals.get(game.info.gameId);
        const last = game.plays.at(-1);
        const isEqual = last?.homeScore === told?.homeScore && last?.awayScore === told?.awayScore;
        if (isEqual && last?.gameOver === true) agreement.finals++;
      }
      const rates = Object.entries(equal).map(([name, count]) => {
        const rate = ((100 * count) / agreement.lines).toFixed(2);
        return `${name === "playedDs" ? "minutes within 1" : name} ${rate} %`;
      });
      const { games, lines } = agreement;
      console.log(`${season}: ${games} games, ${lines} player lines: ${rates.join(", ")}`);
      expect(games).toBeGreaterThan(100);
      expect(agreement.finals).toBe(games);
      expect(equal.points / lines).toBeGreaterThanOrEqual(0.999);
      expect(equal.rebounds / lines).toBeGreaterThanOrEqual(0.99);
      expect(equal.assists / lines).toBeGreaterThanOrEqual(0.99);
      expect(equal.playedDs / lines).toBeGreaterThanOrEqual(0.97);
    },
  );
});
