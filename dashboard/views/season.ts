import { type StoreReader } from "../store.ts";
import { type CalibrationBin, type SeasonGame, type SeasonView } from "../wire-views.ts";

/** More games than a season has; the view says when there are more. */
const MAX_GAMES = 1_500;

/** Model that made the most predictions: versions that only shadow it must not count twice. */
export const MAIN_MODEL = `(SELECT (model_name, model_version) FROM courtside.predictions
  GROUP BY model_name, model_version ORDER BY count() DESC LIMIT 1)`;

const GAMES = `
WITH curve AS (
  SELECT game_id, home_win_prob AS p,
    abs(p - lagInFrame(p, 1, p) OVER (PARTITION BY game_id ORDER BY play_number
      ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS change
  FROM courtside.predictions_current WHERE (model_name, model_version) = ${MAIN_MODEL}
)
SELECT r.game_id AS id, toString(any(g.game_date)) AS date, any(g.home_team) AS home, any(g.away_team) AS away,
  any(r.home_score) AS homeScore, any(r.away_score) AS awayScore, any(r.periods) AS periods,
  any(g.home_pregame_win_prob) AS pregame, sum(c.change) AS excitement,
  if(homeScore > awayScore, 1 - min(c.p), max(c.p)) AS comeback,
  avg(pow(c.p - (r.home_score > r.away_score), 2)) AS brier
FROM curve AS c
INNER JOIN courtside.game_results AS r ON r.game_id = c.game_id
LEFT JOIN courtside.games AS g ON g.game_id = r.game_id
GROUP BY r.game_id ORDER BY date DESC, id DESC LIMIT ${String(MAX_GAMES)}`;

const TOTALS = `
SELECT uniqExact(r.game_id) AS finished, count() AS plays,
  avg(pow(p.home_win_prob - won, 2)) AS brier,
  avg(-log(greatest(1e-6, if(won = 1, p.home_win_prob, 1 - p.home_win_prob)))) AS logLoss,
  uniqExactIf(r.game_id, won = 1) AS homeWins
FROM courtside.predictions_current AS p
INNER JOIN (SELECT game_id, home_score > away_score AS won FROM courtside.game_results) AS r ON r.game_id = p.game_id
WHERE (p.model_name, p.model_version) = ${MAIN_MODEL}`;

const CALIBRATION = `
SELECT least(9, floor(p.home_win_prob * 10)) / 10 AS from, count() AS plays, avg(p.home_win_prob) AS predicted, avg(won) AS observed
FROM courtside.predictions_current AS p
INNER JOIN (SELECT game_id, home_score > away_score AS won FROM courtside.game_results) AS r ON r.game_id = p.game_id
WHERE (p.model_name, p.model_version) = ${MAIN_MODEL}
GROUP BY from ORDER BY from`;

/** Results, how good the probabilities were, and what was worth watching. */
export async function seasonView(store: StoreReader): Promise<SeasonView> {
  const [games, totals, calibration] = await Promise.all([
    store.rows<SeasonGame>(GAMES),
    store.rows<Omit<SeasonView, "games" | "calibration">>(TOTALS),
    store.rows<CalibrationBin>(CALIBRATION),
  ]);
  const none = { finished: 0, plays: 0, brier: null, logLoss: null, homeWins: 0 };
  const total = totals[0];
  return { ...(total === undefined || total.plays === 0 ? none : total), games, calibration };
}
