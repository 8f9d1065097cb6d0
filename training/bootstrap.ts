import assert from "node:assert/strict";
import { seededRandom } from "../base/random.ts";

/** A mean over plays with the interval that resampling whole games gives. */
export interface Estimate {
  readonly value: number;
  /** 2.5 % and 97.5 % points. */
  readonly low: number;
  readonly high: number;
}

/** Resamplings: the ends of an interval are then good to a twentieth of its width. */
const RESAMPLES = 2_000;
const TAIL = 0.025;

/**
 * Mean of a per-row number with its 95 % interval by the game bootstrap: rows of a game depend on each other, so games
 * are drawn, never rows. Give differences of two losses to compare two predictors on the same plays.
 * @param valueOf - by row of `rows`.
 * @param gameOf - number of the row's game, from 0.
 */
export function gameBootstrap(
  rows: ArrayLike<number>,
  valueOf: (row: number) => number,
  gameOf: (row: number) => number,
  seed = 1,
): Estimate {
  assert(rows.length > 0, "an estimate needs rows");
  const sums = new Map<number, { sum: number; rows: number }>();
  for (let k = 0; k < rows.length; k += 1) {
    const row = rows[k] as number;
    const game = gameOf(row);
    const known = sums.get(game);
    if (known === undefined) sums.set(game, { sum: valueOf(row), rows: 1 });
    else {
      known.sum += valueOf(row);
      known.rows += 1;
    }
  }
  const games = [...sums.values()];
  const total = games.reduce((sum, game) => sum + game.sum, 0);
  const random = seededRandom(seed);
  const means = new Float64Array(RESAMPLES);
  for (let i = 0; i < RESAMPLES; i += 1) {
    let [sum, count] = [0, 0];
    for (let k = 0; k < games.length; k += 1) {
      const game = games[random.int(games.length)] as { sum: number; rows: number };
      sum += game.sum;
      count += game.rows;
    }
    means[i] = sum / count;
  }
  means.sort();
  const at = (share: number): number => means[Math.round(share * (RESAMPLES - 1))] as number;
  return { value: total / rows.length, low: at(TAIL), high: at(1 - TAIL) };
}

/** For example `0.1417 [0.1345, 0.1490]`. */
export function estimateText({ value, low, high }: Estimate, digits = 4): string {
  return `${value.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
}
