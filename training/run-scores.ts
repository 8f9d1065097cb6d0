import { type Dataset } from "./dataset.ts";
import { scoresOf } from "./metrics.ts";
import { isDecided } from "./terms.ts";

/** Shares of plays on which an alarm would be raised. */
export const ALARM_RATES: readonly number[] = [0.01, 0.05, 0.1];

/**
 * How good the probabilities of a scoring run are: Brier score next to that of the base rate alone, area under the
 * curve, and precision, recall and lift when the likeliest plays raise an alarm.
 * @param outcomes - 1 when the run came.
 */
export function runScores(
  data: Dataset,
  probabilities: ArrayLike<number>,
  outcomes: Uint8Array,
): Record<string, number> {
  const open: number[] = [];
  for (let i = 0; i < data.rows; i += 1) if (!isDecided(data, i)) open.push(i);
  const rows = Uint32Array.from(open);
  const came = rows.reduce((sum, i) => sum + (outcomes[i] as number), 0);
  const baseRate = came / rows.length;
  const { brier, logLoss, auc, ece20 } = scoresOf(probabilities, outcomes, rows);
  const scores: Record<string, number> = {
    rows: rows.length,
    baseRate,
    brier,
    brierOfBaseRate: baseRate * (1 - baseRate),
    logLoss,
    ece20,
  };
  if (Number.isFinite(auc)) scores["auc"] = auc;
  const sorted = rows.toSorted(
    (a, b) => (probabilities[b] as number) - (probabilities[a] as number),
  );
  for (const rate of ALARM_RATES) {
    const alarms = sorted.subarray(0, Math.max(1, Math.round(rate * sorted.length)));
    const right = alarms.reduce((sum, i) => sum + (outcomes[i] as number), 0);
    const percent = Math.round(rate * 100);
    scores[`precisionAt${percent}`] = right / alarms.length;
    scores[`recallAt${percent}`] = came === 0 ? 0 : right / came;
    scores[`liftAt${percent}`] = came === 0 ? 0 : right / alarms.length / baseRate;
  }
  return scores;
}
