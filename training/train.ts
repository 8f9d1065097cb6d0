import { FEATURE_SCHEMA_HASH, FEATURES } from "../features/mod.ts";
import { type Alias } from "../serving/model/aliases.ts";
import { type CardRun, type ModelCard } from "../serving/model/card.ts";
import { checkPlausible } from "./checks.ts";
import { collect, type Dataset, type TrainingGame } from "./dataset.ts";
import { histogramsOf, probabilityHistogram } from "./drift.ts";
import { evaluate, fitBaseline, scoreBaseline } from "./evaluate.ts";
import {
  cardOf,
  checkParity,
  exportModel,
  MODEL_NAME,
  publish,
  type ExportedModel,
} from "./export.ts";
import { fitLogistic } from "./fit.ts";
import { COVERAGE, coverageOf, INTERVAL_MEANING } from "./interval.ts";
import { type LogisticModel } from "./onnx/graph.ts";
import { runScores } from "./run-scores.ts";
import { RUN_DEFINITION } from "./scoring-run.ts";
import { seasonName, SplitError, type SeasonFile, type Split } from "./split.ts";
import { selected } from "./select.ts";
import { runDesignOf, runModels } from "./terms.ts";
import { fitTrees } from "./tree-fit.ts";
import { type Basis, fitWinner, gamesWith, type WinFit } from "./win-fit.ts";
import { logits, outputsOf, type WinModel } from "./win-model.ts";

export interface TrainOptions {
  readonly split: Split;
  /** Finished games of a season: from a file through the insight job's operators, or from what the job wrote. */
  readonly games: (season: SeasonFile) => AsyncIterable<TrainingGame>;
  /** Folder of the models. */
  readonly out: string;
  /** Every n-th play of a game is fitted on. */
  readonly every: number;
  /** Decides which plays those are. */
  readonly seed: number;
  /** Also fits boosted trees on top of the model without odds and makes them the challenger. */
  readonly trees?: boolean;
  /** Revision of the code, for the card; empty when it is not known. */
  readonly code?: string;
  /** Told what is done, a line at a time; what it throws stops the training before anything is published. */
  readonly progress: (line: string) => void;
}

/** Names in the order of the vector. */
const FEATURE_NAMES = FEATURES.map(({ name }) => name);
/** Rows of a card with the answers that its file gave. */
const GOLDEN_ROWS = 32;
/** Another machine may round the last bit of a float32 otherwise. */
const GOLDEN_TOLERANCE = 1e-6;

interface Data {
  readonly training: Dataset;
  readonly validation: Dataset | undefined;
  readonly heldOut: Dataset;
  readonly baseline: LogisticModel;
  readonly runs: { readonly home: LogisticModel; readonly away: LogisticModel };
}

interface Trained {
  readonly exported: ExportedModel;
  readonly card: ModelCard;
  readonly alias: Alias;
}

/**
 * Fits the model without odds and, where the games have a closing spread, the one with it, judges both on the
 * held-out season through their ONNX files, and publishes them. Nothing is written unless the files compute what the
 * trainer computed and the models are plausible.
 * @returns the cards of the new champions, the one without odds first.
 * @throws SplitError, EmptyDatasetError, FitError, ParityError, ImplausibleModelError
 */
export async function train(options: TrainOptions): Promise<ModelCard[]> {
  const { split, out, every, seed, progress } = options;
  const sampled = { features: FEATURES.length, every, seed };
  const training = await collect(seasonGames(split.training, options), sampled);
  const { validation: season } = split;
  const validation =
    season === undefined ? undefined : await collect(seasonGames([season], options), sampled);
  const heldOut = await collect(seasonGames([split.heldOut], options), {
    features: FEATURES.length,
  });
  progress(`fitting on ${training.rows} rows of ${training.games} games`);
  const data: Data = {
    training,
    validation,
    heldOut,
    baseline: fitBaseline(training),
    runs: runModels(fitLogistic(runDesignOf(training, FEATURE_NAMES)), FEATURE_NAMES),
  };
  const trained = [await trainBasis("no-odds", data, options)];
  if (options.trees === true) trained.push(await trainTrees(data, options));
  if (hasGames(training, "odds") && hasGames(heldOut, "odds")) {
    trained.push(await trainBasis("odds", data, options));
  } else progress("no closing spreads in the data: no model with odds");
  progress("publishing");
  for (const { exported, card, alias } of trained) await publish(out, exported, card, alias);
  return trained.map(({ card }) => card);
}

function hasGames(data: Dataset, basis: Basis): boolean {
  const fits = gamesWith(data, FEATURE_NAMES, basis);
  return data.gameIds.some((_, game) => fits(game));
}

async function trainBasis(basis: Basis, data: Data, options: TrainOptions): Promise<Trained> {
  const fit = fitWinner({ basis, names: FEATURE_NAMES, ...data, progress: options.progress });
  const alias = basis === "odds" ? "champion-odds" : "champion";
  return finished({ ...fit, basis, alias, name: MODEL_NAME }, data, options);
}

/** Trees that correct the logistic without odds; they have to show that they are worth their cost. */
async function trainTrees(data: Data, options: TrainOptions): Promise<Trained> {
  const { progress, seed } = options;
  const fit = fitWinner({ basis: "no-odds", names: FEATURE_NAMES, ...data, progress() {} });
  const trees = await fitTrees({ names: FEATURE_NAMES, ...data, model: fit.model, seed, progress });
  const made = {
    ...fit,
    model: { ...fit.model, trees },
    method: `${trees.trees.length} boosted trees on top of a ${fit.method}`,
    basis: "no-odds" as const,
    alias: "challenger" as const,
    name: `${MODEL_NAME}-trees`,
  };
  return finished(made, data, options);
}

interface Made extends WinFit {
  readonly basis: Basis;
  readonly alias: Alias;
  readonly name: string;
}

/** Exports a fit, compares the file with the trainer on every held-out row, and judges it by its file. */
async function finished(made: Made, data: Data, options: TrainOptions): Promise<Trained> {
  const { basis, alias, name } = made;
  const { training, runs } = data;
  const model: WinModel = { ...made.model, homeRun: runs.home, awayRun: runs.away };
  checkPlausible(model);
  const exported = exportModel(model, FEATURE_SCHEMA_HASH, name);
  const heldOut = selected(data.heldOut, gamesWith(data.heldOut, FEATURE_NAMES, basis));
  const parity = await checkParity(exported, model, heldOut.values, heldOut.rows);
  const { outputs, maxDifference } = parity;
  options.progress(
    `${name}, ${basis}: ONNX and trainer differ by ${maxDifference.toExponential(1)} at most`,
  );
  const { covered } = coverageOf(
    heldOut,
    logits(model, heldOut.values, heldOut.rows),
    outputs.low ?? outputs.p,
    outputs.high ?? outputs.p,
  );
  const card = cardOf(exported, model.win, {
    name,
    schemaHash: FEATURE_SCHEMA_HASH,
    features: FEATURES,
    basis,
    training: {
      seasons: options.split.training.map(({ season }) => season),
      ...(options.split.validation && { validationSeason: options.split.validation.season }),
      games: training.games,
      rows: made.rows,
      dataSha256: training.sha256,
      seed: options.seed,
      ...(options.code ? { code: options.code } : {}),
      method: `${made.method}; fitted on one play in ${options.every}`,
    },
    evaluation: {
      season: options.split.heldOut.season,
      games: heldOut.games,
      rows: heldOut.rows,
      onnxMaxDifference: maxDifference,
      slices: evaluate(heldOut, outputs.p, scoreBaseline(data.baseline, heldOut)),
    },
    baseline: data.baseline,
    interval: { coverage: COVERAGE, meaning: INTERVAL_MEANING, measured: covered },
    run: runCard(heldOut, outputs.home_run ?? outputs.p, outputs.away_run ?? outputs.p),
    golden: await goldenOf(exported, model, heldOut),
    histograms: histogramsOf(FEATURE_NAMES, training.values, training.rows),
    predictionHistogram: probabilityHistogram(
      outputsOf(model, training.values, training.rows)["p"] ?? [],
    ),
    limits: LIMITS[basis],
  });
  return { exported, card, alias };
}

function runCard(data: Dataset, home: ArrayLike<number>, away: ArrayLike<number>): CardRun {
  const scores = {
    home: runScores(data, home, data.homeRun),
    away: runScores(data, away, data.awayRun),
  };
  return {
    definition: RUN_DEFINITION,
    baseRateHome: scores.home["baseRate"] ?? 0,
    baseRateAway: scores.away["baseRate"] ?? 0,
    ...scores,
  };
}

/** Plays spread over the held-out season, with what the file itself says of them. */
async function goldenOf(
  exported: ExportedModel,
  model: WinModel,
  data: Dataset,
): Promise<NonNullable<ModelCard["golden"]>> {
  const count = Math.min(GOLDEN_ROWS, data.rows);
  const { features } = data;
  const values = new Float32Array(count * features);
  for (let row = 0; row < count; row += 1) {
    const from = Math.floor((row * data.rows) / count) * features;
    values.set(data.values.subarray(from, from + features), row * features);
  }
  const { outputs } = await checkParity(exported, model, values, count);
  const vectors = Array.from({ length: count }, (_, row) =>
    Array.from(values.subarray(row * features, (row + 1) * features)),
  );
  return {
    vectors,
    outputs: Object.fromEntries(
      Object.entries({ ...outputs }).map(([name, column]) => [name, Array.from(column)]),
    ),
    tolerance: GOLDEN_TOLERANCE,
  };
}

const COMMON_LIMITS: readonly string[] = [
  "Fitted on NBA regular seasons since 2017-18; play-offs and other rules were only looked at, other leagues never.",
  "Knows who starts, not who is hurt during the game; fouls, time-outs and momentum add nothing measurable and do not count.",
  "Scoring runs are nearly unpredictable: the best alarm is little better than the base rate.",
  "Not for betting.",
];
const LIMITS: Readonly<Record<Basis, readonly string[]>> = {
  "no-odds": [
    ...COMMON_LIMITS,
    "Without ratings the home side gets the league's home win rate, and early probabilities say little.",
  ],
  odds: [...COMMON_LIMITS, "Needs the closing spread; without it the other champion answers."],
};

/** @throws SplitError when a file holds games of another season: rows would cross the split. */
async function* seasonGames(
  files: readonly SeasonFile[],
  { games: gamesOf, progress }: TrainOptions,
): AsyncIterable<TrainingGame> {
  for (const file of files) {
    const { path, season, startYear } = file;
    const startMs = performance.now();
    let games = 0;
    for await (const game of gamesOf(file)) {
      if (game.season !== startYear) {
        throw new SplitError(
          `${path} is named after ${season} but has game ${game.gameId} of ${seasonName(game.season)}`,
        );
      }
      games += 1;
      yield game;
    }
    if (games === 0) {
      throw new SplitError(
        `${path} has no finished game of ${season}: a season without results cannot be used`,
      );
    }
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    progress(`read ${season}: ${games} games in ${seconds} s (${path})`);
  }
}
