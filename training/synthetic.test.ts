import path from "node:path";
import { expect, test, vi } from "vitest";
import { syntheticSeason } from "../data/synthetic/season.ts";
import { type SourceGame } from "../data/source.ts";
import { FEATURE_SCHEMA_HASH, FEATURES } from "../features/mod.ts";
import { openRegistry } from "../serving/model/registry.ts";
import { collect } from "./dataset.ts";
import { scoreBaseline } from "./evaluate.ts";
import { trainingGames } from "./games.ts";
import { scoresOf } from "./metrics.ts";

vi.setConfig({ testTimeout: 120_000 });

const SEED = Number(process.env["SEED"] ?? 20241022);
const GAMES = 400;
const MODELS = path.join(import.meta.dirname, "../serving/models");

async function* season(): AsyncIterable<SourceGame> {
  const options = { seed: SEED, games: GAMES, teams: 30, startTimeMs: Date.UTC(2024, 9, 22, 23) };
  for (const game of syntheticSeason(options)) yield await Promise.resolve(game);
}

test("the committed model is calibrated on generated games, which it was not trained on", async () => {
  const registry = await openRegistry(MODELS, { schemaHash: FEATURE_SCHEMA_HASH });
  try {
    const { card, onnx } = registry.champion;
    const data = await collect(trainingGames(season()), { features: FEATURES.length });
    const all = Uint32Array.from({ length: data.rows }, (_, row) => row);
    const model = scoresOf(await onnx.score(data.values, data.rows), data.homeWon, all);
    const { weights, bias } = card.baseline;
    const simple = scoreBaseline({ weights: Float64Array.from(weights), bias }, data);
    const baseline = scoresOf(simple, data.homeWon, all);
    console.log(JSON.stringify({ seed: SEED, games: GAMES, model, baseline }));
    // Four hundred games leave the frequency in a bin uncertain by some 4 %.
    expect(model.ece20).toBeLessThan(0.06);
    expect(model.brier).toBeLessThan(0.19);
    expect(model.brier).toBeLessThan(baseline.brier + 0.005);
    expect(model.auc).toBeGreaterThan(0.78);
  } finally {
    await registry.close();
  }
});
