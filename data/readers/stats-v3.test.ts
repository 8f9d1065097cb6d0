import path from "node:path";
import { expect, test } from "vitest";
import {
  FoulKind,
  type PlayEvent,
  PlayKind,
  ReboundKind,
  SeasonType,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { openSource, type SourceGame } from "./mod.ts";

const FILE = path.join(import.meta.dirname, "../fixtures/pbp/stats_v3.csv");
const games: SourceGame[] = [];
for await (const next of openSource(FILE)) games.push(next);
const [game, cut] = games;
const plays = game?.plays ?? [];

function play(description: string): PlayEvent {
  const found = plays.find((candidate) => candidate.description.includes(description));
  if (found === undefined) throw new Error(`no play says "${description}"`);
  return found;
}

test("shots, free throws and fouls say who, what and from where", () => {
  const three = play("Boone 25' 3PT");
  expect(three).toMatchObject({
    kind: PlayKind.SHOT,
    side: Side.HOME,
    actorId: 12,
    actorName: "B. Boone",
    assisterId: 11,
    shotValue: 3,
    shotMade: true,
    shotXFt: -12,
    shotYFt: 22.5,
    shotDistanceFt: 25,
    clockRemainingDs: 7010,
    season: 2031,
  });
  expect(play("MISS Jo. Tate")).toMatchObject({
    kind: PlayKind.FREE_THROW,
    shotMade: false,
    freeThrowNumber: 2,
    freeThrowCount: 2,
    actorId: 26,
  });
  expect(play("S.FOUL").foulKind).toBe(FoulKind.SHOOTING);
  expect(play('3PT "Corner", Jump').assisterId).toBe(16);
});

test("an assist goes to the one of two namesakes whose initials the description has", () => {
  expect(play("Stone 1' Layup (2 PTS)").assisterId).toBe(25);
});

test("steals and blocks are plays of their own and are not also on the turnover and the shot", () => {
  expect(play("Reyes STEAL")).toMatchObject({ kind: PlayKind.STEAL, actorId: 23, side: Side.AWAY });
  expect(play("Dunn Lost Ball").stealerId).toBe(0);
  expect(play("Pike BLOCK")).toMatchObject({ kind: PlayKind.BLOCK, actorId: 21 });
  expect(play("MISS Eaton").blockerId).toBe(0);
});

test("a rebound is offensive or defensive by the player's counts or by who missed", () => {
  expect(play("Cole REBOUND").reboundKind).toBe(ReboundKind.DEFENSIVE);
  expect(play("Stone REBOUND").reboundKind).toBe(ReboundKind.OFFENSIVE);
  const team = play("HERONS Rebound");
  expect(team).toMatchObject({ actorId: 0, teamId: 1600000001, side: Side.HOME });
  expect(team.reboundKind).toBe(ReboundKind.OFFENSIVE);
});

test("a jump ball belongs to who got the ball", () => {
  expect(play("Jump Ball")).toMatchObject({ actorId: 12, actorName: "B. Boone", side: Side.HOME });
});

test("substitutions name both players and move them on and off the court", () => {
  const sub = play("SUB: Jo. Tate FOR Ja. Tate");
  expect(sub).toMatchObject({ playerInId: 26, playerOutId: 25, side: Side.AWAY });
  expect(play("Pike BLOCK").awayOnCourtIds).toEqual([21, 22, 23, 24, 25]);
  expect(sub.awayOnCourtIds).toEqual([21, 22, 23, 24, 26]);
  expect(play("SUB: Flynn").homeOnCourtIds).toEqual([11, 12, 13, 14, 16]);
});

test("the players of a quiet period are those who ended the one before", () => {
  expect(play("Start of 2nd").homeOnCourtIds).toEqual([11, 12, 13, 14, 16]);
});

test("the score is carried over rows without one and never goes down", () => {
  expect(play("Reyes STEAL")).toMatchObject({ homeScore: 3, awayScore: 0 });
  expect(play("End of 4th")).toMatchObject({ homeScore: 6, awayScore: 3, gameOver: true });
  expect(plays.filter((candidate) => candidate.gameOver)).toHaveLength(1);
});

test("a file that stops in the first period has no last play", () => {
  expect(cut?.plays.some((candidate) => candidate.gameOver)).toBe(false);
});

test("event times are estimated through the printed Eastern clocks", () => {
  const timeOf = (text: string): string =>
    new Date(Number(play(text).eventTimeMs)).toISOString().slice(0, 16);
  // 12 November 2031 is winter time: 19:05 in New York is 00:05 UTC on the 13th.
  expect(timeOf("Start of 1st")).toBe("2031-11-13T00:05");
  expect(timeOf("Start of 3rd")).toBe("2031-11-13T01:14");
  expect(timeOf("End of 4th")).toBe("2031-11-13T02:12");
  const times = plays.map((candidate) => Number(candidate.eventTimeMs));
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(plays.every((candidate) => candidate.eventTimeEstimated)).toBe(true);
  // The second game goes over midnight.
  const last = new Date(Number(cut?.plays.at(-1)?.eventTimeMs)).toISOString();
  expect(last.slice(0, 16)).toBe("2031-11-15T05:06");
});

test("what is wrong with a row is said with its line", () => {
  const told = game?.deadLetters.map((letter) => [Number(letter.line), letter.reason]);
  expect(told).toEqual([
    [20, "BAD_CLOCK"],
    [21, "MALFORMED_ROW"],
    [22, "UNKNOWN_KIND"],
    [23, "MISSING_GAME_ID"],
    [24, "UNKNOWN_TEAM"],
    [25, "BAD_NUMBER"],
    [26, "DUPLICATE_ROW"],
  ]);
  expect(game?.deadLetters[0]?.message).toContain('the clock is "PT99M00.00S"');
  expect(game?.deadLetters[3]?.gameId).toBe("");
});

test("the game is known by its tables: teams, date, rest, ratings of earlier days", () => {
  const info = game?.info;
  expect(info).toMatchObject({
    gameId: "0023100002",
    season: 2031,
    seasonType: SeasonType.REGULAR,
    gameDate: "2031-11-12",
    homeRestDays: 22,
    awayRestDays: 22,
    neutralSite: false,
  });
  expect(info?.home).toMatchObject({ teamId: 1600000001, tricode: "HAR", name: "Harbor Herons" });
  // The Herons lost the season's first game, away and by two: a little is gone from their 1500.
  expect(info?.homeElo).toBeLessThan(1500);
  expect((info?.homeElo ?? 0) + (info?.awayElo ?? 0)).toBeCloseTo(3000, 6);
  // Nothing is known of its players: the ratings of the teams must do.
  expect(info?.homePregameWinProb).toBeUndefined();
  expect(info?.closingSpreadHome).toBeUndefined();
  const starters = info?.roster.filter((player) => player.starter).map((player) => player.playerId);
  expect(starters?.sort()).toEqual([11, 12, 13, 14, 15, 21, 22, 23, 24, 25]);
});
