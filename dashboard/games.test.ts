import { expect, test } from "vitest";
import { Side } from "../proto/gen/courtside/v1/play_pb.ts";
import {
  AWAY_ID,
  HOME_ID,
  InsightBuilder,
  playerId,
  scriptedGame,
} from "../tests/support/insights.ts";
import { GameBook } from "./games.ts";
import { elapsedS, probability } from "./insight-rows.ts";

const START = { number: 1, period: 1, clockS: 700, homeScore: 2, awayScore: 0, homeWinProb: 0.66 };

test("game info alone makes a scheduled game with its pre-game probability", () => {
  const book = new GameBook();
  book.apply(new InsightBuilder("SYN1").info());
  expect(book.summaries()).toMatchObject([
    { id: "SYN1", status: "scheduled", homeWinProb: 0.64, plays: 0, synthetic: true },
  ]);
  expect(book.detail("SYN1")?.facts).toMatchObject({ venue: "North Hall", homeElo: 1588 });
});

test("a play moves score, clock, probability and the small curve", () => {
  const book = new GameBook();
  const game = new InsightBuilder("SYN1");
  book.apply(game.info());
  book.apply(game.play(START));
  book.apply(
    game.play({ number: 2, period: 2, clockS: 630, homeScore: 2, awayScore: 3, homeWinProb: 0.4 }),
  );
  const [summary] = book.summaries();
  expect(summary).toMatchObject({
    status: "live",
    homeScore: 2,
    awayScore: 3,
    period: 2,
    clockS: 630,
    homeWinProb: 0.4,
    plays: 2,
  });
  expect(summary?.spark[0]).toBe(66);
  expect(summary?.spark[13]).toBe(40);
  expect(summary?.spark[5]).toBeNull();
});

test("a play without a prediction leaves a hole instead of a made-up probability", () => {
  const book = new GameBook();
  const { homeWinProb: _none, ...unpredicted } = START;
  book.apply(new InsightBuilder("SYN1").play(unpredicted));
  expect(book.detail("SYN1")?.plays[0]?.homeWinProb).toBeNull();
  expect(book.summaries()[0]?.homeWinProb).toBeNull();
});

test("replayed positions change nothing", () => {
  const book = new GameBook();
  const game = new InsightBuilder("SYN1");
  const play = game.play(START);
  expect(book.apply(play)).toBe("applied");
  book.takeChanges();
  expect(book.apply(play)).toBe("seen");
  expect(book.takeChanges()).toEqual({ details: [], removedIds: [] });
});

test("a correction of an earlier play replaces its row and leaves the score bug alone", () => {
  const book = new GameBook();
  const game = new InsightBuilder("SYN1");
  book.apply(game.play(START));
  book.apply(game.play({ ...START, number: 2, clockS: 680, homeScore: 4 }));
  book.apply(game.play({ ...START, revision: 2, homeScore: 3, text: "It was a three" }));
  book.apply(game.play({ ...START, revision: 1, text: "Too late" }));
  const detail = book.detail("SYN1");
  expect(detail?.plays.map(({ number, text }) => [number, text])).toEqual([
    [1, "It was a three"],
    [2, "Play 2"],
  ]);
  expect(detail?.summary).toMatchObject({ homeScore: 4, clockS: 680, plays: 2 });
});

test("when the newest play is taken back, the game stands where the one before it left it", () => {
  const book = new GameBook();
  const game = new InsightBuilder("SYN1");
  book.apply(game.play(START));
  book.apply(
    game.play({ ...START, number: 2, clockS: 0, homeScore: 4, homeWinProb: 1, gameOver: true }),
  );
  book.apply(game.result(4, 0, 1));
  expect(book.summaries()[0]?.status).toBe("final");
  book.apply(
    game.play({ ...START, number: 2, clockS: 0, homeScore: 4, revision: 2, retracted: true }),
  );
  book.apply(game.play(START));
  expect(book.summaries()[0]).toMatchObject({ status: "live", homeScore: 2, clockS: 700 });
  expect(book.detail("SYN1")?.result).toBeNull();
  expect(book.detail("SYN1")?.plays.map(({ retracted }) => retracted)).toEqual([false, true]);
});

test("box lines carry what the load says, and the newest line wins", () => {
  const book = new GameBook();
  const game = new InsightBuilder("SYN1");
  book.apply(game.info());
  book.apply(game.box([{ teamId: HOME_ID, index: 0, points: 2, playedS: 60, made: 1, tried: 1 }]));
  book.apply(
    game.box([
      { teamId: HOME_ID, index: 0, points: 5, playedS: 90, made: 2, tried: 3, onCourt: true },
      { teamId: AWAY_ID, index: 7, points: 0, playedS: 10 },
    ]),
  );
  expect(book.detail("SYN1")?.players).toMatchObject([
    {
      id: playerId(HOME_ID, 0),
      side: "home",
      starter: true,
      points: 5,
      playedS: 90,
      asOfS: 0,
      fieldGoals: [2, 3],
    },
    { id: playerId(AWAY_ID, 7), side: "away", starter: false },
  ]);
});

test("a fired window replaces an older one of its size, never a newer one", () => {
  const book = new GameBook();
  const game = new InsightBuilder("SYN1");
  book.apply(game.window(120, 240, 9));
  book.apply(game.window(120, 180, 4));
  expect(book.detail("SYN1")?.windows).toMatchObject([
    { side: "home", sizeS: 120, endS: 240, points: 9, effectiveFg: 0.563, pace: 225.6 },
  ]);
});

test("trailing windows of a state are as of its play", () => {
  const book = new GameBook();
  book.apply(new InsightBuilder("SYN1").play(START));
  const windows = book.detail("SYN1")?.windows ?? [];
  expect(windows).toHaveLength(6);
  expect(windows.every(({ endS }) => endS === 20)).toBe(true);
});

test("possession none and possession unknown are different answers", () => {
  const book = new GameBook();
  const game = new InsightBuilder("SYN1");
  book.apply(game.play({ ...START, possession: Side.NONE }));
  expect(book.detail("SYN1")?.situation?.possession).toBe("none");
  book.apply(game.play({ ...START, number: 2, possession: Side.UNSPECIFIED }));
  expect(book.detail("SYN1")?.situation?.possession).toBeNull();
  book.apply(game.play({ ...START, number: 3, possession: Side.AWAY }));
  expect(book.detail("SYN1")?.situation?.possession).toBe("away");
});

test("changes taken in pieces add up to the whole", () => {
  const whole = new GameBook();
  const pieces = new GameBook();
  const plays = new Map<number, unknown>();
  const players = new Map<number, unknown>();
  for (const insight of scriptedGame(new InsightBuilder("SYN1"), 11)) {
    whole.apply(insight);
    pieces.apply(insight);
    for (const detail of pieces.takeChanges().details) {
      for (const play of detail.plays) plays.set(play.number, play);
      for (const line of detail.players) players.set(line.id, line);
    }
  }
  const detail = whole.detail("SYN1");
  expect(detail?.plays.length).toBeGreaterThan(150);
  expect([...plays.values()]).toEqual(detail?.plays);
  expect([...players.values()]).toEqual(detail?.players);
  expect(detail?.summary.status).toBe("final");
});

test("a full book gives up its oldest finished game and says so", () => {
  const book = new GameBook(2);
  const first = new InsightBuilder("SYN1");
  book.apply(first.info());
  book.apply(new InsightBuilder("SYN2").info());
  book.apply(first.result(100, 90, 0.99));
  book.takeChanges();
  expect(book.apply(new InsightBuilder("SYN3").info())).toBe("applied");
  expect(book.summaries().map(({ id }) => id)).toEqual(["SYN2", "SYN3"]);
  expect(book.takeChanges().removedIds).toEqual(["SYN1"]);
  // What comes late for it must not bring back a game without its beginning.
  expect(book.apply(first.play(START))).toBe("not-shown");
});

test("a book full of live games counts a further one instead of showing it in part", () => {
  const book = new GameBook(1);
  book.apply(new InsightBuilder("SYN1").info());
  expect(book.apply(new InsightBuilder("SYN2").info())).toBe("not-shown");
  expect(book.notShown).toBe(1);
  expect(book.summaries().map(({ id }) => id)).toEqual(["SYN1"]);
});

test("game time runs through quarters and overtimes", () => {
  expect(elapsedS(1, 720)).toBe(0);
  expect(elapsedS(4, 0)).toBe(2880);
  expect(elapsedS(5, 300)).toBe(2880);
  expect(elapsedS(6, 12.5)).toBe(2880 + 300 + 287.5);
});

test("rounding never makes a certainty of what is not certain", () => {
  expect([0.00001, 0.99999, 0, 1, 0.123456].map((p) => probability(p))).toEqual([
    0.0001, 0.9999, 0, 1, 0.1235,
  ]);
  expect(probability(Number.NaN)).toBeNull();
});
