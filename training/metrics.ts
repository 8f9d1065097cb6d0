import assert from "node:assert/strict";

/** How good probabilities are; `rows` of them were judged. */
export interface Scores {
  /** Mean squared error, 0 best. */
  readonly brier: number;
  /** Mean negative log-likelihood in nats, 0 best. */
  readonly logLoss: number;
  /** Chance that a row of a home win has the higher probability than one of a home loss; NaN with one outcome. */
  readonly auc: number;
  /** Share of rows whose likelier side won. */
  readonly accuracy: number;
  /** Mean distance between probability and frequency over 20 equally wide bins, weighted by rows. */
  readonly ece20: number;
}

/** Probabilities are held this far from 0 and 1 in the logarithm only, so that one wrong row is not infinite. */
const LOG_FLOOR = 1e-7;
const ECE_BINS = 20;

/**
 * @param indices - the rows to judge; not empty.
 * @param weightOf - how much a row counts, 1 when absent; the area under the curve stays that of rows.
 */
export function scoresOf(
  probabilities: ArrayLike<number>,
  outcomes: ArrayLike<number>,
  indices: Uint32Array,
  weightOf: (row: number) => number = () => 1,
): Scores {
  assert(indices.length > 0, "scores need rows");
  let rows = 0;
  let squared = 0;
  let logLoss = 0;
  let right = 0;
  const binGap = new Float64Array(ECE_BINS);
  for (const i of indices) {
    const p = probabilities[i] as number;
    const y = outcomes[i] as number;
    const weight = weightOf(i);
    rows += weight;
    squared += weight * (p - y) ** 2;
    logLoss -= weight * Math.log(Math.max(LOG_FLOOR, y === 1 ? p : 1 - p));
    if (p > 0.5 === (y === 1)) right += weight;
    const bin = Math.min(ECE_BINS - 1, Math.floor(p * ECE_BINS));
    binGap[bin] = (binGap[bin] as number) + weight * (p - y);
  }
  const gaps = binGap.reduce((sum, gap) => sum + Math.abs(gap), 0);
  return {
    brier: squared / rows,
    logLoss: logLoss / rows,
    auc: areaUnderCurve(probabilities, outcomes, indices),
    accuracy: right / rows,
    ece20: gaps / rows,
  };
}

/** Predicted and observed in one of 20 equally wide bins of probability. */
export interface ReliabilityBin {
  readonly low: number;
  readonly high: number;
  readonly rows: number;
  /** Games that have a play in the bin: what the observed share rests on. */
  readonly games: number;
  readonly predicted: number;
  readonly observed: number;
}

/** Bins without rows are left out. */
export function reliability(
  probabilities: ArrayLike<number>,
  outcomes: ArrayLike<number>,
  games: ArrayLike<number>,
): ReliabilityBin[] {
  const bins = Array.from({ length: ECE_BINS }, () => ({
    rows: 0,
    sum: 0,
    won: 0,
    games: new Set<number>(),
  }));
  for (let i = 0; i < probabilities.length; i += 1) {
    const p = probabilities[i] as number;
    const bin = bins[Math.min(ECE_BINS - 1, Math.floor(p * ECE_BINS))];
    if (bin === undefined) continue;
    bin.rows += 1;
    bin.sum += p;
    bin.won += outcomes[i] as number;
    bin.games.add(games[i] as number);
  }
  return bins.flatMap(({ rows, sum, won, games: seen }, i) =>
    rows === 0
      ? []
      : {
          low: i / ECE_BINS,
          high: (i + 1) / ECE_BINS,
          rows,
          games: seen.size,
          predicted: sum / rows,
          observed: won / rows,
        },
  );
}

/** By ranks; ties count half. */
function areaUnderCurve(
  probabilities: ArrayLike<number>,
  outcomes: ArrayLike<number>,
  indices: Uint32Array,
): number {
  const won = indices.filter((i) => outcomes[i] === 1);
  const lost = indices.filter((i) => outcomes[i] !== 1);
  const winners = Float64Array.from(won, (i) => probabilities[i] as number).sort();
  const losers = Float64Array.from(lost, (i) => probabilities[i] as number).sort();
  let below = 0;
  let notAbove = 0;
  let pairs = 0;
  for (const p of winners) {
    while (below < losers.length && (losers[below] as number) < p) below += 1;
    notAbove = Math.max(notAbove, below);
    while (notAbove < losers.length && (losers[notAbove] as number) <= p) notAbove += 1;
    pairs += (below + notAbove) / 2;
  }
  return pairs / (winners.length * losers.length);
}
