import { toBinary } from "@bufbuild/protobuf";
import { createHash } from "node:crypto";
import { expect, test, vi } from "vitest";
import {
  GameInfoSchema,
  League,
  PlayEventSchema,
  PlayKind,
  Side,
  type PlayEvent,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { syntheticSeason, type SyntheticSeasonOptions } from "./season.ts";

// A hundred thousand plays are looked at several times.
vi.setConfig({ testTimeout: 60_000 });

const START_TIME_MS = Date.UTC(2024, 9, 22, 23);
const SEED = Number(process.env["SEED"] ?? 20241022);
const GAMES = 200;

const games = [...syntheticSeason({ seed: SEED, games: GAMES, startTimeMs: START_TIME_MS })];

function digest(options: SyntheticSeasonOptions): string {
  const hash = createHash("sha256");
  for (const { info, plays } of syntheticSeason(options)) {
    hash.update(toBinary(GameInfoSchema, info));
    for (const play of plays) hash.update(toBinary(PlayEventSchema, play));
  }
  return hash.digest("hex");
}

function lastPlay({ plays }: SourceGame): PlayEvent {
  const last = plays.at(-1);
  if (last === undefined) throw new Error("a game without plays");
  return last;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const periodDs = (period: number): number => (period <= 4 ? 7200 : 3000);

test("the same seed gives the same bytes, another seed gives others", () => {
  const options = { seed: SEED, games: 5, startTimeMs: START_TIME_MS };
  expect(digest(options)).toBe(digest(options));
  expect(digest({ ...options, seed: SEED + 1 })).not.toBe(digest(options));
});

test("a longer season begins with the games of a shorter one", () => {
  const [first] = syntheticSeason({ seed: SEED, games: 1, startTimeMs: START_TIME_MS });
  expect(first?.plays).toEqual(games[0]?.plays);
});

/** What is wrong with any play; an `expect` for each of 100,000 plays would take minutes. */
function violations(
  check: (play: PlayEvent, previous: PlayEvent | undefined, game: SourceGame) => string | false,
): string[] {
  const found: string[] = [];
  for (const game of games) {
    for (const [index, play] of game.plays.entries()) {
      const problem = check(play, game.plays[index - 1], game);
      if (problem !== false) found.push(`${play.gameId} play ${play.playNumber}: ${problem}`);
    }
  }
  return found.slice(0, 10);
}

const onCourt = (play: PlayEvent): number[] => [...play.homeOnCourtIds, ...play.awayOnCourtIds];

test("five of the team's own players are on court after every play", () => {
  const wrong = violations((play, _, { info }) => {
    const isOf = (teamId?: number) => (id: number) =>
      info.roster.some((player) => player.playerId === id && player.teamId === teamId);
    const isFive =
      new Set(play.homeOnCourtIds).size === 5 && new Set(play.awayOnCourtIds).size === 5;
    const areOwn =
      play.homeOnCourtIds.every(isOf(info.home?.teamId)) &&
      play.awayOnCourtIds.every(isOf(info.away?.teamId));
    return (!isFive || !areOwn) && onCourt(play).join(" ");
  });
  expect(wrong).toEqual([]);
});

test("whoever acts is on court at that moment, and substitutions swap exactly the two they name", () => {
  const wrong = violations((play, previous) => {
    const before = previous === undefined ? onCourt(play) : onCourt(previous);
    const isSubstitution = play.kind === PlayKind.SUBSTITUTION;
    const expected = isSubstitution
      ? before.map((id) => (id === play.playerOutId ? play.playerInId : id))
      : before;
    if (onCourt(play).join() !== expected.join()) return "court changed";
    if (isSubstitution) return !before.includes(play.playerOutId) && "swapped from the bench";
    const who = [play.actorId, play.assisterId, play.fouledId].filter((id) => id !== 0);
    return !who.every((id) => before.includes(id)) && "acts from the bench";
  });
  expect(wrong).toEqual([]);
});

test("the score of every play is the sum of the made shots up to it", () => {
  const wrong = violations((play, previous) => {
    const made = (side: Side): number => (play.shotMade && play.side === side ? play.shotValue : 0);
    const home = (previous?.homeScore ?? 0) + made(Side.HOME);
    const away = (previous?.awayScore ?? 0) + made(Side.AWAY);
    return (play.homeScore !== home || play.awayScore !== away) && `not ${home}-${away}`;
  });
  expect(wrong).toEqual([]);
});

test("clocks run down inside a period, wall clocks never go back, numbers have no gaps", () => {
  const wrong = violations((play, previous, { info }) => {
    if (play.playNumber !== (previous?.playNumber ?? 0) + 1) return "gap in numbers";
    if (previous === undefined) return play.eventTimeMs !== info.tipoffTimeMs && "not at tip-off";
    if (play.eventTimeMs < previous.eventTimeMs) return "wall clock goes back";
    if (previous.period === play.period) {
      return play.clockRemainingDs > previous.clockRemainingDs && "clock goes up";
    }
    const isStart = play.clockRemainingDs === periodDs(play.period);
    return !(isStart && previous.clockRemainingDs === 0) && "period not played out";
  });
  expect(wrong).toEqual([]);
});

test("the minutes of a team add up to five times the game, and starters play most of them", () => {
  for (const { info, plays } of games) {
    const playedDs = new Map<number, number>();
    for (const [index, play] of plays.entries()) {
      const next = plays[index + 1];
      if (next === undefined || next.period !== play.period) continue;
      for (const id of play.homeOnCourtIds) {
        const ds = play.clockRemainingDs - next.clockRemainingDs;
        playedDs.set(id, (playedDs.get(id) ?? 0) + ds);
      }
    }
    const overtimes = lastPlay({ info, plays, deadLetters: [], rows: 0 }).period - 4;
    const sum = [...playedDs.values()].reduce((total, ds) => total + ds, 0);
    expect(sum).toBe(5 * (4 * 7200 + overtimes * 3000));
    const starters = info.roster.filter(
      (player) => player.starter && player.teamId === info.home?.teamId,
    );
    expect(starters).toHaveLength(5);
    const startersDs = starters.reduce((t, p) => t + (playedDs.get(p.playerId) ?? 0), 0);
    expect(startersDs / sum).toBeGreaterThan(0.5);
    expect(startersDs / sum).toBeLessThan(0.85);
  }
});

test("a game ends with its last play, decided, after a sixth foul nobody plays on", () => {
  for (const game of games) {
    const last = lastPlay(game);
    expect(last.gameOver).toBe(true);
    expect(last.homeScore).not.toBe(last.awayScore);
    expect(game.plays.filter((play) => play.gameOver)).toHaveLength(1);
    const fouls = new Map<number, number>();
    for (const play of game.plays) {
      if (play.kind !== PlayKind.FOUL || play.subtype === "technical") continue;
      fouls.set(play.actorId, (fouls.get(play.actorId) ?? 0) + 1);
    }
    for (const [playerId, count] of fouls) {
      expect(count).toBeLessThanOrEqual(6);
      if (count === 6) expect(last.homeOnCourtIds).not.toContain(playerId);
    }
  }
});

test("missed shots are followed by a rebound, and steals and blocks follow what they belong to", () => {
  const wrong = violations((play, previous) => {
    if (play.kind === PlayKind.STEAL) return previous?.kind !== PlayKind.TURNOVER && "steal";
    if (play.kind === PlayKind.BLOCK)
      return (previous?.kind !== PlayKind.SHOT || previous.shotMade) && "block";
    const isMiss = previous?.kind === PlayKind.SHOT && !previous.shotMade;
    return isMiss && play.kind !== PlayKind.REBOUND && "no rebound";
  });
  expect(wrong).toEqual([]);
});

test("a season of 200 games looks like basketball", () => {
  const finals = games.map(lastPlay);
  const totals = mean(finals.map((play) => play.homeScore + play.awayScore));
  const homeWins = mean(finals.map((play) => Number(play.homeScore > play.awayScore)));
  const overtimes = mean(finals.map((play) => Number(play.period > 4)));
  const margins = mean(finals.map((play) => Math.abs(play.homeScore - play.awayScore)));
  const plays = mean(games.map((game) => game.plays.length));
  const hours = mean(
    games.map((game) => Number(lastPlay(game).eventTimeMs - game.info.tipoffTimeMs) / 3_600_000),
  );
  const found = { seed: SEED, totals, homeWins, overtimes, margins, plays, hours };
  console.log(JSON.stringify(found));
  const within = (value: number, low: number, high: number): boolean =>
    value >= low && value <= high;
  expect(within(totals, 190, 240), JSON.stringify(found)).toBe(true);
  expect(within(homeWins, 0.5, 0.65), JSON.stringify(found)).toBe(true);
  expect(within(overtimes, 0.01, 0.11), JSON.stringify(found)).toBe(true);
  expect(within(margins, 8, 14), JSON.stringify(found)).toBe(true);
  expect(within(plays, 400, 600), JSON.stringify(found)).toBe(true);
  expect(within(hours, 1.9, 2.6), JSON.stringify(found)).toBe(true);
});

test("ratings come from earlier days, and better rated teams win more often", () => {
  const day = games.slice(0, 4);
  expect(day.every(({ info }) => info.homeElo === 1500 && info.awayElo === 1500)).toBe(true);
  const settled = games.slice(40);
  const rated = settled.map(({ info }) => info.homePregameWinProb ?? 0);
  expect(Math.max(...rated)).toBeGreaterThan(0.65);
  const favouriteWon = settled.map((game) => {
    const { homeScore, awayScore } = lastPlay(game);
    return Number(homeScore > awayScore === (game.info.homePregameWinProb ?? 0) > 0.5);
  });
  expect(mean(favouriteWon)).toBeGreaterThan(0.55);
});

test("everybody plays once a day, and any number of games can run side by side", () => {
  const many = [
    ...syntheticSeason({ seed: SEED, games: 40, concurrent: 20, startTimeMs: START_TIME_MS }),
  ];
  const dates = Map.groupBy(many, ({ info }) => info.gameDate);
  expect([...dates.values()].map((day) => day.length)).toEqual([20, 20]);
  for (const day of dates.values()) {
    const teams = day.flatMap(({ info }) => [info.home?.tricode, info.away?.tricode]);
    expect(new Set(teams).size).toBe(40);
  }
  expect(many.every(({ info }) => info.league === League.SYNTHETIC)).toBe(true);
});
