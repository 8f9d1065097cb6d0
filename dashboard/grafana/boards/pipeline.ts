import { type DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { checkpointFailures, gameStartsAndEnds, modelSwaps } from "../annotations.ts";
import { barChart, board, stat, table, timeSeries, WHOLE } from "../panels.ts";

/** Whether plays flow, and where they wait. */
export function pipelineBoard(): DashboardBuilder {
  return board({
    uid: "courtside-pipeline",
    title: "Courtside · Pipeline health",
    description: "Rates, latency, checkpoints and what could not be used.",
    from: "now-1h",
    refresh: "5s",
    page: "#/pipeline",
  })
    .annotation(gameStartsAndEnds())
    .annotation(modelSwaps())
    .annotation(checkpointFailures())
    .withPanel(
      stat({
        title: "Plays stored",
        description: "In the chosen time.",
        sql: "SELECT count() AS plays FROM courtside.plays WHERE $__timeFilter_ms(ingest_time)",
      }),
    )
    .withPanel(
      stat({
        title: "Plays without a prediction",
        description: "Of those stored; 0 but for a moment.",
        sql: `SELECT count() AS missing FROM courtside.plays AS p
LEFT ANTI JOIN courtside.predictions AS q ON q.game_id = p.game_id AND q.play_number = p.play_number AND q.revision = p.revision
WHERE $__timeFilter_ms(p.ingest_time)`,
      }),
    )
    .withPanel(
      stat({
        title: "Dead letters",
        description: "Inputs that could not be used, in the chosen time.",
        sql: "SELECT count() AS dead_letters FROM courtside.dead_letters WHERE $__timeFilter_ms(inserted_at)",
      }),
    )
    .withPanel(
      stat({
        title: "Last play",
        description: "Age of the newest play in the store; grows between games.",
        unit: "ms",
        sql: `SELECT toUnixTimestamp64Milli(now64(3)) - toUnixTimestamp64Milli(max(ingest_time)) AS age_ms FROM courtside.predictions`,
      }),
    )
    .withPanel(
      timeSeries({
        title: "Plays and predictions a second",
        description:
          "Predictions follow plays; a gap between the lines is a model that does not keep up.",
        unit: "short",
        sql: `SELECT time, sum(plays) / ($__interval_s) AS plays, sum(predictions) / ($__interval_s) AS predictions FROM (
  SELECT $__timeInterval_ms(ingest_time) AS time, count() AS plays, 0 AS predictions
  FROM courtside.plays WHERE $__timeFilter_ms(ingest_time) GROUP BY time
  UNION ALL
  SELECT $__timeInterval_ms(ingest_time) AS time, 0 AS plays, count() AS predictions
  FROM courtside.predictions WHERE $__timeFilter_ms(ingest_time) GROUP BY time
) GROUP BY time ORDER BY time`,
      }),
    )
    .withPanel(
      timeSeries({
        title: "Publish to prediction",
        description: "Every play, not a sample. p99 above 250 ms is what people notice.",
        unit: "ms",
        sql: `SELECT $__timeInterval_ms(ingest_time) AS time, quantile(0.5)(publish_to_prediction_ms) AS p50,
  quantile(0.99)(publish_to_prediction_ms) AS p99
FROM courtside.play_latency WHERE $__timeFilter_ms(ingest_time) GROUP BY time ORDER BY time`,
      }),
    )
    .withPanel(
      timeSeries({
        title: "Publish to visible row",
        description: "Rows become visible with the checkpoint, once a second.",
        unit: "ms",
        sql: `SELECT $__timeInterval_ms(ingest_time) AS time, quantile(0.5)(publish_to_row_ms) AS p50,
  quantile(0.99)(publish_to_row_ms) AS p99
FROM courtside.play_latency WHERE $__timeFilter_ms(ingest_time) GROUP BY time ORDER BY time`,
      }),
    )
    .withPanel(
      timeSeries({
        title: "Rows a checkpoint",
        description:
          "Rows of predictions that became visible together; large ones after a pause are a job that catches up.",
        sql: `SELECT max(inserted_at) AS time, count() AS rows FROM courtside.predictions
WHERE $__timeFilter_ms(inserted_at) GROUP BY inserted_at ORDER BY time`,
      }),
    )
    .withPanel(
      barChart({
        title: "Dead letters by reason",
        description: "Stable codes; the table beside has the latest of them.",
        sql: `SELECT reason, count() AS count FROM courtside.dead_letters
WHERE $__timeFilter_ms(inserted_at) GROUP BY reason ORDER BY count DESC LIMIT 20`,
      }),
    )
    .withPanel(
      table({
        title: "Latest dead letters",
        description: "With file and line, to mend the source.",
        sql: `SELECT inserted_at AS time, reason, message, source, line, game_id FROM courtside.dead_letters
WHERE $__timeFilter_ms(inserted_at) ORDER BY inserted_at DESC LIMIT 100`,
      }),
    )
    .withPanel(
      table({
        title: "Games",
        description: "How far each game is, and how long ago its last play was.",
        span: WHOLE,
        sql: `SELECT p.game_id AS game_id, concat(any(g.away_team), ' at ', any(g.home_team)) AS game, max(p.play_number) AS plays,
  argMax(p.period, p.play_number) AS period, max(p.ingest_time) AS last_play, max(r.game_id != '') AS ended
FROM courtside.predictions AS p
LEFT JOIN courtside.games AS g ON g.game_id = p.game_id
LEFT JOIN courtside.game_results AS r ON r.game_id = p.game_id
WHERE $__timeFilter_ms(p.ingest_time) GROUP BY p.game_id ORDER BY last_play DESC LIMIT 200`,
      }),
    );
}
