import { type PublishedPredictor } from "../data/predictions.ts";
import { spreadWinProb } from "../features/mod.ts";
import { type CardSlice } from "../serving/model/card.ts";
import { type LoadedModel } from "../serving/model/registry.ts";
import { type Estimate, gameBootstrap } from "./bootstrap.ts";
import {
  type Comparison,
  comparison,
  pairedConstant,
  pairedInGame,
  pairedPregame,
} from "./compare.ts";
import { type Dataset } from "./dataset.ts";
import { evaluate, scoreBaseline } from "./evaluate.ts";
import { coverageOf } from "./interval.ts";
import { reliability, type ReliabilityBin } from "./metrics.ts";
import { runScores } from "./run-scores.ts";

/** All that one model is judged by on one data set. */
export interface Judgement {
  readonly version: string;
  readonly basis: string;
  readonly games: number;
  readonly rows: number;
  readonly slices: readonly CardSlice[];
  /** Of the whole, with 95 % intervals by the game bootstrap. */
  readonly brier: Estimate;
  readonly logLoss: Estimate;
  readonly comparisons: readonly Comparison[];
  readonly reliability: readonly ReliabilityBin[];
  readonly interval?: {
    readonly stated: number;
    readonly measured: number;
    readonly groups: number;
  };
  readonly runs?: { readonly home: Record<string, number>; readonly away: Record<string, number> };
}

const LOG_FLOOR = 1e-7;

/**
 * Scores a data set with a model file and compares it with the baseline of its card, with the odds before the game and
 * with whatever others published of the same games.
 */
export async function judge(
  { card, onnx }: LoadedModel,
  data: Dataset,
  predictors: readonly PublishedPredictor[],
): Promise<Judgement> {
  const outputs = await onnx.run(data.values.slice(), data.rows);
  const { p } = outputs;
  const { weights, bias } = card.baseline;
  const baseline = scoreBaseline({ weights: Float64Array.from(weights), bias }, data);
  const rows = Uint32Array.from({ length: data.rows }, (_, i) => i);
  const gameOf = (row: number): number => data.game[row] as number;
  const won = (row: number): number => data.homeWon[row] as number;
  const { low, high, home_run: homeRun, away_run: awayRun } = outputs;
  const covered =
    low === undefined || high === undefined
      ? undefined
      : coverageOf(data, Float64Array.from(p, logit), low, high);
  return {
    version: card.version,
    basis: card.basis ?? "no-odds",
    games: data.games,
    rows: data.rows,
    slices: evaluate(data, p, baseline),
    brier: gameBootstrap(rows, (i) => ((p[i] as number) - won(i)) ** 2, gameOf),
    logLoss: gameBootstrap(rows, (i) => logLossOf(p[i] as number, won(i)), gameOf),
    comparisons: comparisons(data, p, baseline, predictors, card),
    reliability: reliability(p, data.homeWon, data.game),
    ...(covered && {
      interval: {
        stated: card.interval?.coverage ?? Number.NaN,
        measured: covered.covered,
        groups: covered.groups,
      },
    }),
    ...(homeRun &&
      awayRun && {
        runs: {
          home: runScores(data, homeRun, data.homeRun),
          away: runScores(data, awayRun, data.awayRun),
        },
      }),
  };
}

function comparisons(
  data: Dataset,
  p: Float32Array,
  baseline: ArrayLike<number>,
  predictors: readonly PublishedPredictor[],
  { features }: LoadedModel["card"],
): Comparison[] {
  const at = (name: string): number => features.findIndex((feature) => feature.name === name);
  const [flag, spread] = [at("has_closing_spread"), at("closing_spread")];
  const firstRow = (game: number): number => (data.gameStarts[game] ?? 0) * data.features;
  const odds = (game: number): number | undefined =>
    data.values[firstRow(game) + flag] === 1
      ? spreadWinProb(data.values[firstRow(game) + spread] as number)
      : undefined;
  const tipOff = data.gameIds.flatMap((_, game) => {
    const theirs = odds(game);
    return theirs === undefined ? [] : [{ row: data.gameStarts[game] ?? 0, theirs }];
  });
  const everyRow = Array.from({ length: data.rows }, (_, row) => ({
    row,
    theirs: baseline[row] as number,
  }));
  const found = [
    comparison("logistic on score and time", data, p, everyRow),
    comparison("closing spread, unchanged through the game", data, p, pairedConstant(data, odds)),
    comparison("closing spread, at the first play", data, p, tipOff),
    ...predictors.flatMap((predictor) => [
      comparison(predictor.name, data, p, pairedInGame(data, predictor)),
      comparison(`${predictor.name}, at the first play`, data, p, pairedPregame(data, predictor)),
    ]),
  ];
  return found.filter((one) => one !== undefined);
}

function logLossOf(p: number, won: number): number {
  return -Math.log(Math.max(LOG_FLOOR, won === 1 ? p : 1 - p));
}

function logit(p: number): number {
  return Math.log(Math.max(LOG_FLOOR, p) / Math.max(LOG_FLOOR, 1 - p));
}
