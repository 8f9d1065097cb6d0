import type { Row } from "../../connectors/clickhouse-sink.ts";
import type { GameScores, ScoredPlay } from "../../proto/gen/courtside/v1/scorecard_pb.ts";
import { type DriftReference, kolmogorovSmirnov, stabilityIndex } from "./reference.ts";

export const SCORES_TABLE = "courtside.model_scores";
export const DRIFT_TABLE = "courtside.feature_drift";

/** Of home_win_prob: fine enough that AUC from them is exact to the third digit. */
const BINS = 100;
/** A model that is sure and wrong must not have an infinite loss. */
const MIN_PROB = 1e-6;
const QUARTERS = 4;

/** Slices by name; each play is in one of each kind. */
const SLICES: readonly (readonly [kind: string, of: (play: ScoredPlay) => string])[] = [
  ["all", () => "all"],
  ["time_left", ({ secondsRemaining, period }) => timeLeft(secondsRemaining, period)],
  ["margin", ({ margin }) => marginBand(Math.abs(margin))],
  ["period", ({ period }) => (period > QUARTERS ? "overtime" : `Q${String(period)}`)],
];

function timeLeft(secondsRemaining: number, period: number): string {
  if (period > QUARTERS) return "overtime";
  const bands = [2, 6, 12, 24, 36, 48];
  const to = bands.find((minutes) => secondsRemaining <= minutes * 60) ?? 48;
  const from = bands[bands.indexOf(to) - 1] ?? 0;
  return `${String(from)}-${String(to)} min`;
}

function marginBand(margin: number): string {
  if (margin <= 3) return "0-3";
  if (margin <= 7) return "4-7";
  return margin <= 14 ? "8-14" : "15+";
}

/** Rows of `model_scores` for a game that has ended. */
export function scoreRows(gameId: string, scores: GameScores, homeWon: boolean): Row[] {
  const rows: Row[] = [];
  for (const [index, model] of scores.models.entries())
    for (const [kind, sliceOf] of SLICES) {
      const bySlice = Map.groupBy(scores.plays, sliceOf);
      for (const [slice, plays] of bySlice) {
        const sums = sumsOf(plays, index, homeWon);
        if (sums.plays === 0) continue;
        rows.push({
          game_id: gameId,
          edition: scores.results,
          season: scores.season,
          game_date: scores.gameDate || "1970-01-01",
          model_name: model.modelName,
          model_version: model.modelVersion,
          role: model.role,
          slice_kind: kind,
          slice,
          home_won: homeWon,
          ...sums,
        });
      }
    }
  return rows;
}

interface Sums {
  plays: number;
  brier_sum: number;
  log_loss_sum: number;
  readonly bin_plays: number[];
  readonly bin_prob_sums: number[];
}

function sumsOf(plays: readonly ScoredPlay[], model: number, homeWon: boolean): Sums {
  const sums: Sums = {
    plays: 0,
    brier_sum: 0,
    log_loss_sum: 0,
    bin_plays: Array<number>(BINS).fill(0),
    bin_prob_sums: Array<number>(BINS).fill(0),
  };
  const outcome = Number(homeWon);
  for (const play of plays) {
    const at = play.modelIndexes.indexOf(model);
    const prob = play.homeWinProbs[at];
    if (prob === undefined) continue;
    const right = Math.max(MIN_PROB, Math.min(1 - MIN_PROB, homeWon ? prob : 1 - prob));
    const bin = Math.min(BINS - 1, Math.floor(prob * BINS));
    sums.plays += 1;
    sums.brier_sum += (prob - outcome) ** 2;
    sums.log_loss_sum -= Math.log(right);
    sums.bin_plays[bin] = (sums.bin_plays[bin] ?? 0) + 1;
    sums.bin_prob_sums[bin] = (sums.bin_prob_sums[bin] ?? 0) + prob;
  }
  return sums;
}

/** Rows of `feature_drift` for a game that has ended. */
export function driftRows(gameId: string, scores: GameScores, reference: DriftReference): Row[] {
  let from = 0;
  return reference.histograms.flatMap(({ feature, shares }) => {
    const counts = scores.featureCounts.slice(from, from + shares.length);
    from += shares.length;
    const plays = counts.reduce((sum, count) => sum + count, 0);
    if (plays === 0) return [];
    return {
      game_id: gameId,
      edition: scores.results,
      game_date: scores.gameDate || "1970-01-01",
      schema_hash: reference.schemaHash,
      feature,
      plays,
      bin_plays: counts,
      reference_shares: shares,
      psi: stabilityIndex(counts, shares),
      ks: kolmogorovSmirnov(counts, shares),
    };
  });
}
