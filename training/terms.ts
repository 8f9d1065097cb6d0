import assert from "node:assert/strict";
import { type Dataset } from "./dataset.ts";
import { type Design } from "./fit.ts";
import { type LogisticModel } from "./onnx/graph.ts";

/** Inputs that say what the score is worth, without any knowledge of the teams. */
const SCORE_TERMS: readonly string[] = [
  "margin_per_sqrt_second",
  "margin_per_second",
  "margin_by_share_left",
  "possession_per_sqrt_second",
];

/**
 * Inputs of the model without odds. All change their sign with the sides, and there is no constant: home court
 * counts through the probability before tip-off alone.
 */
export const WIN_TERMS: readonly string[] = [
  ...SCORE_TERMS,
  "pregame_logit_by_sqrt_share_left",
  "pregame_logit_by_share_left",
];

/** Inputs of the model with odds: the closing spread, and our own ratings for the little that they add to it. */
export const ODDS_TERMS: readonly string[] = [
  ...SCORE_TERMS,
  "closing_spread_by_sqrt_share_left",
  "closing_spread_by_share_left",
  "pregame_logit_by_sqrt_share_left",
];

/** Inputs of the scoring-run model that change their sign with the sides, and those that do not. */
export const RUN_ODD_TERMS: readonly string[] = [
  "margin",
  "possession",
  "pregame_logit",
  "current_run",
  "points_diff_last_5_min",
  "effective_fg_diff_last_10_min",
  "turnovers_diff_last_10_min",
  "efficiency_diff",
  "team_fouls_diff",
  "bonus_diff",
  "timeouts_diff",
];
export const RUN_EVEN_TERMS: readonly string[] = ["next_3_min_share_left", "pace_last_10_min"];

/**
 * The rows of a fit of the winner. A decided game is left out: its margin is put far out on purpose, and it has
 * nothing to teach.
 * @param terms - names of features, each in `names`.
 * @param fits - which games count; all when absent.
 */
export function designOf(
  data: Dataset,
  names: readonly string[],
  terms: readonly string[],
  fits: (game: number) => boolean = () => true,
): Design {
  const picked = indicesOf(names, terms);
  const rows = rowsWhere(data, (i) => !isDecided(data, i) && fits(data.game[i] as number));
  const columns = terms.length;
  const values = new Float32Array(rows.length * columns);
  for (const [row, i] of rows.entries()) {
    const from = i * data.features;
    for (const [j, k] of picked.entries()) {
      values[row * columns + j] = data.values[from + k] as number;
    }
  }
  const outcomes = Uint8Array.from(rows, (i) => data.homeWon[i] as number);
  return { columns, rows: rows.length, values, outcomes, intercept: false };
}

/**
 * The rows of a fit of scoring runs: every play once for the home side and once, seen from the other side, for
 * the away side, so that one model serves both.
 */
export function runDesignOf(data: Dataset, names: readonly string[]): Design {
  const odd = indicesOf(names, RUN_ODD_TERMS);
  const even = indicesOf(names, RUN_EVEN_TERMS);
  const rows = rowsWhere(data, (i) => !isDecided(data, i));
  const columns = odd.length + even.length;
  const values = new Float32Array(rows.length * 2 * columns);
  const outcomes = new Uint8Array(rows.length * 2);
  let at = 0;
  for (const [row, i] of rows.entries()) {
    const from = i * data.features;
    for (const sign of [1, -1]) {
      for (const k of odd) values[at++] = sign * (data.values[from + k] as number);
      for (const k of even) values[at++] = data.values[from + k] as number;
    }
    outcomes[row * 2] = data.homeRun[i] as number;
    outcomes[row * 2 + 1] = data.awayRun[i] as number;
  }
  return { columns, rows: rows.length * 2, values, outcomes };
}

/** The run models of both sides over the whole schema. */
export function runModels(
  { weights, bias }: LogisticModel,
  names: readonly string[],
): { readonly home: LogisticModel; readonly away: LogisticModel } {
  const terms = [...RUN_ODD_TERMS, ...RUN_EVEN_TERMS];
  const turned = weights.map((weight, j) => (j < RUN_ODD_TERMS.length ? -weight : weight));
  return {
    home: overSchema({ weights, bias }, names, terms),
    away: overSchema({ weights: turned, bias }, names, terms),
  };
}

/** Gives every feature of the schema a weight: 0 where it is no term of the model. */
export function overSchema(
  { weights, bias }: LogisticModel,
  names: readonly string[],
  terms: readonly string[],
): LogisticModel {
  return { bias, weights: Float64Array.from(names, (name) => weights[terms.indexOf(name)] ?? 0) };
}

function indicesOf(names: readonly string[], terms: readonly string[]): number[] {
  const picked = terms.map((term) => names.indexOf(term));
  assert(!picked.includes(-1), "every term must be a feature of the schema");
  return picked;
}

function rowsWhere(data: Dataset, fits: (i: number) => boolean): Uint32Array {
  const rows = new Uint32Array(data.rows);
  let count = 0;
  for (let i = 0; i < data.rows; i += 1) if (fits(i)) rows[count++] = i;
  return rows.subarray(0, count);
}

const LAST_REGULATION_PERIOD = 4;

/** Over, or no time left and somebody leads. */
export function isDecided(data: Dataset, i: number): boolean {
  if (data.gameOver[i] === 1) return true;
  const lastPeriod = (data.period[i] ?? 0) >= LAST_REGULATION_PERIOD;
  return lastPeriod && data.clockRemainingS[i] === 0 && data.margin[i] !== 0;
}
