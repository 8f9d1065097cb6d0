import { type AnnotationQueryBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { annotation } from "./panels.ts";

/** Runs of at least eight unanswered points of the chosen game, from the play that made eight to the last one. */
export const runsOfGame = (): AnnotationQueryBuilder =>
  annotation(
    "Runs",
    "orange",
    `
SELECT min(p.ingest_time) AS time, max(p.ingest_time) AS timeEnd,
  concat(toString(max(r.points)), '-0 run, ', r.side) AS text, ['run'] AS tags
FROM courtside.scoring_runs_current AS r
INNER JOIN courtside.predictions_current AS p ON p.game_id = r.game_id AND p.play_number = r.play_number
WHERE r.game_id = '\${game}' AND $__timeFilter_ms(p.ingest_time)
GROUP BY r.start_play_number, r.side
HAVING max(r.points) >= 8
ORDER BY time`,
  );

/** First and last play of each game. */
export const gameStartsAndEnds = (where = "1"): AnnotationQueryBuilder =>
  annotation(
    "Games",
    "blue",
    `
SELECT min(p.ingest_time) AS time, max(p.ingest_time) AS timeEnd,
  concat(any(g.away_team), ' at ', any(g.home_team)) AS text, ['game', p.game_id] AS tags
FROM courtside.predictions AS p LEFT JOIN courtside.games AS g ON g.game_id = p.game_id
WHERE $__timeFilter_ms(p.ingest_time) AND ${where}
GROUP BY p.game_id
ORDER BY time`,
  );

/** First prediction of each model version. */
export const modelSwaps = (): AnnotationQueryBuilder =>
  annotation(
    "Model swaps",
    "purple",
    `
SELECT min(predicted_at) AS time, concat('model ', model_name, ' ', model_version) AS text, ['model'] AS tags
FROM courtside.predictions
WHERE $__timeFilter_ms(ingest_time)
GROUP BY model_name, model_version
ORDER BY time`,
  );

/** Checkpoints and their inserts that failed; the job goes on from the last good one. */
export const checkpointFailures = (): AnnotationQueryBuilder =>
  annotation(
    "Checkpoint failures",
    "red",
    `
SELECT Timestamp AS time, concat(SpanName, ' failed: ', StatusMessage) AS text, ['checkpoint', ServiceName] AS tags
FROM courtside.otel_traces
WHERE $__timeFilter_ms(Timestamp) AND StatusCode = 'Error'
  AND (SpanName LIKE 'clickhouse.%' OR SpanName LIKE '%checkpoint%')
ORDER BY time LIMIT 500`,
  );
