import { type CardHistogram } from "../serving/model/card.ts";

/** Bins of a reference histogram: deciles. */
const BINS = 10;
/** Rows that the edges are taken from; a decile of them is good to a thousandth. */
const SAMPLE_ROWS = 100_000;

/**
 * Shares of rows in bins of about equal shares, per column. Values that repeat make fewer edges: a flag has one.
 * @param values - row after row.
 */
export function histogramsOf(
  names: readonly string[],
  values: Float32Array,
  rows: number,
): CardHistogram[] {
  const columns = names.length;
  return names.map((feature, j) => ({
    feature,
    ...histogram(rows, (i) => values[i * columns + j] as number),
  }));
}

/** Twenty equal bins of probabilities. */
export function probabilityHistogram(
  probabilities: ArrayLike<number>,
): Omit<CardHistogram, "feature"> {
  const edges = Array.from({ length: 19 }, (_, i) => (i + 1) / 20);
  return { edges, shares: shares(probabilities.length, (i) => probabilities[i] as number, edges) };
}

function histogram(rows: number, valueOf: (row: number) => number): Omit<CardHistogram, "feature"> {
  const step = Math.max(1, Math.floor(rows / SAMPLE_ROWS));
  const sample = Float32Array.from({ length: Math.ceil(rows / step) }, (_, i) =>
    valueOf(i * step),
  ).sort();
  const edges: number[] = [];
  for (let bin = 1; bin < BINS; bin += 1) {
    const edge = sample[Math.floor((bin * sample.length) / BINS)] as number;
    if (edge > (sample[0] as number) && edge !== edges.at(-1)) edges.push(edge);
  }
  return { edges, shares: shares(rows, valueOf, edges) };
}

function shares(
  rows: number,
  valueOf: (row: number) => number,
  edges: readonly number[],
): number[] {
  const counts = new Float64Array(edges.length + 1);
  for (let i = 0; i < rows; i += 1) {
    const value = valueOf(i);
    let bin = 0;
    while (bin < edges.length && value >= (edges[bin] as number)) bin += 1;
    counts[bin] = (counts[bin] as number) + 1;
  }
  return Array.from(counts, (count) => Number((count / Math.max(1, rows)).toFixed(6)));
}
