import { type StoreReader } from "../store.ts";
import {
  type AlarmRow,
  type DriftRow,
  type ModelEntry,
  type ModelView,
  type ScoreRow,
  type TimeBucket,
  type VersionUse,
  type VersusRow,
} from "../wire-views.ts";

const WON = "(SELECT game_id, home_score > away_score AS won FROM courtside.game_results)";
const LEFT_S = "if(p.period > 4, 0, 4 - p.period) * 720 + p.clock_remaining_s";
/** Score and time alone, as `brownianWinProb` of story.ts has it. */
const SHARE = `(greatest(${LEFT_S}, 0.5) / 2880)`;
const BASELINE = `(0.5 * (1 + erf(((toFloat64(p.home_score) - p.away_score + 2.5 * ${SHARE}) / (13.28 * sqrt(${SHARE}))) / sqrt(2))))`;

const BUCKETS = `multiIf(p.period > 4, 'overtime', ${LEFT_S} <= 60, '0-1 min', ${LEFT_S} <= 180, '1-3 min', ${LEFT_S} <= 360, '3-6 min',
  ${LEFT_S} <= 720, '6-12 min', ${LEFT_S} <= 1440, '12-24 min', '24-48 min')`;

const BY_TIME = `
SELECT p.model_version AS version, ${BUCKETS} AS left,
  indexOf(['24-48 min','12-24 min','6-12 min','3-6 min','1-3 min','0-1 min','overtime'], left) AS rank,
  count() AS plays, avg(pow(p.home_win_prob - r.won, 2)) AS brier, avg(pow(${BASELINE} - r.won, 2)) AS baseline
FROM courtside.predictions_current AS p INNER JOIN ${WON} AS r ON r.game_id = p.game_id
GROUP BY version, left ORDER BY version, rank`;

const RELIABILITY = `
SELECT p.model_version AS version, least(19, floor(p.home_win_prob * 20)) / 20 AS from, count() AS plays,
  avg(p.home_win_prob) AS predicted, avg(r.won) AS observed
FROM courtside.predictions_current AS p INNER JOIN ${WON} AS r ON r.game_id = p.game_id
GROUP BY version, from ORDER BY version, from`;

const VERSIONS = `
SELECT p.model_version AS version, any(p.model_name) AS name, count() AS plays, uniqExact(p.game_id) AS games,
  toString(min(p.predicted_at)) AS first, toString(max(p.predicted_at)) AS last,
  if(countIf(r.game_id != '') = 0, NULL, avgIf(pow(p.home_win_prob - r.won, 2), r.game_id != '')) AS brier
FROM courtside.predictions_current AS p LEFT JOIN ${WON} AS r ON r.game_id = p.game_id
GROUP BY version ORDER BY plays DESC LIMIT 16`;

/** How the models do on the games that have ended, by version. */
export async function modelView(
  store: StoreReader,
  models: readonly ModelEntry[],
): Promise<ModelView> {
  const [byTime, reliability, versions, drift, scores, versus, alarms] = await Promise.all([
    store.rows<TimeBucket>(BY_TIME),
    store.rows<ModelView["reliability"][number]>(RELIABILITY),
    store.rows<VersionUse>(VERSIONS),
    store.rows<DriftRow>(DRIFT),
    store.rows<ScoreRow>(SCORES),
    store.rows<VersusRow>(VERSUS),
    store.rows<AlarmRow>(ALARMS),
  ]);
  return { models, versions, byTime, reliability, drift, scores, versus, alarms };
}

/** Newest week first; within it the inputs that moved most, each with the games that had most part in it. */
const DRIFT = `SELECT toString(window_start) AS week, feature, games, psi, ks, game_ids AS gameIds
FROM courtside.feature_drift_windows ORDER BY window_start DESC, psi DESC LIMIT 100`;
const SCORES = `SELECT model_version AS version, role, slice_kind AS kind, slice, games, predictions, brier, log_loss AS logLoss,
  if(isNaN(auc), NULL, auc) AS auc, calibration_error AS calibrationError
FROM courtside.model_quality ORDER BY version, role, kind, slice LIMIT 500`;
const VERSUS = `SELECT challenger, champion, role, games, brier_difference AS brierDifference, z
FROM courtside.model_versus ORDER BY z LIMIT 50`;
const ALARMS = `SELECT alarm, subject, toString(window_start) AS week, value, threshold, game_ids AS gameIds
FROM courtside.model_alarms ORDER BY inserted_at DESC LIMIT 50`;
