import assert from "node:assert/strict";
import { type Dataset } from "./dataset.ts";
import { type Design } from "./fit.ts";
import { type LogisticModel } from "./onnx/graph.ts";

/**
 * Inputs of the champion, chosen out of season: fitted on 2016-17 to 2021-22 and judged on 2022-23 (Brier
 * 0.1627). There no other feature that was added alone won more than 0.00001, and all together lost 0.0001.
 */
export const CHAMPION_TERMS: readonly string[] = [
  "margin_per_sqrt_second",
  "margin_per_second",
  "margin_by_share_left",
  "sqrt_share_left",
  "possession_per_sqrt_second",
  "pregame_logit_by_sqrt_share_left",
];

/**
 * The rows of a fit. A decided game is left out: its margin is put far out on purpose, and it has nothing
 * to teach.
 * @param terms - names of features, each in `names`.
 */
export function designOf(
  data: Dataset,
  names: readonly string[],
  terms: readonly string[],
): Design {
  const picked = terms.map((term) => names.indexOf(term));
  assert(!picked.includes(-1), "every term must be a feature of the schema");
  const undecided = Array.from({ length: data.rows }, (_, i) => i).filter(
    (i) => !isDecided(data, i),
  );
  const columns = terms.length;
  const values = new Float32Array(undecided.length * columns);
  for (const [row, i] of undecided.entries()) {
    const from = i * data.features;
    for (const [j, k] of picked.entries()) {
      values[row * columns + j] = data.values[from + k] as number;
    }
  }
  const outcomes = Uint8Array.from(undecided, (i) => data.homeWon[i] as number);
  return { columns, rows: undecided.length, values, outcomes };
}

/** Gives every feature of the schema a weight: 0 where it is no term of the model. */
export function overSchema(
  { weights, bias }: LogisticModel,
  names: readonly string[],
  terms: readonly string[],
): LogisticModel {
  return { bias, weights: Float64Array.from(names, (name) => weights[terms.indexOf(name)] ?? 0) };
}

const LAST_REGULATION_PERIOD = 4;

/** Over, or no time left and somebody leads. */
function isDecided(data: Dataset, i: number): boolean {
  if (data.gameOver[i] === 1) return true;
  const lastPeriod = (data.period[i] ?? 0) >= LAST_REGULATION_PERIOD;
  return lastPeriod && data.clockRemainingS[i] === 0 && data.margin[i] !== 0;
}
