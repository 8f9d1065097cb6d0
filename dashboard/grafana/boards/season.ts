import { type DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { gameStartsAndEnds, modelSwaps } from "../annotations.ts";
import {
  barChart,
  board,
  HALF,
  link,
  scatter,
  stat,
  table,
  timeSeries,
  variable,
  WHOLE,
} from "../panels.ts";
import { BRIER_BY_TIME, MODEL, RESULTS } from "../sql.ts";

const SCORED = `courtside.predictions_current AS p INNER JOIN ${RESULTS} AS r ON r.game_id = p.game_id
WHERE ${MODEL} AND $__timeFilter_ms(p.ingest_time)`;

/** How good the probabilities were, on the games that have ended. */
export function seasonBoard(): DashboardBuilder {
  return board({
    uid: "courtside-season",
    title: "Courtside · Season and model quality",
    description: "Results, and how the probabilities that were given compare with them.",
    from: "now-7d",
    refresh: "1m",
    page: "#/season",
  })
    .withVariable(
      variable(
        "model",
        "Model version",
        "SELECT model_version FROM courtside.predictions GROUP BY model_version ORDER BY max(predicted_at) DESC LIMIT 50",
      ),
    )
    .annotation(modelSwaps())
    .annotation(gameStartsAndEnds())
    .withPanel(
      stat({
        title: "Games",
        description: "Games that have ended and that this version predicted.",
        sql: `SELECT uniqExact(p.game_id) AS games FROM ${SCORED}`,
      }),
    )
    .withPanel(
      stat({
        title: "Brier score",
        description:
          "Mean squared distance between probability and result: 0 perfect, 0.25 a coin.",
        decimals: 4,
        sql: `SELECT avg(pow(p.home_win_prob - r.won, 2)) AS brier FROM ${SCORED}`,
      }),
    )
    .withPanel(
      stat({
        title: "Log loss",
        description: "Mean of -log of the probability given to what happened; 0.693 is a coin.",
        decimals: 4,
        sql: `SELECT avg(-log(greatest(1e-6, if(r.won = 1, p.home_win_prob, 1 - p.home_win_prob)))) AS log_loss FROM ${SCORED}`,
      }),
    )
    .withPanel(
      stat({
        title: "Favourite won",
        description: "Share of plays after which the side with the higher probability won.",
        unit: "percentunit",
        sql: `SELECT avg((p.home_win_prob >= 0.5) = r.won) AS accuracy FROM ${SCORED}`,
      }),
    )
    .withPanel(
      scatter({
        title: "Reliability",
        description:
          "What was said against what happened, in twenty steps; on the diagonal the model knows what it says.",
        unit: "percentunit",
        min: 0,
        max: 1,
        sql: `SELECT avg(p.home_win_prob) AS predicted, avg(r.won) AS observed FROM ${SCORED}
GROUP BY least(19, floor(p.home_win_prob * 20)) ORDER BY predicted`,
      }),
    )
    .withPanel(
      barChart({
        title: "Brier score by time left",
        description:
          "Beside score and time alone (Stern 1994) on the same plays; the model must be below.",
        sql: `${BRIER_BY_TIME} AND $__timeFilter_ms(p.ingest_time) GROUP BY left ORDER BY rank`,
      }),
    )
    .withPanel(
      timeSeries({
        title: "Brier score of games as they end",
        description: "Mean over the plays of each game, at its last play.",
        sql: `SELECT max(p.ingest_time) AS time, avg(pow(p.home_win_prob - r.won, 2)) AS brier FROM ${SCORED}
GROUP BY p.game_id ORDER BY time`,
      }),
    )
    .withPanel(
      table({
        title: "Games by excitement",
        description: "Sum of all changes of the win probability; a row opens the game on the page.",
        span: HALF,
        sql: `SELECT game_id, any(away) AS away, any(home) AS home, sum(abs(change)) AS excitement,
  if(any(won) = 1, min(prob), 1 - max(prob)) AS won_from
FROM (
  SELECT p.game_id AS game_id, g.away_team AS away, g.home_team AS home, r.won AS won, p.home_win_prob AS prob,
    p.home_win_prob - lagInFrame(p.home_win_prob, 1, p.home_win_prob) OVER (PARTITION BY p.game_id ORDER BY p.play_number
      ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS change
  FROM courtside.predictions_current AS p INNER JOIN ${RESULTS} AS r ON r.game_id = p.game_id
  LEFT JOIN courtside.games AS g ON g.game_id = p.game_id
  WHERE ${MODEL} AND $__timeFilter_ms(p.ingest_time)
)
GROUP BY game_id ORDER BY excitement DESC LIMIT 50`,
      }).dataLinks([link("Open the game", "${page}/#/game/${__data.fields.game_id}")]),
    )
    .withPanel(
      table({
        title: "Versions side by side",
        description: "Champion and challengers on the games that each predicted.",
        span: WHOLE,
        height: 6,
        sql: `SELECT p.model_version AS version, any(p.model_name) AS name, uniqExact(p.game_id) AS games, count() AS plays,
  avg(pow(p.home_win_prob - r.won, 2)) AS brier
FROM courtside.predictions_current AS p INNER JOIN ${RESULTS} AS r ON r.game_id = p.game_id
WHERE $__timeFilter_ms(p.ingest_time) GROUP BY version ORDER BY plays DESC`,
      }),
    );
}
