import { type DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { FEATURES } from "../../../features/mod.ts";
import { modelSwaps } from "../annotations.ts";
import { barChart, board, link, table, timeSeries, variable, WHOLE } from "../panels.ts";
import { DRIFT, FEATURE_NAMES, RESULTS } from "../sql.ts";

const VALUE = `values[indexOf(${FEATURE_NAMES}, '\${feature}')]`;
const SAME_SCHEMA = `length(values) = ${String(FEATURES.length)}`;

/** Whether the model still sees what it was made for, and says what still holds. */
export function driftBoard(): DashboardBuilder {
  return board({
    uid: "courtside-drift",
    title: "Courtside · Drift",
    description:
      "Inputs and probabilities of the newest quarter of the games against those before, and who caused it.",
    from: "now-7d",
    refresh: "1m",
    page: "#/model",
  })
    .withVariable(variable("feature", "Input", `SELECT arrayJoin(${FEATURE_NAMES}) AS feature`))
    .annotation(modelSwaps())
    .withPanel(
      barChart({
        title: "Shift of every input",
        description:
          "Mean of the newest quarter of the games less that before, in standard deviations. Above 0.5 look at the games.",
        span: WHOLE,
        height: 9,
        sql: `SELECT feature, shift FROM (${DRIFT}) ORDER BY abs(shift) DESC`,
      }),
    )
    .withPanel(
      table({
        title: "Population stability by week",
        description:
          "Each input against the training data, as the scorecard job counts it; above 0.25 it has moved. The games had most part in it.",
        sql: `SELECT feature, window_start AS week, games, psi, ks, arrayStringConcat(game_ids, ' ') AS most_part
FROM courtside.feature_drift_windows ORDER BY window_start DESC, psi DESC LIMIT 100`,
      }),
    )
    .withPanel(
      table({
        title: "Scorecard",
        description: "Scores of each version by slice, as the scorecard job counts them.",
        sql: `SELECT model_version AS version, role, slice_kind, slice, games, predictions, brier, log_loss, auc, calibration_error
FROM courtside.model_quality ORDER BY version, role, slice_kind, slice LIMIT 200`,
      }),
    )
    .withPanel(
      table({
        title: "Games that moved the chosen input",
        description:
          "Mean of the input by game, furthest from all first; a row opens the game on the page.",
        sql: `SELECT game_id, avg(${VALUE}) AS mean,
  (mean - (SELECT avg(${VALUE}) FROM courtside.features_current WHERE ${SAME_SCHEMA}))
    / greatest(1e-9, (SELECT stddevPop(${VALUE}) FROM courtside.features_current WHERE ${SAME_SCHEMA})) AS distance
FROM courtside.features_current WHERE ${SAME_SCHEMA} GROUP BY game_id ORDER BY abs(distance) DESC LIMIT 50`,
      }).dataLinks([link("Open the game", "${page}/#/game/${__data.fields.game_id}")]),
    )
    .withPanel(
      timeSeries({
        title: "The chosen input over time",
        description: "Mean and the middle half of the plays in each interval.",
        sql: `SELECT $__timeInterval_ms(p.ingest_time) AS time, avg(f.value) AS mean,
  quantile(0.25)(f.value) AS low, quantile(0.75)(f.value) AS high
FROM courtside.predictions_current AS p
INNER JOIN (SELECT game_id, play_number, revision, ${VALUE} AS value FROM courtside.features_current WHERE ${SAME_SCHEMA}) AS f
  ON f.game_id = p.game_id AND f.play_number = p.play_number AND f.revision = p.revision
WHERE $__timeFilter_ms(p.ingest_time) GROUP BY time ORDER BY time`,
      }),
    )
    .withPanel(
      timeSeries({
        title: "What was said and what happened",
        description:
          "Mean home win probability, and the share of home wins among the same plays of games that have ended.",
        unit: "percentunit",
        min: 0,
        max: 1,
        sql: `SELECT $__timeInterval_ms(p.ingest_time) AS time, avg(p.home_win_prob) AS predicted, avg(r.won) AS observed
FROM courtside.predictions_current AS p INNER JOIN ${RESULTS} AS r ON r.game_id = p.game_id
WHERE $__timeFilter_ms(p.ingest_time) GROUP BY time ORDER BY time`,
      }),
    )
    .withPanel(
      barChart({
        title: "Spread of the probabilities",
        description:
          "Share of plays by home win probability. A model that has lost its inputs says 50 % to all.",
        unit: "percentunit",
        sql: `SELECT concat(toString(toUInt8(bin * 10)), ' %') AS probability, count() / sum(count()) OVER () AS share
FROM (SELECT least(9, floor(home_win_prob * 10)) AS bin FROM courtside.predictions_current WHERE $__timeFilter_ms(ingest_time))
GROUP BY bin ORDER BY bin`,
      }),
    );
}
