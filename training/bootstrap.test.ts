import { expect, test } from "vitest";
import { seededRandom } from "../base/random.ts";
import { gameBootstrap } from "./bootstrap.ts";

/** Rows of `games` games; all rows of a game share their value. */
function alikeRows(games: number, rowsAGame: number, seed: number) {
  const random = seededRandom(seed);
  const values = Array.from({ length: games }, () => random.normal(1, 1));
  const rows = Array.from({ length: games * rowsAGame }, (_, i) => i);
  const gameOf = (row: number): number => Math.floor(row / rowsAGame);
  return { rows, gameOf, valueOf: (row: number): number => values[gameOf(row)] as number };
}

test("rows of one game count once: more of them do not narrow the interval", () => {
  const few = alikeRows(100, 1, 3);
  const many = alikeRows(100, 50, 3);
  const narrow = gameBootstrap(few.rows, few.valueOf, few.gameOf);
  const wide = gameBootstrap(many.rows, many.valueOf, many.gameOf);
  expect(wide.value).toBeCloseTo(narrow.value, 9);
  expect(wide.high - wide.low).toBeCloseTo(narrow.high - narrow.low, 9);
  // A mean of 100 numbers of deviation 1: about 2 x 1.96 x 0.1 wide.
  expect(wide.high - wide.low).toBeGreaterThan(0.3);
  expect(wide.high - wide.low).toBeLessThan(0.5);
});

test("nineteen of twenty intervals hold the truth", () => {
  let held = 0;
  for (let seed = 0; seed < 40; seed += 1) {
    const { rows, valueOf, gameOf } = alikeRows(60, 1, seed);
    const { low, high } = gameBootstrap(rows, valueOf, gameOf, seed);
    if (low <= 1 && high >= 1) held += 1;
  }
  expect(held).toBeGreaterThanOrEqual(34);
});
