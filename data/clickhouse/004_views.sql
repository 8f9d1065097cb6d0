-- What most readers want: the latest revision, the latest line, the latency. History stays in the tables.

CREATE OR REPLACE VIEW courtside.plays_current
COMMENT 'Latest revision of every play that was not taken back'
AS SELECT * FROM
(
    SELECT * FROM courtside.plays
    ORDER BY game_id, play_number, revision DESC
    LIMIT 1 BY game_id, play_number
)
WHERE NOT retracted;

CREATE OR REPLACE VIEW courtside.predictions_current
COMMENT 'Prediction for the latest revision of every play, by model'
AS SELECT * FROM courtside.predictions
ORDER BY game_id, play_number, revision DESC
LIMIT 1 BY game_id, play_number, model_name, model_version;

CREATE OR REPLACE VIEW courtside.player_stats_current
COMMENT 'Last box-score line of every player and game'
AS SELECT * FROM courtside.player_stats
ORDER BY game_id, player_id, play_number DESC, inserted_at DESC
LIMIT 1 BY game_id, player_id;

CREATE OR REPLACE VIEW courtside.play_latency
COMMENT 'How long each prediction took from the publish of its play, in milliseconds'
AS SELECT
    game_id,
    play_number,
    revision,
    ingest_time,
    toUnixTimestamp64Milli(predicted_at) - toUnixTimestamp64Milli(ingest_time) AS publish_to_prediction_ms,
    toUnixTimestamp64Milli(inserted_at) - toUnixTimestamp64Milli(ingest_time) AS publish_to_row_ms,
    trace_id
FROM courtside.predictions;
