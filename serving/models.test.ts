import path from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededRandom } from "../base/random.ts";
import { FEATURE_SCHEMA_HASH, FEATURES, featureVectorOf } from "../features/mod.ts";
import { type GameState, GameStateSchema } from "../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../proto/gen/courtside/v1/play_pb.ts";
import { readAliases } from "./model/aliases.ts";
import { type LoadedModel, openRegistry, type ModelRegistry } from "./model/registry.ts";

/** The committed models, asked about states with known answers. */

type Changes = Partial<Omit<GameState, "$typeName" | "$unknown">>;

const FOLDER = path.join(import.meta.dirname, "models");
const SEED = Number(process.env["SEED"] ?? 17);

let registry: ModelRegistry;
let aliases: ReadonlyMap<string, string>;

beforeAll(async () => {
  registry = await openRegistry(FOLDER, { schemaHash: FEATURE_SCHEMA_HASH });
  aliases = await readAliases(FOLDER);
});

afterAll(() => registry.close());

const TIED_AT_THE_END: Changes = {
  homeScore: 100,
  awayScore: 100,
  period: 4,
  clockRemainingS: 0,
  possession: Side.NONE,
  homePregameWinProb: 0.55,
};

describe.each([
  ["champion", {}],
  ["champion-odds", { closingSpreadHome: 1.5 }],
])("the committed %s", (alias, odds) => {
  let model: LoadedModel;

  beforeAll(async () => {
    model = await registry.get(aliases.get(alias) ?? "");
  });

  /** Probabilities of many states in one run. */
  async function ask(states: readonly Changes[]): Promise<Float32Array> {
    const values = new Float32Array(states.length * FEATURES.length);
    for (const [i, state] of states.entries()) {
      const row = values.subarray(i * FEATURES.length, (i + 1) * FEATURES.length);
      featureVectorOf(stateOf({ ...TIED_AT_THE_END, ...odds, ...state }), row);
    }
    return model.onnx.score(values, states.length);
  }

  const homeWinProb = async (state: Changes): Promise<number> =>
    (await ask([state]))[0] ?? Number.NaN;

  test("takes the features that this code computes", () => {
    expect(model.card.features.map(({ name, unit }) => `${name} ${unit}`)).toEqual(
      FEATURES.map(({ name, unit }) => `${name} ${unit}`),
    );
  });

  test("beat score and time on a season that it was not trained on, and is calibrated there", () => {
    const { training, evaluation } = model.card;
    expect(training.seasons).not.toContain(evaluation.season);
    expect(evaluation.onnxMaxDifference).toBeLessThanOrEqual(1e-6);
    const [whole] = evaluation.slices;
    expect(whole?.rows).toBeGreaterThan(500_000);
    expect(whole?.model["brier"]).toBeLessThan(0.142);
    expect(whole?.model["logLoss"]).toBeLessThan(0.435);
    expect(whole?.model["ece20"]).toBeLessThan(0.02);
    expect(whole?.model["brier"]).toBeLessThan(whole?.baseline["brier"] ?? 0);
    expect(model.card.interval?.measured).toBeGreaterThanOrEqual(
      model.card.interval?.coverage ?? 1,
    );
  });

  test.each([1, 2, 25])("is certain of a lead of %i at the end", async (lead) => {
    for (const end of [{ gameOver: true }, { gameOver: false }, { period: 6 }]) {
      expect(await homeWinProb({ ...end, homeScore: 100 + lead })).toBeGreaterThan(0.999);
      expect(await homeWinProb({ ...end, awayScore: 100 + lead })).toBeLessThan(0.001);
    }
  });

  test("holds a tie open and knows whose ball it is", async () => {
    expect(Math.abs((await homeWinProb({})) - 0.5)).toBeLessThan(0.1);
    const late = { clockRemainingS: 15 };
    const ours = await homeWinProb({ ...late, possession: Side.HOME });
    const theirs = await homeWinProb({ ...late, possession: Side.AWAY });
    expect(ours - theirs).toBeGreaterThan(0.1);
  });

  test("is never hurt by a point more", async () => {
    const random = seededRandom(SEED);
    for (let k = 0; k < 200; k += 1) {
      const moment = randomMoment(random);
      const scores = await ask(
        Array.from({ length: 81 }, (_, i) => ({ ...moment, homeScore: 60 + i, awayScore: 100 })),
      );
      expect(isSorted(scores), `seed ${SEED}: ${JSON.stringify(moment)}`).toBe(true);
    }
  });

  test("gives the other side the rest when the sides are swapped, but for home court", async () => {
    const random = seededRandom(SEED);
    for (let k = 0; k < 200; k += 1) {
      const moment = randomMoment(random);
      const [homeScore, awayScore] = [90 + random.int(25), 90 + random.int(25)];
      const spread = 12 * (random.next() - 0.5);
      // Home court is part of the chance before tip-off; swapping that as well leaves nothing of it.
      const swapped = {
        ...moment,
        homeScore: awayScore,
        awayScore: homeScore,
        possession: moment.possession === Side.HOME ? Side.AWAY : Side.HOME,
        homePregameWinProb: 1 - moment.homePregameWinProb,
      };
      const [one = 0, two = 0] = await ask([
        { ...moment, homeScore, awayScore, ...spreadOf(spread) },
        { ...swapped, ...spreadOf(-spread) },
      ]);
      expect(one + two, `seed ${SEED}`).toBeCloseTo(1, 5);
    }
  });

  test("does not jump without a reason: not by the clock alone, nor by more than a basket is worth", async () => {
    const random = seededRandom(SEED);
    for (let k = 0; k < 200; k += 1) {
      const moment = { ...randomMoment(random), clockRemainingS: 20 + random.int(280) };
      const state = { ...moment, homeScore: 90 + random.int(25), awayScore: 100 };
      const [now = 0, tick = 0, basket = 0] = await ask([
        state,
        { ...state, clockRemainingS: moment.clockRemainingS - 1 },
        { ...state, homeScore: state.homeScore + 3 },
      ]);
      expect(Math.abs(tick - now), JSON.stringify(state)).toBeLessThan(0.02);
      // Three points with t seconds left move the logit by about 15 / sqrt(t + 10).
      const worth = 16 / Math.sqrt(secondsLeft(moment) + 10);
      expect(Math.abs(logit(basket) - logit(now))).toBeLessThan(worth + 0.1);
    }
    // From the last play of a quarter to the first of the next one, and into overtime.
    for (const period of [1, 2, 3]) {
      const end = { period, clockRemainingS: 0, homeScore: 55, awayScore: 50 };
      const [before = 0, after = 1] = await ask([
        end,
        { ...end, period: period + 1, clockRemainingS: 720 },
      ]);
      expect(after).toBeCloseTo(before, 6);
    }
    const [tied = 0, overtime = 1] = await ask([{}, { period: 5, clockRemainingS: 300 }]);
    expect(Math.abs(overtime - tied)).toBeLessThan(0.05);
  });

  test("before tip-off is close to what was known before", async () => {
    const tipOff = { period: 1, clockRemainingS: 720, homeScore: 0, awayScore: 0 };
    for (const [prior, spread] of [
      [0.3, -6.8],
      [0.5, 0],
      [0.7, 6.8],
    ] as const) {
      const p = await homeWinProb({ ...tipOff, homePregameWinProb: prior, ...spreadOf(spread) });
      expect(Math.abs(p - prior)).toBeLessThan(0.06);
    }
  });

  test("its interval holds the probability, and its run probabilities are near their base rates", async () => {
    const random = seededRandom(SEED);
    const values = new Float32Array(200 * FEATURES.length);
    for (let k = 0; k < 200; k += 1) {
      const moment = randomMoment(random);
      const scores = { homeScore: 80 + random.int(40), awayScore: 100 };
      const state = stateOf({ ...moment, ...scores, ...odds });
      featureVectorOf(state, values.subarray(k * FEATURES.length, (k + 1) * FEATURES.length));
    }
    const { p, low, high, home_run: run } = await model.onnx.run(values, 200);
    for (const [i, value] of p.entries()) {
      expect(low?.[i]).toBeLessThanOrEqual(value);
      expect(high?.[i]).toBeGreaterThanOrEqual(value);
      expect(run?.[i]).toBeLessThan(0.3);
    }
  });

  function spreadOf(closingSpreadHome: number): Changes {
    return "closingSpreadHome" in odds ? { closingSpreadHome } : {};
  }
});

function stateOf(fields: Changes): GameState {
  return Object.assign(create(GameStateSchema), fields);
}

interface Moment {
  readonly period: number;
  readonly clockRemainingS: number;
  readonly possession: Side;
  readonly homePregameWinProb: number;
}

function randomMoment(random: ReturnType<typeof seededRandom>): Moment {
  const period = 1 + random.int(6);
  return {
    period,
    clockRemainingS: random.int(period > 4 ? 300 : 720),
    possession: random.int(2) === 0 ? Side.HOME : Side.AWAY,
    homePregameWinProb: 0.1 + 0.8 * random.next(),
  };
}

function secondsLeft({ period, clockRemainingS }: Moment): number {
  return Math.max(0, 4 - period) * 720 + clockRemainingS;
}

function isSorted(values: Float32Array): boolean {
  return values.every((value, i) => i === 0 || value >= (values[i - 1] as number));
}

function logit(p: number): number {
  return Math.log(p / (1 - p));
}
