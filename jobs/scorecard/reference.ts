/** How the inputs of a model were spread over the data that it was fitted on. */
export interface DriftReference {
  readonly schemaHash: string;
  readonly histograms: readonly ReferenceHistogram[];
}

export interface ReferenceHistogram {
  readonly feature: string;
  /** Index in the vector. */
  readonly index: number;
  /** Ascending; values below the first, between two, and from the last up have a bin each. */
  readonly edges: readonly number[];
  /** One more than edges; sum 1. */
  readonly shares: readonly number[];
}

/** Bin of a value: the number of edges that it has reached. */
export function binOf(value: number, edges: readonly number[]): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((edges[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A bin that is empty on one side would make the index infinite; one play in ten thousand is as good as none. */
const MIN_SHARE = 1e-4;

/**
 * Population stability index, Σ (q − p) ln(q / p): under 0.1 nothing has changed, over 0.25 a lot has.
 * @see Siddiqi, Credit Risk Scorecards, 2006.
 */
export function stabilityIndex(counts: readonly number[], shares: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return 0;
  return counts.reduce((sum, count, i) => {
    const q = Math.max(count / total, MIN_SHARE);
    const p = Math.max(shares[i] ?? 0, MIN_SHARE);
    return sum + (q - p) * Math.log(q / p);
  }, 0);
}

/** Kolmogorov-Smirnov distance over the bins: the largest difference of the cumulative shares, 0..1. */
export function kolmogorovSmirnov(counts: readonly number[], shares: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return 0;
  let [q, p, largest] = [0, 0, 0];
  for (const [i, count] of counts.entries()) {
    q += count / total;
    p += shares[i] ?? 0;
    largest = Math.max(largest, Math.abs(q - p));
  }
  return largest;
}
