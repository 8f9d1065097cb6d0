import { type SourceGame } from "../data/source.ts";
import { FEATURE_SCHEMA_HASH, FEATURES } from "../features/mod.ts";
import { type ModelCard } from "../serving/model/card.ts";
import { checkPlausible } from "./checks.ts";
import { collect, type TrainingGame } from "./dataset.ts";
import { evaluate, fitBaseline, scoreBaseline } from "./evaluate.ts";
import { cardOf, checkParity, exportLogistic, publish } from "./export.ts";
import { fitLogistic } from "./fit.ts";
import { trainingGames } from "./games.ts";
import { seasonName, SplitError, type SeasonFile, type Split } from "./split.ts";
import { CHAMPION_TERMS, designOf, overSchema } from "./terms.ts";

export interface TrainOptions {
  readonly split: Split;
  /** Opens a season's file. */
  readonly open: (path: string) => AsyncIterable<SourceGame>;
  /** Folder of the models. */
  readonly out: string;
  /** Every n-th play of a game is fitted on. */
  readonly every: number;
  /** Decides which plays those are. */
  readonly seed: number;
  /** Told what is done, a line at a time. */
  readonly progress: (line: string) => void;
}

/** Names in the order of the vector. */
const FEATURE_NAMES = FEATURES.map(({ name }) => name);

/**
 * Fits the champion on the training seasons, judges it on the held-out one through its ONNX file, and publishes
 * it. Nothing is written unless the file computes what the trainer computed and the model is plausible.
 * @returns the card of the new champion.
 * @throws SplitError, EmptyDatasetError, FitError, ParityError, ImplausibleModelError
 */
export async function train(options: TrainOptions): Promise<ModelCard> {
  const { split, out, every, seed, progress } = options;
  const training = await collect(seasonGames(split.training, options), {
    features: FEATURES.length,
    every,
    seed,
  });
  progress(
    `fitting ${CHAMPION_TERMS.length} terms on ${training.rows} rows of ${training.games} games`,
  );
  const design = designOf(training, FEATURE_NAMES, CHAMPION_TERMS);
  const model = overSchema(fitLogistic(design), FEATURE_NAMES, CHAMPION_TERMS);
  checkPlausible(model);
  const baseline = fitBaseline(training);

  const heldOut = await collect(seasonGames([split.heldOut], options), {
    features: FEATURES.length,
  });
  const exported = exportLogistic(model, FEATURE_SCHEMA_HASH);
  const { scores, maxDifference } = await checkParity(
    exported,
    model,
    heldOut.values,
    heldOut.rows,
  );
  progress(`ONNX and trainer differ by ${maxDifference.toExponential(1)} at most`);

  const card = cardOf(exported, model, {
    schemaHash: FEATURE_SCHEMA_HASH,
    features: FEATURES,
    training: {
      seasons: split.training.map(({ season }) => season),
      games: training.games,
      rows: design.rows,
      dataSha256: training.sha256,
      seed,
      method: `logistic regression by Newton's method on one play in ${every}, decided games left out`,
    },
    evaluation: {
      season: split.heldOut.season,
      games: heldOut.games,
      rows: heldOut.rows,
      onnxMaxDifference: maxDifference,
      slices: evaluate(heldOut, scores, scoreBaseline(baseline, heldOut)),
    },
    baseline,
    limits: LIMITS,
  });
  await publish(out, exported, card);
  return card;
}

const LIMITS: readonly string[] = [
  "Fitted on NBA regular seasons; play-offs, other leagues and other rules were not looked at.",
  "Knows the teams by their pre-game rating only: injuries, rest and line-ups do not count.",
  "Without ratings the home side gets the league's home win rate, and early probabilities say little.",
  "Not for betting: closing odds are better informed.",
];

/** @throws SplitError when a file holds games of another season: rows would cross the split. */
async function* seasonGames(
  files: readonly SeasonFile[],
  { open, progress }: TrainOptions,
): AsyncIterable<TrainingGame> {
  for (const { path, season, startYear } of files) {
    const startMs = performance.now();
    let games = 0;
    for await (const game of trainingGames(open(path))) {
      if (game.season !== startYear) {
        throw new SplitError(
          `${path} is named after ${season} but has game ${game.gameId} of ${seasonName(game.season)}`,
        );
      }
      games += 1;
      yield game;
    }
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    progress(`read ${season}: ${games} games in ${seconds} s (${path})`);
  }
}
