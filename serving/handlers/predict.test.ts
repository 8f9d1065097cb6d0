import path from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seededRandom } from "../../base/random.ts";
import { FEATURE_SCHEMA_HASH, featureVectorOf } from "../../features/mod.ts";
import { GameStateSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import {
  PredictRequestSchema,
  type PredictRequest,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { startOnnxThread, type OnnxThread } from "../model/onnx-thread.ts";
import { openRegistry, type ModelRegistry } from "../model/registry.ts";
import { createPredictor, ODDS_ALIAS, type Predictor } from "./predict.ts";

/** The service on the committed models. */

const SEED = Number(process.env["SEED"] ?? 20_261_125);
const random = seededRandom(SEED);

let thread: OnnxThread;
let registry: ModelRegistry;
let predictor: Predictor;

beforeAll(async () => {
  thread = startOnnxThread();
  const folder = path.join(import.meta.dirname, "../models");
  registry = await openRegistry(folder, { schemaHash: FEATURE_SCHEMA_HASH, thread });
  predictor = createPredictor(registry);
});

afterAll(async () => {
  await registry.close();
  await thread.close();
});

function someState(): MessageInitShape<typeof GameStateSchema> {
  const period = 1 + random.int(6);
  return {
    gameId: `game ${random.int(1_000)}`,
    homeTeam: "BOS",
    awayTeam: "NYK",
    homeScore: 60 + random.int(30),
    awayScore: 60 + random.int(30),
    period,
    clockRemainingS: random.next() * (period > 4 ? 300 : 720),
    possession: [Side.HOME, Side.AWAY, Side.NONE][random.int(3)] ?? Side.NONE,
    ...(random.next() < 0.5 && { homePregameWinProb: 0.2 + random.next() * 0.6 }),
    ...(random.next() < 0.5 && { closingSpreadHome: random.int(20) - 10 }),
  };
}

function requestOf(state: MessageInitShape<typeof GameStateSchema>, explain = false) {
  const value = create(GameStateSchema, state);
  return create(PredictRequestSchema, { input: { case: "state", value }, explain });
}

const logOdds = (p: number): number => Math.log(p / (1 - p));

test(`contributions sum from the pre-game value to the answer, whatever the state (seed ${SEED})`, async () => {
  for (let i = 0; i < 200; i += 1) {
    const state = someState();
    const { prediction, explanation } = await predictor.predict(requestOf(state, true));
    const contributions = explanation?.contributions ?? [];
    const sum = contributions.reduce((total, each) => total + each.logOdds, 0);
    const total = explanation?.logOdds ?? Number.NaN;
    expect((explanation?.pregameLogOdds ?? 0) + sum).toBeCloseTo(total, 9);
    expect(1 / (1 + Math.exp(-total))).toBeCloseTo(prediction.homeWinProb, 5);
    const { homePregameWinProb, closingSpreadHome } = state;
    if (homePregameWinProb !== undefined && closingSpreadHome === undefined) {
      expect(explanation?.pregameWinProb).toBeCloseTo(homePregameWinProb, 5);
      expect(explanation?.pregameLogOdds).toBeCloseTo(logOdds(homePregameWinProb), 5);
    }
  }
});

test("states that tell the closing spread are scored by the model that knows it, in a mixed batch too", async () => {
  const states = Array.from({ length: 300 }, someState);
  const answers = await predictor.predictBatch(states.map((state) => requestOf(state)));
  const odds = registry.alias(ODDS_ALIAS)?.card.version;
  for (const [i, { prediction }] of answers.entries()) {
    const state = states[i];
    const expected = state?.closingSpreadHome === undefined ? registry.champion.card.version : odds;
    expect(prediction.modelVersion).toBe(expected);
    expect(prediction.gameId).toBe(state?.gameId);
    if (i % 50 > 0) continue;
    const one = await predictor.predict(requestOf(state ?? {}));
    expect(one.prediction).toEqual(prediction);
  }
});

test("a vector is scored as its state is, and a batch of thousands as its parts are", async () => {
  const states = Array.from({ length: 2_500 }, someState);
  const whole = await predictor.predictBatch(states.map((state) => requestOf(state)));
  const vectors: PredictRequest[] = states.map((state) => {
    const values = [...featureVectorOf(create(GameStateSchema, state))];
    const value = { schemaHash: FEATURE_SCHEMA_HASH, values };
    return create(PredictRequestSchema, { input: { case: "features", value } });
  });
  const scored = await predictor.predictBatch(vectors);
  expect(scored.map(({ prediction }) => prediction.homeWinProb)).toEqual(
    whole.map(({ prediction }) => prediction.homeWinProb),
  );
});

test("the interval holds the probability and says its coverage", async () => {
  for (let i = 0; i < 100; i += 1) {
    const { prediction } = await predictor.predict(requestOf(someState()));
    const { homeWinProb, homeWinProbLow, homeWinProbHigh, intervalCoverage } = prediction;
    expect(intervalCoverage).toBe(registry.champion.card.interval?.coverage);
    expect(homeWinProbLow).toBeLessThanOrEqual(homeWinProb);
    expect(homeWinProbHigh).toBeGreaterThanOrEqual(homeWinProb);
  }
});

test("a large batch leaves the event loop free for others", async () => {
  const requests = Array.from({ length: 4_096 }, () => requestOf(someState(), true));
  await predictor.predictBatch(requests);
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await predictor.predictBatch(requests);
  isOver = true;
  // Tens of milliseconds of work in pieces of two: without pieces there are as many turns as runs of the model.
  expect(turns).toBeGreaterThan(10);
});
