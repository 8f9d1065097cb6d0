import { expect, test } from "vitest";
import { FoulKind, type PlayEvent, PlayKind, Side } from "../proto/gen/courtside/v1/play_pb.ts";
import { cdnGamesMissing, readCdnGames } from "./testing/cdn-games.ts";
import {
  AWAY_TEAM_ID,
  defensiveRebound,
  foul,
  freeThrow,
  gameInfo,
  HOME_TEAM_ID,
  jumpBall,
  made2,
  made3,
  missed2,
  missed3,
  offensiveRebound,
  periodEnd,
  periodStart,
  personalFoul,
  play,
  script,
  steal,
  timeOut,
  turnover,
} from "./testing/plays.ts";
import { applyPlay, createGameFold } from "./game-state.ts";

const NAMES: Readonly<Record<number, string>> = { 1: "home", 2: "away", 3: "none" };

/** Who has the ball after each play, and why: `away made_shot`. */
function after(...plays: PlayEvent[]): string[] {
  const fold = createGameFold(gameInfo(), "SYN0000001");
  return script(plays).map((next) => {
    applyPlay(fold, next);
    return `${NAMES[fold.possession?.side ?? 0]} ${fold.possession?.reason}`;
  });
}

test("a made shot gives the ball to the other side, and the and-one keeps it until the free throw", () => {
  expect(
    after(
      made2("home"),
      foul("away", FoulKind.SHOOTING),
      freeThrow("home", "1/1", true),
      made3("away", { clock: "11:30" }),
    ),
  ).toEqual(["away made_shot", "home foul", "away made_free_throw", "home made_shot"]);
});

test("a missed shot is a loose ball until somebody has the rebound", () => {
  expect(
    after(missed3("home"), offensiveRebound("home"), missed2("home"), defensiveRebound("away")),
  ).toEqual([
    "none missed_shot",
    "home offensive_rebound",
    "none missed_shot",
    "away defensive_rebound",
  ]);
});

test("turnovers, steals and offensive fouls change sides once, however many rows tell of them", () => {
  expect(after(turnover("home"), steal("away"))).toEqual(["away turnover", "away steal"]);
  expect(after(foul("away", FoulKind.OFFENSIVE), turnover("away"))).toEqual([
    "home offensive_foul",
    "home turnover",
  ]);
});

test("only the last free throw of a trip is live", () => {
  expect(
    after(
      foul("away", FoulKind.SHOOTING),
      freeThrow("home", "1/2", false),
      offensiveRebound("home"), // a dead ball rebound of the team
      freeThrow("home", "2/2", false),
      defensiveRebound("away"),
    ),
  ).toEqual([
    "home foul",
    "home free_throws",
    "home free_throws",
    "none missed_free_throw",
    "away defensive_rebound",
  ]);
});

test("a technical free throw leaves the ball where it was, made or missed", () => {
  expect(
    after(
      defensiveRebound("home"),
      foul("home", FoulKind.TECHNICAL),
      freeThrow("away", "1/1", false),
      offensiveRebound("away"),
      timeOut("home"),
    ).slice(1),
  ).toEqual(Array(4).fill("home defensive_rebound"));
});

test("after flagrant and clear path free throws the shooting side keeps the ball", () => {
  for (const kind of [FoulKind.FLAGRANT, FoulKind.CLEAR_PATH]) {
    expect(
      after(foul("home", kind), freeThrow("away", "1/2", true), freeThrow("away", "2/2", true)),
    ).toEqual(["away foul", "away free_throws", "away keeps_ball"]);
  }
});

test("a take foul costs the ball only when it gave a single free throw", () => {
  const take = foul("home", FoulKind.TAKE);
  expect(after(take, freeThrow("away", "1/1", true)).at(-1)).toBe("away keeps_ball");
  const late = foul("home", FoulKind.TAKE);
  const trip = [freeThrow("away", "1/2", true), freeThrow("away", "2/2", true)];
  expect(after(late, ...trip).at(-1)).toBe("home made_free_throw");
});

test("who lost the opening tip starts the second and third period, who won it the fourth", () => {
  const periods = [2, 3, 4, 5].flatMap((period) => [periodEnd(), periodStart(period)]);
  const answers = after(periodStart(1), jumpBall("away"), made2("away"), ...periods);
  expect(answers.filter((_, i) => i === 0 || i > 2)).toEqual([
    "none jump_ball_due",
    "none period_end",
    "home period_start",
    "none period_end",
    "home period_start",
    "none period_end",
    "away period_start",
    "none period_end",
    "none jump_ball_due",
  ]);
});

test("the opening tip is told by the first side with the ball, whatever its row said", () => {
  const answers = after(
    jumpBall("away"),
    missed2("home"),
    made2("away", { period: 2, clock: "11:40" }),
    periodEnd(),
  );
  expect(answers.slice(1)).toEqual(["none missed_shot", "home made_shot", "none period_end"]);
  expect(after(missed2("home"), timeOut("home", { period: 2, clock: "12:00" })).at(-1)).toBe(
    "away period_start",
  );
});

test("without a rule the answer is unknown, and the feed's own account is asked", () => {
  const rumour = timeOut("home", { feedPossessionTeamId: AWAY_TEAM_ID });
  const other = timeOut("home", { feedPossessionTeamId: HOME_TEAM_ID });
  expect(after(play(PlayKind.REVIEW, undefined), rumour, other)).toEqual([
    "none jump_ball_due",
    "none jump_ball_due",
    "none jump_ball_due",
  ]);
  expect(after(play(PlayKind.JUMP_BALL, undefined), rumour, other)).toEqual([
    "none unknown",
    "away feed",
    "away feed",
  ]);
});

test("a foul away from a shot leaves the ball with the side that was fouled", () => {
  expect(after(made2("home"), personalFoul("home"))).toEqual(["away made_shot", "away foul"]);
});

if (cdnGamesMissing !== undefined) console.warn(cdnGamesMissing);

test.skipIf(cdnGamesMissing !== undefined)(
  "in recorded games the side that shoots or loses the ball is the one that was said to have it",
  { timeout: 60_000 },
  () => {
    let plays = 0;
    let agreed = 0;
    for (const game of readCdnGames()) {
      const fold = createGameFold(game.info, game.info.gameId);
      for (const next of game.plays) {
        const { side, reason } = fold.possession ?? { side: Side.NONE, reason: "" };
        const tells = next.kind === PlayKind.SHOT || next.kind === PlayKind.TURNOVER;
        const isSecondRow = next.kind === PlayKind.TURNOVER && reason === "offensive_foul";
        if (tells && !isSecondRow && next.period === fold.period) {
          plays++;
          if (side === next.side) agreed++;
        }
        applyPlay(fold, next);
      }
    }
    console.info(`possession: ${agreed} of ${plays} shots and turnovers agree`);
    expect(plays).toBeGreaterThan(12_000);
    expect(agreed / plays).toBeGreaterThan(0.999);
  },
);
