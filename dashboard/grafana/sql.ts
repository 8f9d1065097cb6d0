import { FEATURES } from "../../features/mod.ts";

/** Pieces of SQL that several boards and alerts share. */

/** Games that have ended, with 1 for a home win. */
export const RESULTS =
  "(SELECT game_id, toUInt8(home_score > away_score) AS won FROM courtside.game_results_current)";

export const MODEL = "p.model_version = '${model}'";

const LEFT_S = "(if(p.period > 4, 0, 4 - p.period) * 720 + p.clock_remaining_s)";
const SHARE = `(greatest(${LEFT_S}, 0.5) / 2880)`;
/** Score and time alone: the margin as a Brownian motion with 13.28 points a game and 2.5 points of home court (Stern 1994). */
const BASELINE = `(0.5 * (1 + erf(((toFloat64(p.home_score) - p.away_score + 2.5 * ${SHARE}) / (13.28 * sqrt(${SHARE}))) / sqrt(2))))`;

/** Ends in its WHERE; GROUP BY left, ORDER BY rank. */
export const BRIER_BY_TIME = `SELECT multiIf(p.period > 4, 'overtime', ${LEFT_S} <= 60, '0-1 min', ${LEFT_S} <= 180, '1-3 min',
  ${LEFT_S} <= 360, '3-6 min', ${LEFT_S} <= 720, '6-12 min', ${LEFT_S} <= 1440, '12-24 min', '24-48 min') AS left,
  avg(pow(p.home_win_prob - r.won, 2)) AS model, avg(pow(${BASELINE} - r.won, 2)) AS baseline,
  indexOf(['24-48 min','12-24 min','6-12 min','3-6 min','1-3 min','0-1 min','overtime'], left) AS rank
FROM courtside.predictions_current AS p INNER JOIN ${RESULTS} AS r ON r.game_id = p.game_id
WHERE ${MODEL}`;

/** Names of the model inputs in the order of `features.values`, as an array of SQL. */
export const FEATURE_NAMES = `[${FEATURES.map(({ name }) => `'${name}'`).join(", ")}]`;

/** The newest quarter of the games, by their last play; drift is told between these and all before. */
const RECENT_GAMES = `(SELECT game_id FROM (
  SELECT game_id, row_number() OVER (ORDER BY last DESC, game_id) AS place, count() OVER () AS games
  FROM (SELECT game_id, max(ingest_time) AS last FROM courtside.predictions GROUP BY game_id)
) WHERE place <= greatest(1, games / 4))`;

/** Every input with its mean before and now, in standard deviations: columns feature, before, now, shift. */
export const DRIFT = `SELECT feature, avgIf(value, NOT recent) AS before, avgIf(value, recent) AS now,
  if(stddevPop(value) < 1e-6, 0, (now - before) / stddevPop(value)) AS shift
FROM (
  SELECT game_id IN ${RECENT_GAMES} AS recent, pair.1 AS feature, pair.2 AS value
  FROM courtside.features_current ARRAY JOIN arrayZip(${FEATURE_NAMES}, values) AS pair
  WHERE length(values) = ${String(FEATURES.length)}
)
GROUP BY feature
HAVING countIf(recent) > 0 AND countIf(NOT recent) > 0`;
