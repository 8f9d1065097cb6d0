-- League-wide board: who scored most in each hour, over all games. A window gets further rows when it changes;
-- the view has its latest board.

CREATE TABLE IF NOT EXISTS courtside.league_leaders
(
    window_start DateTime64(3, 'UTC') COMMENT 'Inclusive, by the time of the plays' CODEC(Delta, ZSTD(1)),
    window_end DateTime64(3, 'UTC') COMMENT 'Exclusive' CODEC(Delta, ZSTD(1)),
    rank UInt8 COMMENT '1 = most points; equal points by player id',
    player_id UInt32 CODEC(T64, ZSTD(1)),
    player_name LowCardinality(String),
    team_id UInt32 CODEC(ZSTD(1)),
    points UInt16 COMMENT 'In this window, all games together' CODEC(T64, ZSTD(1)),
    changes UInt32 COMMENT 'Scores and corrections that this board has seen; a later one has more' CODEC(T64, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (window_start, changes, rank)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Players with most points of each hour, over all games, at each change';

CREATE OR REPLACE VIEW courtside.league_leaders_current
COMMENT 'Latest board of each hour'
AS SELECT * FROM courtside.league_leaders
WHERE (window_start, changes) IN
    (SELECT window_start, max(changes) FROM courtside.league_leaders GROUP BY window_start);
