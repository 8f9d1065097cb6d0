-- How good the predictions were. Rows are sums over one game, so that any slice of games adds up; a game whose result was
-- corrected has a second edition.

CREATE TABLE IF NOT EXISTS courtside.model_scores
(
    game_id String CODEC(ZSTD(1)),
    edition UInt32 COMMENT 'Number of the result, from 1',
    season UInt16,
    game_date Date,
    model_name LowCardinality(String),
    model_version LowCardinality(String),
    role LowCardinality(String) COMMENT 'served, or alias of a model in the shadow',
    slice_kind LowCardinality(String) COMMENT 'all, time_left, margin, period',
    slice LowCardinality(String),
    plays UInt32 COMMENT 'Predictions; the last play of a game, which has nothing left to predict, is not one',
    home_won Bool,
    brier_sum Float64 COMMENT 'Sum of (probability - outcome)^2',
    log_loss_sum Float64 COMMENT 'Natural logarithm, probabilities held within 1e-6 of 0 and 1',
    bin_plays Array(UInt32) COMMENT 'Plays by home_win_prob in hundredths' CODEC(ZSTD(1)),
    bin_prob_sums Array(Float64) COMMENT 'Sum of home_win_prob in each' CODEC(ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (model_version, slice_kind, slice, game_id, edition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Scores of each model on each game, by slice';

CREATE TABLE IF NOT EXISTS courtside.feature_drift
(
    game_id String CODEC(ZSTD(1)),
    edition UInt32,
    game_date Date,
    schema_hash LowCardinality(String),
    feature LowCardinality(String),
    plays UInt32,
    bin_plays Array(UInt32) COMMENT 'Plays in each bin of the reference' CODEC(ZSTD(1)),
    reference_shares Array(Float64) COMMENT 'Shares of the training data in the same bins' CODEC(ZSTD(1)),
    psi Float64 COMMENT 'Population stability index of this game alone',
    ks Float64 COMMENT 'Kolmogorov-Smirnov distance of this game alone',
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (feature, game_date, game_id, edition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'How the model''s inputs were spread in each game, against the data that it was fitted on';

CREATE TABLE IF NOT EXISTS courtside.model_alarms
(
    alarm LowCardinality(String) COMMENT 'calibration, brier, drift, challenger_better, parity',
    subject String COMMENT 'Model version, feature or game',
    window_start Date COMMENT 'Week that it was seen in',
    value Float64,
    threshold Float64,
    game_ids Array(String) COMMENT 'Games that had most part in it',
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (window_start, alarm, subject)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'What the scorecard raised an alarm for, once a week and subject';

CREATE TABLE IF NOT EXISTS courtside.feature_parity
(
    game_id String CODEC(ZSTD(1)),
    vectors UInt32 COMMENT 'Vectors that were compared',
    missing UInt32 COMMENT 'Vectors that only one side has',
    differences UInt32 COMMENT 'Values that differ in any bit',
    first_difference String COMMENT 'play number, feature, stored and recomputed value' CODEC(ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY game_id
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Games whose stored vectors were recomputed from their plays';

CREATE OR REPLACE VIEW courtside.model_scores_current
COMMENT 'Scores against the latest result of each game'
AS SELECT * FROM courtside.model_scores
ORDER BY game_id, model_version, role, slice_kind, slice, edition DESC
LIMIT 1 BY game_id, model_version, role, slice_kind, slice;

CREATE OR REPLACE VIEW courtside.model_quality
COMMENT 'Brier, log loss, AUC and calibration error by model and slice, over all games'
AS SELECT
    model_name, model_version, role, slice_kind, slice,
    uniqExact(game_id) AS games,
    sum(plays) AS predictions,
    sum(brier_sum) / predictions AS brier,
    sum(log_loss_sum) / predictions AS log_loss,
    sumForEachIf(bin_plays, home_won) AS won,
    sumForEachIf(bin_plays, NOT home_won) AS lost,
    sumForEach(bin_prob_sums) AS prob_sums,
    -- Share of (won, lost) pairs that are in order; ties count half.
    if(length(won) = 0 OR length(lost) = 0, nan,
        arraySum((w, l, below) -> w * (below - l / 2), won, lost, arrayCumSum(lost)) / (arraySum(won) * arraySum(lost))) AS auc,
    -- Twenty bins of five hundredths.
    arraySum(b -> abs(arraySum(arraySlice(prob_sums, b * 5 + 1, 5)) - arraySum(arraySlice(won, b * 5 + 1, 5))), range(20)) / predictions
        AS calibration_error
FROM courtside.model_scores_current
GROUP BY model_name, model_version, role, slice_kind, slice;

CREATE OR REPLACE VIEW courtside.model_reliability
COMMENT 'What was predicted and what came of it, in twenty bins, by model and slice'
AS SELECT
    model_version, role, slice_kind, slice, bin / 20 AS prob_from,
    arraySum(arraySlice(won, bin * 5 + 1, 5)) + arraySum(arraySlice(lost, bin * 5 + 1, 5)) AS predictions,
    arraySum(arraySlice(prob_sums, bin * 5 + 1, 5)) / predictions AS predicted,
    arraySum(arraySlice(won, bin * 5 + 1, 5)) / predictions AS observed
FROM courtside.model_quality
ARRAY JOIN range(20) AS bin
WHERE predictions > 0;

CREATE OR REPLACE VIEW courtside.model_versus
COMMENT 'Each model in the shadow against the served one on the same games; z below -2: the challenger is better'
AS SELECT
    c.model_version AS challenger, s.model_version AS champion, c.role AS role,
    count() AS games,
    avg(c.brier_sum / c.plays - s.brier_sum / s.plays) AS brier_difference,
    if(games < 2, 0, brier_difference / (stddevSamp(c.brier_sum / c.plays - s.brier_sum / s.plays) / sqrt(games))) AS z
FROM courtside.model_scores_current AS c
INNER JOIN courtside.model_scores_current AS s ON s.game_id = c.game_id AND s.slice_kind = 'all' AND s.role = 'served'
WHERE c.role != 'served' AND c.slice_kind = 'all' AND c.plays > 0 AND s.plays > 0
GROUP BY challenger, champion, role;

CREATE OR REPLACE VIEW courtside.feature_drift_windows
COMMENT 'Drift of each input by week, and the games that had most part in it'
AS SELECT
    toMonday(game_date) AS window_start, schema_hash, feature,
    count() AS games,
    sum(g.plays) AS plays,
    arrayMap(n -> greatest(n / plays, 1e-4), sumForEach(bin_plays)) AS shares,
    arrayMap(s -> greatest(s, 1e-4), any(reference_shares)) AS reference,
    arraySum((q, p) -> (q - p) * log(q / p), shares, reference) AS psi,
    arrayMax(arrayMap((q, p) -> abs(q - p), arrayCumSum(shares), arrayCumSum(reference))) AS ks,
    arraySlice(arrayMap(x -> x.2, arrayReverseSort(groupArray((g.psi, game_id)))), 1, 5) AS game_ids
FROM (SELECT * FROM courtside.feature_drift ORDER BY game_id, feature, edition DESC LIMIT 1 BY game_id, feature) AS g
GROUP BY window_start, schema_hash, feature;
