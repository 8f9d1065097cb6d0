import { create } from "@bufbuild/protobuf";
import {
  assert as check,
  constantFrom,
  double,
  integer,
  option,
  property,
  record,
} from "fast-check";
import { expect, test } from "vitest";
import {
  type GameState,
  GameStateSchema,
  type TrailingWindow,
  TrailingWindowSchema,
} from "../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../proto/gen/courtside/v1/play_pb.ts";
import { arbitraryGame } from "./testing/arbitrary-plays.ts";
import { gameInfo, made3 } from "./testing/plays.ts";
import { applyPlay, createGameFold, gameStateOf } from "./game-state.ts";
import {
  FEATURE_SCHEMA_HASH,
  FEATURES,
  featureSchemaHash,
  featureVectorOf,
  holdsOdds,
  toFeatureVector,
} from "./vector.ts";

function stateOf(fields: Partial<GameState>): GameState {
  return Object.assign(create(GameStateSchema), fields);
}

/** Features by name. */
function featuresOf(fields: Partial<GameState>): Record<string, number> {
  const values = featureVectorOf(stateOf(fields));
  return Object.fromEntries(FEATURES.map(({ name }, i) => [name, values[i] ?? Number.NaN]));
}

const maybe = <T>(arbitrary: Parameters<typeof option<T>>[0]): ReturnType<typeof option<T>> =>
  option(arbitrary, { nil: undefined as never });
const side = constantFrom(Side.UNSPECIFIED, Side.HOME, Side.AWAY, Side.NONE);
const score = maybe(integer({ min: 0, max: 400 }));
const prob = maybe(double({ min: 0, max: 1, noNaN: true }));
const elo = maybe(double({ min: 0, max: 4000, noNaN: true }));
const small = maybe(integer({ min: 0, max: 20 }));
const window = maybe(
  record({
    points: integer({ min: 0, max: 100 }),
    fieldGoalsMade: integer({ min: 0, max: 100 }),
    threesMade: integer({ min: 0, max: 100 }),
    fieldGoalsAttempted: integer({ min: 0, max: 100 }),
    offensiveRebounds: integer({ min: 0, max: 100 }),
    turnovers: integer({ min: 0, max: 100 }),
  }).map((counts): TrailingWindow => create(TrailingWindowSchema, counts)),
);
const legalState = record({
  homeScore: score,
  awayScore: score,
  period: maybe(integer({ min: 1, max: 12 })),
  clockRemainingS: maybe(double({ min: 0, max: 720, noNaN: true })),
  possession: maybe(side),
  homePregameWinProb: prob,
  homeElo: elo,
  awayElo: elo,
  homeTeamFouls: small,
  awayTeamFouls: small,
  homeTimeoutsRemaining: small,
  awayTimeoutsRemaining: small,
  currentRun: maybe(integer({ min: -60, max: 60 })),
  homeLast2Min: window,
  awayLast2Min: window,
  homeLast10Min: window,
  awayLast10Min: window,
  gameOver: constantFrom(true, false),
}).map((fields) => stateOf(fields as Partial<GameState>));

test("every legal state has a vector of finite numbers, one a feature", { timeout: 60_000 }, () => {
  check(
    property(legalState, (state) => {
      const values = featureVectorOf(state);
      expect(values).toHaveLength(FEATURES.length);
      expect(values.every((value) => Number.isFinite(value))).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test("swapping the sides flips every difference, and nothing else", () => {
  const even = new Set([
    "seconds_remaining",
    "regulation_share_left",
    "sqrt_share_left",
    "quarter_2",
    "quarter_3",
    "quarter_4",
    "overtime",
    "pace_last_10_min",
    "lead_changes",
    "has_closing_spread",
    "next_3_min_share_left",
  ]);
  const fields = { period: 3, clockRemainingS: 400, homePregameWinProb: 0.7, leadChanges: 4 };
  const home = { homeScore: 70, awayScore: 61, possession: Side.HOME, currentRun: 5 };
  const away = { homeScore: 61, awayScore: 70, possession: Side.AWAY, currentRun: -5 };
  const one = featuresOf({ ...fields, ...home, closingSpreadHome: 7.5 });
  const turned = { homePregameWinProb: 0.3, closingSpreadHome: -7.5 };
  const two = featuresOf({ ...fields, ...away, ...turned });
  for (const { name } of FEATURES) {
    const mirrored = even.has(name) ? two[name] : -(two[name] ?? 0);
    expect(one[name], name).toBeCloseTo(mirrored ?? Number.NaN, 5);
  }
});

test("the closing spread counts by the time left, and a row says whether it knows one", () => {
  const state = { period: 3, clockRemainingS: 0, closingSpreadHome: -6 };
  expect(featuresOf(state)).toMatchObject({
    has_closing_spread: 1,
    closing_spread: -6,
    closing_spread_by_sqrt_share_left: -3,
    closing_spread_by_share_left: -1.5,
  });
  const vectorOf = (fields: Partial<GameState>): Float32Array => featureVectorOf(stateOf(fields));
  expect(holdsOdds(vectorOf(state))).toBe(true);
  // A spread of nought is known as well.
  expect(holdsOdds(vectorOf({ closingSpreadHome: 0 }))).toBe(true);
  expect(holdsOdds(vectorOf({}))).toBe(false);
});

test("seconds remaining count to the end of regulation, then to the end of each overtime", () => {
  const secondsAt = (period: number, clockRemainingS: number): number =>
    featuresOf({ period, clockRemainingS })["seconds_remaining"] ?? Number.NaN;
  expect(secondsAt(1, 720)).toBe(2880);
  expect(secondsAt(3, 0)).toBe(720);
  expect(secondsAt(4, 30.5)).toBe(30.5);
  expect(secondsAt(5, 300)).toBe(300);
  expect(secondsAt(7, 12)).toBe(12);
  expect(secondsAt(5, 720)).toBe(300);
});

test("a state that tells nothing is an even tip-off with the league's home court", () => {
  const values = featuresOf({});
  expect(values).toMatchObject({ margin: 0, seconds_remaining: 2880, possession: 0, overtime: 0 });
  expect(values["pregame_logit"]).toBeCloseTo(Math.log(0.563 / 0.437), 6);
  expect(values["pace_last_10_min"]).toBe(101);
});

test("strength is taken from the probability, else from both ratings, and counts by the time left", () => {
  const given = { homePregameWinProb: 0.8, homeElo: 1300, awayElo: 1700 };
  expect(featuresOf(given)["pregame_logit"]).toBeCloseTo(Math.log(4), 6);
  const rated = featuresOf({ homeElo: 1500, awayElo: 1500 });
  expect(rated["pregame_logit"]).toBeCloseTo((Math.LN10 * 80) / 400, 6);
  const oneRating = featuresOf({ homeElo: 1900 });
  expect(oneRating["pregame_logit"]).toBe(featuresOf({})["pregame_logit"]);
  const late = featuresOf({ ...given, period: 4, clockRemainingS: 720 });
  expect(late["pregame_logit_by_sqrt_share_left"]).toBeCloseTo(Math.log(4) / 2, 6);
  expect(featuresOf({ homePregameWinProb: 1 })["pregame_logit"]).toBeCloseTo(Math.log(99), 6);
});

test("the end of a game is extreme by any margin, and a tie without time left is even", () => {
  const over = { period: 4, clockRemainingS: 0, homeScore: 101, awayScore: 100, gameOver: true };
  const running = featuresOf({ ...over, homeScore: 160, gameOver: false });
  const ended = featuresOf(over);
  // A slope of 0.55 per unit is a tenth of what any fit gives; even then one point is 0.999.
  expect(1 / (1 + Math.exp(-0.55 * (ended["margin_per_sqrt_second"] ?? 0)))).toBeGreaterThan(0.999);
  expect(ended["margin_per_sqrt_second"]).toBeLessThan(running["margin_per_sqrt_second"] ?? 0);
  expect(featuresOf({ ...over, awayScore: 102 })["margin_per_sqrt_second"]).toBeLessThan(-12);
  const tied = featuresOf({ ...over, homeScore: 100, gameOver: false });
  expect(tied).toMatchObject({ margin_per_sqrt_second: 0, margin: 0, seconds_remaining: 0 });
  expect(featuresOf({ ...over, clockRemainingS: 9 })["seconds_remaining"]).toBe(0);
});

test("a bigger lead and less time never make the leader's score terms smaller", () => {
  const termAt = (margin: number, clockRemainingS: number): number =>
    featuresOf({ homeScore: 100 + margin, awayScore: 100, period: 4, clockRemainingS })[
      "margin_per_sqrt_second"
    ] ?? Number.NaN;
  for (let clock = 700; clock > 0; clock -= 50) {
    expect(termAt(5, clock - 50)).toBeGreaterThan(termAt(5, clock));
    expect(termAt(6, clock)).toBeGreaterThan(termAt(5, clock));
  }
});

test(
  "the vector is the same whether it is put into a given array or a new one",
  { timeout: 60_000 },
  () => {
    check(
      property(arbitraryGame(), (plays) => {
        const out = new Float32Array(FEATURES.length);
        const fold = createGameFold(gameInfo(), "SYN0000001");
        for (const play of plays) {
          applyPlay(fold, play);
          const state = gameStateOf(fold);
          expect(featureVectorOf(state, out)).toBe(out);
          expect(out).toEqual(featureVectorOf(state));
        }
      }),
      { numRuns: 10, interruptAfterTimeLimit: 20_000 },
    );
  },
);

test("a vector message names its schema and its play", () => {
  const play = Object.assign(made3("home"), { playNumber: 7, homeScore: 3 });
  const fold = createGameFold(gameInfo(), play.gameId);
  applyPlay(fold, play);
  const vector = toFeatureVector(gameStateOf(fold), play);
  expect(vector).toMatchObject({ gameId: play.gameId, playNumber: 7, revision: 1 });
  expect(vector.schemaHash).toBe(FEATURE_SCHEMA_HASH);
  expect(vector.values).toHaveLength(FEATURES.length);
  expect(vector.values[0]).toBe(3);
});

test("the schema hash changes with a name, a unit or the order, and with nothing else", () => {
  expect(FEATURE_SCHEMA_HASH).toMatch(/^[0-9a-f]{16}$/);
  const described = FEATURES.map((feature) => ({ ...feature, description: "other words" }));
  expect(featureSchemaHash(described)).toBe(FEATURE_SCHEMA_HASH);
  expect(featureSchemaHash(FEATURES.toReversed())).not.toBe(FEATURE_SCHEMA_HASH);
  const renamed = FEATURES.map(({ name, unit }, i) => ({ name, unit: i === 3 ? "x" : unit }));
  expect(featureSchemaHash(renamed)).not.toBe(FEATURE_SCHEMA_HASH);
  expect(new Set(FEATURES.map(({ name }) => name)).size).toBe(FEATURES.length);
});
