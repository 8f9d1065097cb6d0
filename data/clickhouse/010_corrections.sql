-- Official corrections. A row is never changed: what follows from a corrected play gets further rows of a higher
-- edition, and what no longer holds gets one that is retracted. The views below give what holds now.

ALTER TABLE courtside.games
    ADD COLUMN IF NOT EXISTS revision UInt32 DEFAULT 0 COMMENT 'Raised when the feed tells of the game anew';

ALTER TABLE courtside.features
    ADD COLUMN IF NOT EXISTS edition UInt32 DEFAULT 0 COMMENT 'How often the game had been corrected',
    ADD COLUMN IF NOT EXISTS retracted Bool DEFAULT false COMMENT 'The play was taken back';

ALTER TABLE courtside.predictions
    ADD COLUMN IF NOT EXISTS edition UInt32 DEFAULT 0 COMMENT 'How often the game had been corrected',
    ADD COLUMN IF NOT EXISTS retracted Bool DEFAULT false COMMENT 'The play was taken back';

ALTER TABLE courtside.player_stats
    ADD COLUMN IF NOT EXISTS edition UInt32 DEFAULT 0 COMMENT 'How often the game had been corrected',
    ADD COLUMN IF NOT EXISTS retracted Bool DEFAULT false COMMENT 'The play does not change this line any more';

ALTER TABLE courtside.team_windows
    ADD COLUMN IF NOT EXISTS revision UInt32 DEFAULT 0 COMMENT 'Plays and corrections seen; a later firing has more',
    ADD COLUMN IF NOT EXISTS retracted Bool DEFAULT false COMMENT 'Corrections took away all plays of the window';

ALTER TABLE courtside.scoring_runs
    ADD COLUMN IF NOT EXISTS edition UInt32 DEFAULT 0 COMMENT 'How often the game had been corrected',
    ADD COLUMN IF NOT EXISTS retracted Bool DEFAULT false COMMENT 'There is no such run any more';

ALTER TABLE courtside.game_results
    ADD COLUMN IF NOT EXISTS edition UInt32 DEFAULT 0 COMMENT 'How often the game had been corrected',
    ADD COLUMN IF NOT EXISTS retracted Bool DEFAULT false COMMENT 'The game goes on after all';

CREATE OR REPLACE VIEW courtside.games_current
COMMENT 'Latest account of every game'
AS SELECT * FROM courtside.games
ORDER BY game_id, revision DESC, inserted_at DESC
LIMIT 1 BY game_id;

CREATE OR REPLACE VIEW courtside.features_current
COMMENT 'Model inputs of every play that was not taken back, as of the latest correction'
AS SELECT * FROM
(
    SELECT * FROM courtside.features
    ORDER BY game_id, play_number, edition DESC
    LIMIT 1 BY game_id, play_number
)
WHERE NOT retracted;

CREATE OR REPLACE VIEW courtside.predictions_current
COMMENT 'What the models say of every play that was not taken back, as of the latest correction'
AS SELECT * EXCEPT latest_edition FROM
(
    SELECT *, max(edition) OVER (PARTITION BY game_id, play_number) AS latest_edition
    FROM courtside.predictions
)
WHERE edition = latest_edition AND NOT retracted
ORDER BY game_id, play_number
LIMIT 1 BY game_id, play_number, model_name, model_version;

CREATE OR REPLACE VIEW courtside.player_stats_history
COMMENT 'Box-score lines as of each play that changed them, as of the latest correction'
AS SELECT * FROM
(
    SELECT * FROM courtside.player_stats
    ORDER BY game_id, player_id, play_number, edition DESC
    LIMIT 1 BY game_id, player_id, play_number
)
WHERE NOT retracted;

CREATE OR REPLACE VIEW courtside.player_stats_current
COMMENT 'Last box-score line of every player and game'
AS SELECT * FROM courtside.player_stats_history
ORDER BY game_id, player_id, play_number DESC
LIMIT 1 BY game_id, player_id;

CREATE OR REPLACE VIEW courtside.team_windows_current
COMMENT 'Windows as of their last firing'
AS SELECT * FROM
(
    SELECT * FROM courtside.team_windows
    ORDER BY game_id, side, size_s, start_s, revision DESC
    LIMIT 1 BY game_id, side, size_s, start_s
)
WHERE NOT retracted;

CREATE OR REPLACE VIEW courtside.scoring_runs_current
COMMENT 'Runs that stand after all corrections, as of each play that lengthened one'
AS SELECT * FROM
(
    SELECT * FROM courtside.scoring_runs
    ORDER BY game_id, play_number, edition DESC
    LIMIT 1 BY game_id, play_number
)
WHERE NOT retracted;

CREATE OR REPLACE VIEW courtside.game_results_current
COMMENT 'Final results after all corrections'
AS SELECT * FROM
(
    SELECT * FROM courtside.game_results
    ORDER BY game_id, edition DESC
    LIMIT 1 BY game_id
)
WHERE NOT retracted;
