import { assert as check, property } from "fast-check";
import { expect, test } from "vitest";
import { type TrailingWindow } from "../proto/gen/courtside/v1/insight_pb.ts";
import { type PlayEvent, PlayKind, ReboundKind, Side } from "../proto/gen/courtside/v1/play_pb.ts";
import { arbitraryGame } from "./testing/arbitrary-plays.ts";
import {
  AWAY_TEAM_ID,
  freeThrow,
  HOME_TEAM_ID,
  made2,
  made3,
  missed3,
  offensiveRebound,
  script,
  turnover,
} from "./testing/plays.ts";
import { gameTimeDs } from "./game-clock.ts";
import { applyPlay, createGameFold, gameStateOf } from "./game-state.ts";
import { possessionsOf, teamWindowAggregate, toTeamWindow } from "./team-window.ts";

/** The counts by their definition, play for play: what the incremental ones must equal. */
function recount(plays: readonly PlayEvent[], side: Side): Omit<TrailingWindow, "$typeName"> {
  const own = plays.filter((play) => play.side === side);
  const shots = own.filter((play) => play.kind === PlayKind.SHOT);
  const throws = own.filter((play) => play.kind === PlayKind.FREE_THROW);
  const made = shots.filter((play) => play.shotMade);
  const counts = {
    points: [...shots, ...throws].reduce(
      (sum, play) => sum + (play.shotMade ? play.shotValue : 0),
      0,
    ),
    fieldGoalsMade: made.length,
    fieldGoalsAttempted: shots.length,
    threesMade: made.filter((play) => play.shotValue === 3).length,
    freeThrowsMade: throws.filter((play) => play.shotMade).length,
    freeThrowsAttempted: throws.length,
    turnovers: own.filter((play) => play.kind === PlayKind.TURNOVER).length,
    offensiveRebounds: own.filter(
      (play) => play.kind === PlayKind.REBOUND && play.reboundKind === ReboundKind.OFFENSIVE,
    ).length,
  };
  return { ...counts, possessions: possessionsOf(counts) };
}

test(
  "trailing windows equal a recount of all plays after every play of random games",
  { timeout: 60_000 },
  () => {
    check(
      property(arbitraryGame(300), (plays) => {
        const fold = createGameFold(undefined, "SYN0000001");
        const timeOf = (play: PlayEvent): number => gameTimeDs(play.period, play.clockRemainingDs);
        for (const [i, play] of plays.entries()) {
          applyPlay(fold, play);
          const state = gameStateOf(fold);
          const since = (minutes: number): PlayEvent[] =>
            plays.slice(0, i + 1).filter((past) => timeOf(past) > timeOf(play) - minutes * 600);
          expect(state.homeLast2Min).toMatchObject(recount(since(2), Side.HOME));
          expect(state.awayLast2Min).toMatchObject(recount(since(2), Side.AWAY));
          expect(state.homeLast5Min).toMatchObject(recount(since(5), Side.HOME));
          expect(state.awayLast5Min).toMatchObject(recount(since(5), Side.AWAY));
          expect(state.homeLast10Min).toMatchObject(recount(since(10), Side.HOME));
          expect(state.awayLast10Min).toMatchObject(recount(since(10), Side.AWAY));
        }
      }),
      { numRuns: 8, interruptAfterTimeLimit: 20_000 },
    );
  },
);

test("what a fold remembers of past plays is bounded by ten game minutes", () => {
  const fold = createGameFold(undefined, "SYN0000001");
  const plays = Array.from({ length: 2000 }, (_, i) => {
    const timeDs = Math.floor((i * 28_800) / 2000);
    const clockRemainingDs = 7200 - (timeDs % 7200);
    return made2("home", { period: 1 + Math.floor(timeDs / 7200), clockRemainingDs });
  });
  let most = 0;
  for (const play of script(plays)) {
    applyPlay(fold, play);
    most = Math.max(most, fold.trailing?.timesDs.length ?? 0);
  }
  // 2000 plays in 48 minutes are 417 in ten, and up to 64 wait to be dropped.
  expect(most).toBeLessThan(417 + 64 + 2);
});

test("the aggregate of a window counts only its own team", () => {
  const acc = teamWindowAggregate.create();
  for (const play of script([made3("home"), made2("away"), turnover("home")])) {
    teamWindowAggregate.add(acc, play, HOME_TEAM_ID);
  }
  expect(teamWindowAggregate.result(acc)).toMatchObject({ points: 3, turnovers: 1 });
});

test("merging the windows of two halves gives the window of both", () => {
  check(
    property(arbitraryGame(60), (plays) => {
      const half = Math.floor(plays.length / 2);
      const [first, second, whole] = [plays.slice(0, half), plays.slice(half), plays].map(
        (part) => {
          const acc = teamWindowAggregate.create();
          for (const play of part) teamWindowAggregate.add(acc, play, AWAY_TEAM_ID);
          return acc;
        },
      );
      if (!first || !second || !whole) throw new Error("three parts");
      expect(teamWindowAggregate.merge(first, second)).toEqual(whole);
    }),
  );
});

test("a team window tells effective field goals, pace and free throw rate", () => {
  const acc = teamWindowAggregate.create();
  const plays = script([
    made3("home"),
    missed3("home"),
    offensiveRebound("home"),
    made2("home"),
    freeThrow("home", "1/1", true),
    turnover("home"),
  ]);
  for (const play of plays) teamWindowAggregate.add(acc, play, HOME_TEAM_ID);
  const key = { gameId: "SYN0000001", teamId: HOME_TEAM_ID, side: Side.HOME, startS: 0, endS: 120 };
  const window = toTeamWindow(key, acc);
  expect(window).toMatchObject({ startS: 0n, endS: 120n, sizeS: 120, totals: { points: 6 } });
  expect(window.effectiveFg).toBeCloseTo(2.5 / 3, 12);
  expect(window.pace).toBeCloseTo((3 + 0.44 + 1 - 1) * 24, 9);
  expect(window.freeThrowRate).toBeCloseTo(1 / 3, 12);
});

test("an empty window has zeros, not divisions by zero", () => {
  const key = { gameId: "SYN0000001", teamId: HOME_TEAM_ID, side: Side.HOME, startS: 0, endS: 60 };
  const window = toTeamWindow(key, teamWindowAggregate.create());
  expect([window.effectiveFg, window.pace, window.freeThrowRate]).toEqual([0, 0, 0]);
});
