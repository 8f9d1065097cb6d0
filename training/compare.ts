import { gameKey, type InGamePoint, type PublishedPredictor } from "../data/predictions.ts";
import { type Estimate, gameBootstrap } from "./bootstrap.ts";
import { type Dataset } from "./dataset.ts";
import { secondsLeft } from "./evaluate.ts";

/** A prediction next to another one on the same plays. Brier scores, with the 95 % interval of the game bootstrap. */
export interface Comparison {
  readonly other: string;
  readonly rows: number;
  readonly games: number;
  readonly ours: number;
  readonly theirs: number;
  /** Ours minus theirs; below 0 is better. */
  readonly difference: Estimate;
}

/** One row of both predictions. */
interface Pair {
  readonly row: number;
  readonly theirs: number;
}

/** @param pairs - rows of `data` with the other's probability of a home win. */
export function comparison(
  other: string,
  data: Dataset,
  ours: ArrayLike<number>,
  pairs: readonly Pair[],
): Comparison | undefined {
  if (pairs.length === 0) return undefined;
  const loss = (p: number, row: number): number => (p - (data.homeWon[row] as number)) ** 2;
  const own = pairs.map(({ row }) => loss(ours[row] as number, row));
  const their = pairs.map(({ row, theirs }) => loss(theirs, row));
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const games = new Set(pairs.map(({ row }) => data.game[row] as number));
  return {
    other,
    rows: pairs.length,
    games: games.size,
    ours: mean(own),
    theirs: mean(their),
    difference: gameBootstrap(
      pairs.map((_, k) => k),
      (k) => (own[k] as number) - (their[k] as number),
      (k) => data.game[pairs[k]?.row ?? 0] as number,
    ),
  };
}

/** The same play in both: time, overtime and margin agree; the last such row of the game counts. */
export function pairedInGame(data: Dataset, predictor: PublishedPredictor): Pair[] {
  const pairs: Pair[] = [];
  for (const [game, { gameId, date, home, away }] of data.gameNames.entries()) {
    const points =
      predictor.inGame.get(gameId) ?? predictor.inGame.get(gameKey(date, home, away)) ?? [];
    if (points.length === 0) continue;
    const rows = rowsByMoment(data, game);
    for (const point of points) {
      const row = rows.get(momentOf(point));
      if (row !== undefined) pairs.push({ row, theirs: point.homeWinProb });
    }
  }
  return pairs;
}

/** The first play of each game that the other predicted before tip-off. */
export function pairedPregame(data: Dataset, predictor: PublishedPredictor): Pair[] {
  const pairs: Pair[] = [];
  for (const [game, { date, home, away }] of data.gameNames.entries()) {
    const theirs = predictor.pregame.get(gameKey(date, home, away));
    if (theirs !== undefined) pairs.push({ row: data.gameStarts[game] ?? 0, theirs });
  }
  return pairs;
}

/** Every play against a probability that stays as it was before the game. */
export function pairedConstant(
  data: Dataset,
  probabilityOf: (game: number) => number | undefined,
): Pair[] {
  const pairs: Pair[] = [];
  for (let row = 0; row < data.rows; row += 1) {
    const theirs = probabilityOf(data.game[row] as number);
    if (theirs !== undefined) pairs.push({ row, theirs });
  }
  return pairs;
}

function rowsByMoment(data: Dataset, game: number): Map<string, number> {
  const rows = new Map<string, number>();
  const end = data.gameStarts[game + 1] ?? data.rows;
  for (let row = data.gameStarts[game] ?? 0; row < end; row += 1) {
    const period = data.period[row] as number;
    const leftS = secondsLeft(period, data.clockRemainingS[row] as number);
    rows.set(momentOf({ leftS, overtime: period > 4, margin: data.margin[row] as number }), row);
  }
  return rows;
}

/** Clocks of other sources are rounded to a second. */
function momentOf({ leftS, overtime, margin }: Omit<InGamePoint, "homeWinProb">): string {
  return `${Math.round(leftS)} ${String(overtime)} ${margin}`;
}
