-- What the feeds said. Statements end with a semicolon at the end of a line and can be run twice.
-- Times are UTC; ingest_time is the publish to the broker, inserted_at the arrival here.
-- The de-duplication window (blocks) lets the job insert a block again with the same token.

CREATE TABLE IF NOT EXISTS courtside.games
(
    game_id String CODEC(ZSTD(1)),
    league LowCardinality(String) COMMENT 'nba, synthetic',
    season UInt16 COMMENT 'Year in which the season starts',
    season_type LowCardinality(String) COMMENT 'regular, playoffs, play_in, cup_final, preseason',
    game_date Date,
    tipoff_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    home_team_id UInt32,
    home_team LowCardinality(String) COMMENT 'Three letters',
    home_name LowCardinality(String),
    away_team_id UInt32,
    away_team LowCardinality(String) COMMENT 'Three letters',
    away_name LowCardinality(String),
    home_elo Nullable(Float32) COMMENT 'Before the game',
    away_elo Nullable(Float32) COMMENT 'Before the game',
    home_pregame_win_prob Nullable(Float32) COMMENT '0..1',
    feed LowCardinality(String),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY game_id
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One row a game, known before its first play';

CREATE TABLE IF NOT EXISTS courtside.plays
(
    game_id String CODEC(ZSTD(1)),
    league LowCardinality(String) COMMENT 'nba, synthetic',
    season UInt16 COMMENT 'Year in which the season starts' CODEC(T64, ZSTD(1)),
    play_number UInt32 COMMENT 'Order inside the game, from 1' CODEC(T64, ZSTD(1)),
    revision UInt32 COMMENT '1, raised by every official correction' CODEC(T64, ZSTD(1)),
    retracted Bool COMMENT 'This revision takes the play back',
    period UInt8 COMMENT '1-4, then 5 and up for overtime',
    clock_remaining_ds UInt16 COMMENT 'Tenths of a second left in the period' CODEC(T64, ZSTD(1)),
    clock_remaining_s Float64 ALIAS clock_remaining_ds / 10,
    event_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    event_time_estimated Bool,
    ingest_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String) COMMENT 'shot, free_throw, rebound, ...',
    team_id UInt32 CODEC(ZSTD(1)),
    side LowCardinality(String) COMMENT 'home, away, none',
    actor_id UInt32 CODEC(T64, ZSTD(1)),
    actor_name LowCardinality(String),
    assister_id UInt32 CODEC(T64, ZSTD(1)),
    blocker_id UInt32 CODEC(T64, ZSTD(1)),
    stealer_id UInt32 CODEC(T64, ZSTD(1)),
    fouled_id UInt32 CODEC(T64, ZSTD(1)),
    player_in_id UInt32 CODEC(T64, ZSTD(1)),
    player_out_id UInt32 CODEC(T64, ZSTD(1)),
    shot_value UInt8 COMMENT '1, 2 or 3 for shots and free throws, else 0',
    shot_made Bool,
    shot_x_ft Nullable(Float32) COMMENT 'Feet from the basket, to the right seen from mid-court' CODEC(ZSTD(1)),
    shot_y_ft Nullable(Float32) COMMENT 'Feet from the basket towards mid-court' CODEC(ZSTD(1)),
    shot_distance_ft Nullable(Float32) CODEC(ZSTD(1)),
    free_throw_number UInt8,
    free_throw_count UInt8,
    foul_kind LowCardinality(String) COMMENT 'personal, shooting, ...; unspecified when not a foul',
    rebound_kind LowCardinality(String) COMMENT 'offensive, defensive; unspecified when not a rebound',
    subtype LowCardinality(String) COMMENT 'The feed''s own words',
    home_score UInt16 COMMENT 'After this play' CODEC(T64, ZSTD(1)),
    away_score UInt16 COMMENT 'After this play' CODEC(T64, ZSTD(1)),
    description String CODEC(ZSTD(1)),
    feed LowCardinality(String),
    home_on_court_ids Array(UInt32) COMMENT 'After this play; empty when not known' CODEC(ZSTD(1)),
    away_on_court_ids Array(UInt32) COMMENT 'After this play; empty when not known' CODEC(ZSTD(1)),
    feed_possession_team_id UInt32 COMMENT '0 when the feed does not say' CODEC(ZSTD(1)),
    game_over Bool,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (game_id, play_number, revision)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Every account of every play, corrections included';

CREATE TABLE IF NOT EXISTS courtside.dead_letters
(
    reason LowCardinality(String) COMMENT 'Stable code, for example MALFORMED_ROW',
    message String CODEC(ZSTD(1)),
    source LowCardinality(String) COMMENT 'File, or subject of what came by the broker',
    line UInt64 COMMENT 'From 1, the header included; 0 when there is none' CODEC(T64, ZSTD(1)),
    game_id String COMMENT 'Empty when not known' CODEC(ZSTD(1)),
    feed LowCardinality(String),
    raw String COMMENT 'The offending input, at most 2,048 characters' CODEC(ZSTD(1)),
    play_number UInt32 COMMENT '0 when the input was no play',
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (source, line, game_id, play_number)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Inputs that could not be used, and why';
