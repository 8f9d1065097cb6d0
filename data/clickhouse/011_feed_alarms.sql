-- Times when the live feed of a running game fell silent, and when it spoke again.

CREATE TABLE IF NOT EXISTS courtside.feed_alarms
(
    game_id String,
    alarm LowCardinality(String) COMMENT 'stale, alive',
    raised_at DateTime64(3, 'UTC'),
    silent_s Float32 COMMENT 'Seconds without a new play; 0 when it is alive again',
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (game_id, raised_at)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Live feeds that fell silent in the middle of a game';
