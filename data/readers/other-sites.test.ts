import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import {
  Feed,
  FoulKind,
  type PlayEvent,
  PlayKind,
  ReboundKind,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { namedPlayerId } from "./basketball-reference.ts";
import { readBoxPage } from "./basketball-reference-box.ts";
import { openSource, type SourceGame } from "./mod.ts";

const FIXTURES = path.join(import.meta.dirname, "../fixtures/pbp");

async function only(name: string): Promise<SourceGame> {
  const games: SourceGame[] = [];
  for await (const game of openSource(path.join(FIXTURES, name))) games.push(game);
  expect(games).toHaveLength(1);
  return games[0] as SourceGame;
}

function play(game: SourceGame, description: string): PlayEvent {
  const found = game.plays.find((candidate) => candidate.description.includes(description));
  if (found === undefined) throw new Error(`no play says "${description}"`);
  return found;
}

const reasons = (game: SourceGame): string[] => game.deadLetters.map((letter) => letter.reason);

test("data.nba.com: codes are those of v2, the other person stands in opid or epid", async () => {
  const game = await only("data_nba.json");
  expect(game.info).toMatchObject({ feed: Feed.DATA_NBA, gameId: "0023100002", season: 2031 });
  expect(game.info.gameDate).toBe("2031-11-12");
  expect(play(game, "3pt Shot")).toMatchObject({
    actorId: 22,
    assisterId: 21,
    shotValue: 3,
    shotMade: true,
    shotXFt: -19,
    shotYFt: 16,
    side: Side.AWAY,
    awayScore: 3,
  });
  expect(play(game, "Missed Block")).toMatchObject({ blockerId: 21, shotMade: false });
  expect(play(game, "Bad Pass")).toMatchObject({ actorId: 12, stealerId: 22 });
  expect(play(game, "Foul: Shooting")).toMatchObject({
    fouledId: 22,
    foulKind: FoulKind.SHOOTING,
    actorName: "Boone",
  });
  expect(play(game, "1 of 2")).toMatchObject({ shotMade: false, freeThrowCount: 2 });
  expect(play(game, "2 of 2")).toMatchObject({ shotMade: true, awayScore: 4 });
  expect(play(game, "Substitution")).toMatchObject({ playerOutId: 12, playerInId: 13 });
  expect(play(game, "Jump Ball")).toMatchObject({ actorId: 22, side: Side.AWAY });
  expect(play(game, "Quill Rebound").clockRemainingDs).toBe(405);
  expect(reasons(game)).toEqual(["BAD_CLOCK", "UNKNOWN_KIND"]);
});

test("espn.com: the words of a play tell its kind and who the second person is", async () => {
  const game = await only("espn.json");
  expect(game.info).toMatchObject({ feed: Feed.ESPN, gameId: "0023100002", venue: "Pier Hall" });
  expect(play(game, "25-foot")).toMatchObject({
    actorId: 22,
    assisterId: 21,
    shotValue: 3,
    shotXFt: -19,
    shotDistanceFt: 25,
    side: Side.AWAY,
    eventTimeMs: BigInt(Date.parse("2031-11-13T00:05:20Z")),
  });
  expect(play(game, "blocks")).toMatchObject({ actorId: 11, blockerId: 21, actorName: "Al Adair" });
  expect(play(game, "bad pass")).toMatchObject({ actorId: 21, stealerId: 12 });
  expect(play(game, "shooting foul")).toMatchObject({ fouledId: 12, foulKind: FoulKind.SHOOTING });
  expect(play(game, "team rebound")).toMatchObject({ actorId: 0, side: Side.AWAY });
  expect(play(game, "free throw 2 of 2")).toMatchObject({ shotMade: false, freeThrowNumber: 2 });
  expect(play(game, "enters the game")).toMatchObject({ playerInId: 13, playerOutId: 12 });
  expect(play(game, "timeout")).toMatchObject({ kind: PlayKind.TIMEOUT, clockRemainingDs: 97 });
  expect(reasons(game)).toEqual(["UNKNOWN_KIND", "BAD_CLOCK", "UNKNOWN_TEAM"]);
});

test("basketball-reference.com: names become ids, and a foul belongs to the side of who made it", async () => {
  const game = await only("basketball_reference_2031-11-12.csv");
  const { home, away, feed, gameId } = game.info;
  expect([feed, gameId]).toEqual([Feed.BASKETBALL_REFERENCE, "0023100002"]);
  const of = (team: typeof home, name: string): number => namedPlayerId(team?.teamId ?? 0, name);
  expect(play(game, "3-pt")).toMatchObject({
    actorId: of(away, "Q. Quill"),
    assisterId: of(away, "P. Pike"),
    shotValue: 3,
    shotDistanceFt: 25,
  });
  expect(play(game, "block by")).toMatchObject({ blockerId: of(away, "P. Pike"), side: Side.HOME });
  expect(play(game, "rebound by Team")).toMatchObject({
    actorId: 0,
    reboundKind: ReboundKind.OFFENSIVE,
  });
  expect(play(game, "steal by")).toMatchObject({ stealerId: of(away, "Q. Quill") });
  expect(play(game, "Shooting foul")).toMatchObject({
    side: Side.HOME,
    actorId: of(home, "B. Boone"),
    fouledId: of(away, "Q. Quill"),
  });
  expect(play(game, "enters the game")).toMatchObject({
    playerInId: of(home, "C. Cole"),
    playerOutId: of(home, "B. Boone"),
  });
  expect(game.plays.at(-1)).toMatchObject({ period: 5, awayScore: 6 });
  expect(reasons(game)).toEqual(["UNKNOWN_KIND", "BAD_CLOCK", "UNKNOWN_TEAM"]);
});

test("basketball-reference.com: the box score page beside it gives the starters", async () => {
  const game = await only("basketball_reference_2031-11-12.csv");
  expect(game.plays.every((each) => each.homeOnCourtIds.length === 5)).toBe(true);
  const page = readBoxPage(readFileSync(path.join(FIXTURES, "box_203111120HAR.html"), "utf8"));
  const mesa = page.teams.get("MES") ?? [];
  expect(mesa.map((player) => player.shortName)).toHaveLength(5);
  expect(mesa[0]).toMatchObject({ slug: "quillqu01", shortName: "Q. Quill", playedS: 630 });
  expect(mesa[0]?.cells.get("pts")).toBe(4);
  expect(page.teams.get("HAR")?.filter((player) => player.starter)).toHaveLength(5);
});
