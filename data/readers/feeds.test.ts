import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import {
  Feed,
  FoulKind,
  type PlayEvent,
  PlayKind,
  ReboundKind,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { openSource, type SourceGame } from "./mod.ts";

const FIXTURES = path.join(import.meta.dirname, "../fixtures/pbp");
const folder = mkdtempSync(path.join(tmpdir(), "courtside-feeds-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function only(file: string): Promise<SourceGame> {
  const games: SourceGame[] = [];
  for await (const game of openSource(file)) games.push(game);
  expect(games).toHaveLength(1);
  return games[0] as SourceGame;
}

function reasons(game: SourceGame): [number, string][] {
  return game.deadLetters.map((letter) => [Number(letter.line), letter.reason]);
}

function play(game: SourceGame, description: string): PlayEvent {
  const found = game.plays.find((candidate) => candidate.description.includes(description));
  if (found === undefined) throw new Error(`no play says "${description}"`);
  return found;
}

test("v2: second and third persons become assister, blocker, stealer, fouled and player in", async () => {
  const game = await only(path.join(FIXTURES, "stats_v2.csv"));
  expect(game.info.feed).toBe(Feed.STATS_V2);
  expect(play(game, "Quill 25' 3PT")).toMatchObject({
    side: Side.AWAY,
    assisterId: 21,
    shotValue: 3,
    shotMade: true,
    shotDistanceFt: 25,
    homeScore: 0,
    awayScore: 3,
  });
  expect(play(game, "MISS Adair")).toMatchObject({ blockerId: 21, shotMade: false, shotValue: 2 });
  expect(play(game, "Bad Pass")).toMatchObject({ actorId: 12, stealerId: 22 });
  expect(play(game, "S.FOUL")).toMatchObject({ fouledId: 22, foulKind: FoulKind.SHOOTING });
  expect(play(game, "SUB: Cole")).toMatchObject({ playerOutId: 12, playerInId: 13 });
  expect(play(game, "Jump Ball")).toMatchObject({ actorId: 22, side: Side.AWAY });
  expect(play(game, "HERONS Rebound")).toMatchObject({
    actorId: 0,
    side: Side.HOME,
    reboundKind: ReboundKind.OFFENSIVE,
  });
});

test("v2: a coach's foul belongs to his side but to no player", async () => {
  const game = await only(path.join(FIXTURES, "stats_v2.csv"));
  expect(play(game, "Coach T.FOUL")).toMatchObject({
    actorId: 0,
    side: Side.HOME,
    foulKind: FoulKind.TECHNICAL,
  });
  expect(game.info.roster.map((player) => player.playerId)).not.toContain(900);
});

test("v2: a score that the next row takes back is not believed, the points of the row are", async () => {
  const game = await only(path.join(FIXTURES, "stats_v2.csv"));
  expect(play(game, "Quill 2' Layup")).toMatchObject({ homeScore: 0, awayScore: 6 });
  expect(game.plays.at(-1)).toMatchObject({ homeScore: 1, awayScore: 6 });
});

test("v2: a free throw that carries no score was not made, even where the text says no miss", async () => {
  const game = await only(path.join(FIXTURES, "stats_v2.csv"));
  expect(game.plays.at(-2)).toMatchObject({ description: "Free Throw 2 of 2", shotMade: false });
});

test("v2: the arena's clock is the event time, minutes are spread over their plays", async () => {
  const { plays } = await only(path.join(FIXTURES, "stats_v2.csv"));
  const times = plays.map((candidate) => Number(candidate.eventTimeMs));
  expect(new Date(times[0] ?? 0).toISOString()).toBe("2031-11-13T00:05:00.000Z");
  expect(new Date(times.at(-1) ?? 0).toISOString()).toBe("2031-11-13T00:31:00.000Z");
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(new Set(times.slice(0, 3)).size).toBe(3);
  expect(plays.some((candidate) => candidate.eventTimeEstimated)).toBe(false);
});

test("v2: duplicates, unknown events and unreadable scores are dead letters", async () => {
  expect(reasons(await only(path.join(FIXTURES, "stats_v2.csv")))).toEqual([
    [11, "DUPLICATE_ROW"],
    [16, "BAD_NUMBER"],
    [17, "UNKNOWN_KIND"],
  ]);
});

test("cdn archive: home and away come from whose score rises, players from the list on each row", async () => {
  const game = await only(path.join(FIXTURES, "cdn_archive.csv"));
  expect(game.info.home?.teamId).toBe(1600000001);
  expect(play(game, "DUNK")).toMatchObject({
    actorName: "A. Adair",
    assisterId: 12,
    shotMade: true,
  });
  expect(play(game, "DUNK").homeOnCourtIds).toEqual([11, 12, 13, 14, 15]);
  expect(play(game, "DUNK").awayOnCourtIds).toEqual([21, 22, 23, 24, 25]);
  expect(play(game, "SUB out").homeOnCourtIds).toEqual([11, 12, 13, 14, 15]);
  expect(play(game, "SUB in")).toMatchObject({ playerInId: 16, playerOutId: 0 });
  expect(play(game, "SUB in").homeOnCourtIds).toEqual([11, 12, 13, 15, 16]);
});

test("cdn archive: kind and number come from the words of the description", async () => {
  const game = await only(path.join(FIXTURES, "cdn_archive.csv"));
  expect(play(game, "FOUL")).toMatchObject({
    foulKind: FoulKind.SHOOTING,
    subtype: "shooting personal",
    fouledId: 22,
  });
  expect(play(game, "2 of 2")).toMatchObject({
    freeThrowNumber: 2,
    freeThrowCount: 2,
    shotMade: true,
  });
  expect(play(game, "TURNOVER")).toMatchObject({ subtype: "bad pass", stealerId: 0 });
  expect(play(game, "STEAL")).toMatchObject({ kind: PlayKind.STEAL, actorId: 23 });
});

test("cdn archive: a shot without result and a row with an open quote are dead letters", async () => {
  const game = await only(path.join(FIXTURES, "cdn_archive.csv"));
  expect(reasons(game)).toEqual([
    [11, "MALFORMED_ROW"],
    [13, "MALFORMED_ROW"],
  ]);
  expect(game.deadLetters[1]?.gameId).toBe("");
});

test("processed archive: teams by letters, results by event, estimated times", async () => {
  const game = await only(path.join(FIXTURES, "processed.csv"));
  expect(game.info.home).toMatchObject({ teamId: 1600000001, tricode: "HAR" });
  expect(play(game, "3PT")).toMatchObject({ side: Side.HOME, shotValue: 3, homeScore: 3 });
  expect(play(game, "HERONS Rebound").reboundKind).toBe(ReboundKind.DEFENSIVE);
  expect(play(game, "S.FOUL")).toMatchObject({ side: Side.AWAY, foulKind: FoulKind.SHOOTING });
  expect(reasons(game)).toEqual([[7, "UNKNOWN_TEAM"]]);
});

test("cdn live: plays come in the feed's true order with its clock, possession and possession's owner", async () => {
  const game = await only(path.join(FIXTURES, "cdn_live.jsonl"));
  const kinds = game.plays.map((candidate) => candidate.kind);
  expect(kinds.indexOf(PlayKind.TURNOVER)).toBeLessThan(kinds.indexOf(PlayKind.STEAL));
  expect(play(game, "driving Layup")).toMatchObject({
    side: Side.HOME,
    assisterId: 11,
    shotXFt: -1,
    shotYFt: 2,
    shotDistanceFt: 2.5,
    feedPossessionTeamId: 1600000001,
    eventTimeEstimated: false,
  });
  const times = game.plays.map((candidate) => Number(candidate.eventTimeMs));
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(play(game, "TEAM foul").foulKind).toBe(FoulKind.NON_PERSONAL);
  expect(game.plays.at(-1)).toMatchObject({ kind: PlayKind.GAME_END, gameOver: true });
});

test("cdn live: line-ups start with the box score's starters and follow the two rows of a change", async () => {
  const game = await only(path.join(FIXTURES, "cdn_live.jsonl"));
  expect(play(game, "Period Start").awayOnCourtIds).toEqual([21, 22, 23, 24, 25]);
  expect(play(game, "SUB out").awayOnCourtIds).toEqual([21, 22, 23, 24, 25]);
  expect(play(game, "SUB in").awayOnCourtIds).toEqual([21, 23, 24, 25, 26]);
  expect(game.info).toMatchObject({ venue: "Pier Hall", gameDate: "2031-11-12" });
  expect(game.info.roster.filter((player) => player.starter)).toHaveLength(10);
});

test("cdn live: bad actions, damaged lines and repeated games are dead letters", async () => {
  expect(reasons(await only(path.join(FIXTURES, "cdn_live.jsonl")))).toEqual([
    [1, "BAD_TIME"],
    [1, "UNKNOWN_KIND"],
    [2, "MALFORMED_ROW"],
    [3, "DUPLICATE_ROW"],
  ]);
});

test("cdn live: a document of its own takes the box score beside it", async () => {
  const line = readFileSync(path.join(FIXTURES, "cdn_live.jsonl"), "utf8").split("\n")[0] ?? "";
  const { playbyplay, boxscore } = JSON.parse(line) as Record<string, unknown>;
  const file = path.join(folder, "playbyplay_1.json");
  writeFileSync(file, JSON.stringify(playbyplay, null, 2));
  const alone = await only(file);
  expect(alone.info.venue).toBe("");
  expect(alone.info.home?.teamId).toBe(1600000001);
  writeFileSync(path.join(folder, "boxscore_1.json"), JSON.stringify(boxscore));
  expect((await only(file)).info.venue).toBe("Pier Hall");
});

test("answers of stats.nba.com in JSON are read like the rows made of them", async () => {
  const [header = "", ...rows] = readFileSync(path.join(FIXTURES, "stats_v2.csv"), "utf8")
    .trim()
    .split("\n");
  const rowSet = rows.slice(0, 6).map((row) => row.split(",").map((cell) => cell || null));
  const file = path.join(folder, "v2.json");
  const set = { name: "PlayByPlay", headers: header.split(","), rowSet };
  writeFileSync(file, JSON.stringify({ resource: "playbyplay", resultSets: [set] }));
  const game = await only(file);
  expect(game.plays).toHaveLength(6);
  expect(play(game, "Bad Pass").stealerId).toBe(22);
});
