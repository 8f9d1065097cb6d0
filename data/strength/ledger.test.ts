import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  type GameInfo,
  GameInfoSchema,
  League,
  PlayEventSchema,
  PlayKind,
  SeasonType,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { createLedger } from "./ledger.ts";
import { SeasonStrength } from "./season.ts";
import { BadStrengthError, committedStart, readStart, writeStart } from "./snapshot.ts";
import { accountOf } from "./stints.ts";

const [HERONS, FOXES] = [1, 2];
const FIVE = { [HERONS]: [11, 12, 13, 14, 15], [FOXES]: [21, 22, 23, 24, 25] };

interface GameParts {
  readonly id: string;
  readonly date: string;
  readonly margin: number;
  readonly homeFive?: readonly number[];
}

/** The Herons at home to the Foxes: ten players all game long, the margin at its end. */
function game({ id, date, margin, homeFive = FIVE[HERONS] ?? [] }: GameParts): SourceGame {
  const awayFive = FIVE[FOXES] ?? [];
  const play = (playNumber: number, period: number, clockRemainingDs: number, homeScore: number) =>
    create(PlayEventSchema, {
      playNumber,
      period,
      clockRemainingDs,
      kind: PlayKind.SHOT,
      side: Side.HOME,
      teamId: HERONS,
      actorId: homeFive[0] ?? 0,
      homeScore,
      awayScore: playNumber === 1 ? 0 : 100,
      homeOnCourtIds: [...homeFive],
      awayOnCourtIds: awayFive,
      gameOver: period === 4 && clockRemainingDs === 0,
    });
  const plays = [play(1, 1, 7200, 0), play(2, 2, 0, 50), play(3, 4, 0, 100 + margin)];
  const starters = [
    ...homeFive.map((playerId) => ({ playerId, teamId: HERONS, starter: true })),
    ...awayFive.map((playerId) => ({ playerId, teamId: FOXES, starter: true })),
  ];
  const info = create(GameInfoSchema, {
    gameId: id,
    league: League.NBA,
    season: 2031,
    seasonType: SeasonType.REGULAR,
    gameDate: date,
    home: { teamId: HERONS },
    away: { teamId: FOXES },
    roster: starters,
  });
  return { info, plays, deadLetters: [], rows: plays.length };
}

const nothing = (): undefined => undefined;

/** What the ledger says of `asked` after it took in `before` in that order. */
function told(before: readonly SourceGame[], asked: SourceGame): GameInfo {
  const ledger = createLedger(nothing);
  for (const one of before) {
    ledger.prepare(one.info);
    ledger.add(one);
  }
  ledger.prepare(asked.info);
  return asked.info;
}

const wins = (margin: number): SourceGame[] =>
  ["11-01", "11-03", "11-05", "11-07"].map((day, i) =>
    game({ id: `003310000${i + 1}`, date: `2031-${day}`, margin }),
  );

/** Enough games for the ten to be known as starters. */
const autumn = (margin: number): SourceGame[] =>
  Array.from({ length: 12 }, (_, i) =>
    game({ id: `00331001${i + 10}`, date: `2031-10-${i + 11}`, margin }),
  );

test("a side that won is favoured next time, and more after greater wins", () => {
  const ask = (): SourceGame => game({ id: "0033100009", date: "2031-11-20", margin: 1 });
  const [small, great, lost] = [wins(4), wins(24), wins(-24)].map(
    (games) => told(games, ask()).homePregameWinProb ?? Number.NaN,
  );
  expect(great).toBeGreaterThan(small ?? 1);
  expect(lost).toBeLessThan(0.5);
  expect(told(wins(24), ask()).homeElo).toBeGreaterThan(1500);
  expect(told(wins(24), ask()).homeRestDays).toBe(13);
});

test("a game is told by results of earlier days only, in whatever order they come", () => {
  const ask = (): SourceGame => game({ id: "0033100009", date: "2031-11-06", margin: 1 });
  const games = wins(10);
  const later = game({ id: "0033100008", date: "2031-11-06", margin: 60 });
  const inOrder = told(games.slice(0, 3), ask());
  expect(told([...games, later].toReversed(), ask())).toEqual(inOrder);
  expect(told([games[3] as SourceGame, later, ...games.slice(0, 3)], ask())).toEqual(inOrder);
});

test("a line-up without its usual starters is weaker", () => {
  const season = new SeasonStrength({
    season: 2031,
    homePoints: 2,
    homeVariance: 1,
    players: new Map(),
    elo: new Map(),
  });
  for (const { info, ...rest } of autumn(24)) {
    season.add({
      gameId: info.gameId,
      date: info.gameDate,
      homeId: HERONS,
      awayId: FOXES,
      homeAdvantage: 80,
      neutralSite: false,
      margin: 24,
      account: accountOf({ info, ...rest }),
    });
  }
  const usual = season.side(HERONS, [11, 12, 13, 14, 15])?.points ?? 0;
  const weak = season.side(HERONS, [11, 12, 13, 16, 17])?.points ?? 0;
  expect(weak).toBeLessThan(usual - 1);
  // Four strangers are no line-up of this league: the players of late count.
  expect(season.side(HERONS, [11, 96, 97, 98, 99])?.points).toBeCloseTo(usual, 6);
});

test("nothing is said of players that nothing is known of, nor of games that are none of the league's", () => {
  const first = game({ id: "0033100001", date: "2031-11-01", margin: 1 });
  expect(told([], first).homePregameWinProb).toBeUndefined();
  const other = game({ id: "0033100009", date: "2031-11-20", margin: 1 });
  other.info.league = League.SYNTHETIC;
  expect(told(wins(10), other).homePregameWinProb).toBeUndefined();
  const unfinished = game({ id: "0033100001", date: "2031-11-01", margin: 30 });
  for (const play of unfinished.plays) play.gameOver = false;
  expect(told([unfinished], first).homePregameWinProb).toBeUndefined();
});

test("a probability that is given stays", () => {
  const asked = game({ id: "0033100009", date: "2031-11-20", margin: 1 });
  asked.info.homePregameWinProb = 0.25;
  expect(told(wins(10), asked).homePregameWinProb).toBe(0.25);
});

test("the start of the next season is read as it was written, and something of the players is left", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "courtside-strength-"));
  const ledger = createLedger(nothing);
  for (const one of wins(24)) ledger.add(one);
  const start = ledger.nextStart(2032);
  if (start === undefined) throw new Error("a season was learnt");
  expect(start.players.get(11)?.points).toBeGreaterThan(start.players.get(21)?.points ?? 0);
  await writeStart(folder, start);
  const read = readStart(folder, 2032);
  expect(read?.players.size).toBe(10);
  expect(read?.players.get(11)?.points).toBeCloseTo(start.players.get(11)?.points ?? 0, 3);
  expect(read?.elo.get(HERONS)).toBeCloseTo(start.elo.get(HERONS) ?? 0, 3);
  expect(readStart(folder, 1999)).toBeUndefined();
  await writeFile(path.join(folder, "2032.csv"), "kind,id\n");
  expect(() => readStart(folder, 2032)).toThrow(BadStrengthError);
  await rm(folder, { recursive: true });
});

test("the committed starts know the league of every season since 2017-18", () => {
  for (let season = 2017; season <= 2025; season += 1) {
    const start = committedStart(season);
    expect(start?.elo.size, String(season)).toBe(30);
    expect(start?.players.size, String(season)).toBeGreaterThan(400);
    expect(start?.homePoints).toBeGreaterThan(0.5);
    expect(start?.homePoints).toBeLessThan(5);
  }
});

test("stints follow the ten on court, and their lengths and margins sum up to the game's", () => {
  const { stints, players } = accountOf(game({ id: "0033100001", date: "2031-11-01", margin: 7 }));
  expect(stints.reduce((sum, { lengthS }) => sum + lengthS, 0)).toBe(2_880);
  expect(stints.reduce((sum, { margin }) => sum + margin, 0)).toBe(7);
  expect(players.get(11)).toMatchObject({ teamId: HERONS, minutes: 48, started: true });
  // Three missed shots: 0.7 each, and 0.37 a minute that an average player is worth.
  expect(players.get(11)?.boxValue).toBeCloseTo(-3 * 0.7 - 48 * 0.37, 6);
});
