import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type SourceGame } from "../data/source.ts";
import { syntheticSeason } from "../data/synthetic/season.ts";
import { FEATURE_SCHEMA_HASH } from "../features/mod.ts";
import { readAliases } from "../serving/model/aliases.ts";
import { openRegistry } from "../serving/model/registry.ts";
import { type TrainingGame } from "./dataset.ts";
import { trainingGames } from "./games.ts";
import { seasonName, SplitError, type SeasonFile } from "./split.ts";
import { train, type TrainOptions } from "./train.ts";

const GAMES = 30;

let out: string;

beforeEach(async () => {
  out = await mkdtemp(path.join(tmpdir(), "courtside-train-"));
});

afterEach(() => rm(out, { recursive: true }));

function season(startYear: number): SeasonFile {
  return { season: seasonName(startYear), startYear, path: String(startYear) };
}

/** A path is the year of an invented season. */
async function* open(year: string, games = GAMES): AsyncIterable<SourceGame> {
  const startTimeMs = Date.UTC(Number(year), 9, 20);
  yield* syntheticSeason({ seed: Number(year), games, startTimeMs });
}

/** Enough for what does not depend on how good the model is. */
const few: TrainOptions["games"] = ({ path: year }) => trainingGames(open(year, FEW_GAMES));
const FEW_GAMES = 8;

function options(changes: Partial<TrainOptions> = {}): TrainOptions {
  return {
    split: { training: [season(2001), season(2002)], heldOut: season(2003) },
    games: ({ path: year }) => trainingGames(open(year)),
    out,
    every: 3,
    seed: 1,
    progress() {},
    ...changes,
  };
}

test("training publishes a champion that beats a coin on a season it never saw", async () => {
  const [card] = await train(options());
  assert(card !== undefined);
  expect(card.training.seasons).toEqual(["2001-02", "2002-03"]);
  expect(card.training.games).toBeGreaterThan(GAMES);
  expect(card.evaluation).toMatchObject({ season: "2003-04", games: GAMES });
  expect(card.evaluation.onnxMaxDifference).toBeLessThanOrEqual(1e-6);
  expect(card.evaluation.rows).toBeGreaterThan(10_000);
  const [whole] = card.evaluation.slices;
  expect(whole?.slice).toBe("all plays");
  expect(whole?.model["brier"]).toBeLessThan(0.22);
  const registry = await openRegistry(out, { schemaHash: FEATURE_SCHEMA_HASH });
  expect(registry.champion.card).toEqual(card);
  await registry.close();
}, 60_000);

test("the same seed gives the same model", async () => {
  const split = { training: [season(2001)], heldOut: season(2003) };
  const [first] = await train(options({ split, games: few }));
  const [second] = await train(options({ split, games: few }));
  assert(first !== undefined);
  expect(second).toEqual(first);
  expect((await readdir(out)).sort()).toEqual(["aliases.jsonl", "champion", first.version].sort());
}, 60_000);

test("trees on top of the logistic are exported alike and become the challenger", async () => {
  const split = { training: [season(2001), season(2002)], heldOut: season(2003) };
  const cards = await train(options({ split, games: few, trees: true }));
  expect(cards.map(({ name }) => name)).toEqual(["win-probability", "win-probability-trees"]);
  expect(cards[1]?.evaluation.onnxMaxDifference).toBeLessThanOrEqual(1e-6);
  const aliases = await readAliases(out);
  expect(aliases.get("challenger")).toBe(cards[1]?.version);
  expect(aliases.get("champion")).toBe(cards[0]?.version);
}, 60_000);

test("a file with another season's games is refused and nothing is written", async () => {
  const wrong = { ...season(2002), path: "1999" };
  const split = { training: [season(2001), wrong], heldOut: season(2003) };
  await expect(train(options({ split }))).rejects.toThrow(SplitError);
  expect(await readdir(out)).toEqual([]);
}, 60_000);

test("a season without results is refused, by name", async () => {
  const nothing = async function* (): AsyncIterable<TrainingGame> {};
  await expect(train(options({ games: () => nothing() }))).rejects.toThrow(/without results/u);
  expect(await readdir(out)).toEqual([]);
});

test("a training that is interrupted leaves the models as they were", async () => {
  const stopped = options({
    games: few,
    progress(line) {
      if (line === "publishing") throw new Error("stopped");
    },
  });
  await expect(train(stopped)).rejects.toThrow("stopped");
  expect(await readdir(out)).toEqual([]);
}, 60_000);
