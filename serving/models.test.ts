import path from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FEATURE_SCHEMA_HASH, FEATURES, featureVectorOf } from "../features/mod.ts";
import { GameStateSchema } from "../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../proto/gen/courtside/v1/play_pb.ts";
import { openRegistry, type ModelRegistry } from "./model/registry.ts";

let registry: ModelRegistry;

beforeAll(async () => {
  const folder = path.join(import.meta.dirname, "models");
  registry = await openRegistry(folder, { schemaHash: FEATURE_SCHEMA_HASH });
});

afterAll(() => registry.close());

async function homeWinProb(changes: MessageInitShape<typeof GameStateSchema>): Promise<number> {
  const state = create(GameStateSchema, {
    homeScore: 100,
    awayScore: 100,
    period: 4,
    clockRemainingS: 0,
    possession: Side.NONE,
    ...changes,
  });
  const [score] = await registry.champion.onnx.score(featureVectorOf(state), 1);
  return score ?? Number.NaN;
}

test("the committed champion takes the features that this code computes", () => {
  const { card } = registry.champion;
  expect(card.features.map(({ name, unit }) => `${name} ${unit}`)).toEqual(
    FEATURES.map(({ name, unit }) => `${name} ${unit}`),
  );
});

test("the committed champion beat score and time on a season that it was not trained on", () => {
  const { training, evaluation } = registry.champion.card;
  expect(training.seasons).not.toContain(evaluation.season);
  expect(evaluation.onnxMaxDifference).toBeLessThanOrEqual(1e-6);
  const [whole] = evaluation.slices;
  expect(whole?.rows).toBeGreaterThan(500_000);
  expect(whole?.model["brier"]).toBeLessThan(0.152);
  expect(whole?.model["brier"]).toBeLessThan(whole?.baseline["brier"] ?? 0);
});

test.each([1, 2, 25])(
  "the committed champion is certain of a lead of %i at the end",
  async (lead) => {
    for (const end of [{ gameOver: true }, { gameOver: false }, { period: 6 }]) {
      expect(await homeWinProb({ ...end, homeScore: 100 + lead })).toBeGreaterThan(0.999);
      expect(await homeWinProb({ ...end, awayScore: 100 + lead })).toBeLessThan(0.001);
    }
  },
);

test("the committed champion holds a tie open and knows whose ball it is", async () => {
  expect(Math.abs((await homeWinProb({})) - 0.5)).toBeLessThan(0.1);
  const late = { clockRemainingS: 15 };
  const ours = await homeWinProb({ ...late, possession: Side.HOME });
  const theirs = await homeWinProb({ ...late, possession: Side.AWAY });
  expect(ours - theirs).toBeGreaterThan(0.1);
});

test("before tip-off the committed champion is close to the rating's probability", async () => {
  const tipOff = { period: 1, clockRemainingS: 720, homeScore: 0, awayScore: 0 };
  for (const prior of [0.3, 0.5, 0.7]) {
    const p = await homeWinProb({ ...tipOff, homePregameWinProb: prior });
    expect(Math.abs(p - prior)).toBeLessThan(0.06);
  }
});
