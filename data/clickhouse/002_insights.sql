-- What the insight job derived.

CREATE TABLE IF NOT EXISTS courtside.features
(
    game_id String CODEC(ZSTD(1)),
    play_number UInt32 CODEC(T64, ZSTD(1)),
    revision UInt32 CODEC(T64, ZSTD(1)),
    schema_hash LowCardinality(String) COMMENT 'Names and units of the values, in order',
    values Array(Float32) CODEC(ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (game_id, play_number, revision)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Model inputs as of each play';

CREATE TABLE IF NOT EXISTS courtside.predictions
(
    game_id String CODEC(ZSTD(1)),
    play_number UInt32 CODEC(T64, ZSTD(1)),
    revision UInt32 CODEC(T64, ZSTD(1)),
    period UInt8,
    clock_remaining_s Float32 CODEC(ZSTD(1)),
    home_score UInt16 CODEC(T64, ZSTD(1)),
    away_score UInt16 CODEC(T64, ZSTD(1)),
    possession LowCardinality(String) COMMENT 'home, away, none',
    possession_reason LowCardinality(String),
    home_win_prob Float64 COMMENT '0..1' CODEC(ZSTD(1)),
    model_name LowCardinality(String),
    model_version LowCardinality(String),
    schema_hash LowCardinality(String),
    event_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    predicted_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    trace_id String COMMENT '32 hex digits when the play was sampled, else empty' CODEC(ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (game_id, play_number, revision, model_name, model_version)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'What a model said after each play';

CREATE TABLE IF NOT EXISTS courtside.player_stats
(
    game_id String CODEC(ZSTD(1)),
    play_number UInt32 CODEC(T64, ZSTD(1)),
    player_id UInt32 CODEC(T64, ZSTD(1)),
    player_name LowCardinality(String),
    team_id UInt32 CODEC(ZSTD(1)),
    side LowCardinality(String) COMMENT 'home, away',
    on_court Bool,
    played_s Float32 COMMENT 'Game seconds on court' CODEC(ZSTD(1)),
    stint_s Float32 COMMENT 'Stint under way, 0 on the bench' CODEC(ZSTD(1)),
    stint_max_s Float32 CODEC(ZSTD(1)),
    rest_s Float32 COMMENT 'Since leaving the court, 0 on it' CODEC(ZSTD(1)),
    played_last_12_min_s Float32 CODEC(ZSTD(1)),
    points UInt16 CODEC(T64, ZSTD(1)),
    field_goals_made UInt16 CODEC(T64, ZSTD(1)),
    field_goals_attempted UInt16 CODEC(T64, ZSTD(1)),
    threes_made UInt16 CODEC(T64, ZSTD(1)),
    threes_attempted UInt16 CODEC(T64, ZSTD(1)),
    free_throws_made UInt16 CODEC(T64, ZSTD(1)),
    free_throws_attempted UInt16 CODEC(T64, ZSTD(1)),
    offensive_rebounds UInt16 CODEC(T64, ZSTD(1)),
    defensive_rebounds UInt16 CODEC(T64, ZSTD(1)),
    assists UInt16 CODEC(T64, ZSTD(1)),
    steals UInt16 CODEC(T64, ZSTD(1)),
    blocks UInt16 CODEC(T64, ZSTD(1)),
    turnovers UInt16 CODEC(T64, ZSTD(1)),
    personal_fouls UInt16 CODEC(T64, ZSTD(1)),
    plus_minus Int16 CODEC(T64, ZSTD(1)),
    usage Float32 COMMENT '0..1' CODEC(ZSTD(1)),
    true_shooting Float32 COMMENT '0..1.5' CODEC(ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (game_id, player_id, play_number)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Box-score line and load of a player, as of each play that changed it';

CREATE TABLE IF NOT EXISTS courtside.team_windows
(
    game_id String CODEC(ZSTD(1)),
    team_id UInt32 CODEC(ZSTD(1)),
    side LowCardinality(String) COMMENT 'home, away',
    start_s Int32 COMMENT 'Game seconds since tip-off, inclusive' CODEC(Delta, ZSTD(1)),
    end_s Int32 COMMENT 'Exclusive' CODEC(Delta, ZSTD(1)),
    size_s UInt32 CODEC(T64, ZSTD(1)),
    points UInt16 CODEC(T64, ZSTD(1)),
    field_goals_made UInt16 CODEC(T64, ZSTD(1)),
    field_goals_attempted UInt16 CODEC(T64, ZSTD(1)),
    threes_made UInt16 CODEC(T64, ZSTD(1)),
    free_throws_made UInt16 CODEC(T64, ZSTD(1)),
    free_throws_attempted UInt16 CODEC(T64, ZSTD(1)),
    turnovers UInt16 CODEC(T64, ZSTD(1)),
    offensive_rebounds UInt16 CODEC(T64, ZSTD(1)),
    possessions Float32 COMMENT 'FGA + 0.44 FTA + TOV - OREB' CODEC(ZSTD(1)),
    effective_fg Float32 COMMENT '0..1.5' CODEC(ZSTD(1)),
    pace Float32 COMMENT 'Possessions per 48 minutes' CODEC(ZSTD(1)),
    free_throw_rate Float32 CODEC(ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (game_id, side, size_s, start_s)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Numbers of a team over one window of game time';

CREATE TABLE IF NOT EXISTS courtside.scoring_runs
(
    game_id String CODEC(ZSTD(1)),
    play_number UInt32 CODEC(T64, ZSTD(1)),
    side LowCardinality(String) COMMENT 'home, away',
    points UInt16 COMMENT 'Unanswered points so far',
    start_play_number UInt32 CODEC(T64, ZSTD(1)),
    period UInt8,
    clock_remaining_s Float32 CODEC(ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (game_id, start_play_number, play_number, side)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Runs of unanswered points, as of each play that lengthened one';

CREATE TABLE IF NOT EXISTS courtside.game_results
(
    game_id String CODEC(ZSTD(1)),
    home_score UInt16,
    away_score UInt16,
    periods UInt8,
    plays UInt32,
    home_elo_before Float32,
    home_elo_after Float32,
    away_elo_before Float32,
    away_elo_after Float32,
    home_win_prob Float64 COMMENT 'Last probability that was given, 0..1',
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY game_id
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'How each game ended';
