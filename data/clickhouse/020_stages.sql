-- How long each play was in each stage of its way, milliseconds; together they are predicted_at - ingest_time. 0 when not
-- known. The stages are those of the spans with the same names.

ALTER TABLE courtside.predictions
    ADD COLUMN IF NOT EXISTS broker_publish_ms Float32 COMMENT 'Publish until the broker has stored it' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS broker_deliver_ms Float32 COMMENT 'Stored until the task has received it' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS task_queue_ms Float32 COMMENT 'Received until the task took it up' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS task_process_ms Float32 COMMENT 'Folded into game, players, features' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS predict_queue_ms Float32 COMMENT 'Waiting to be sent to the model' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS predict_ms Float32 COMMENT 'Call of the model, with others' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS predict_order_ms Float32 COMMENT 'Answered until everything older had left' CODEC(ZSTD(1));

CREATE OR REPLACE VIEW courtside.play_latency
COMMENT 'How long each prediction took from the publish of its play, in milliseconds, whole and by stage'
AS SELECT
    game_id,
    play_number,
    revision,
    ingest_time,
    toUnixTimestamp64Milli(predicted_at) - toUnixTimestamp64Milli(ingest_time) AS publish_to_prediction_ms,
    toUnixTimestamp64Milli(inserted_at) - toUnixTimestamp64Milli(ingest_time) AS publish_to_row_ms,
    broker_publish_ms,
    broker_deliver_ms,
    task_queue_ms,
    task_process_ms,
    predict_queue_ms,
    predict_ms,
    predict_order_ms,
    trace_id
FROM courtside.predictions;
