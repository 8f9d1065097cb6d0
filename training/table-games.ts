import { type ClickHouseClient } from "@clickhouse/client";
import { CourtsideError } from "../base/errors.ts";
import { FEATURE_SCHEMA_HASH, FEATURES, gameTimeDs } from "../features/mod.ts";
import { SchemaMismatchError } from "../serving/model/registry.ts";
import { EmptyDatasetError, type Row, type TrainingGame } from "./dataset.ts";
import { runLabels } from "./scoring-run.ts";
import { seasonName, SplitError, type SeasonFile, type Split } from "./split.ts";

/** The store has results of games whose plays or vectors are not all there. */
export class HalfWrittenError extends CourtsideError {
  override readonly code = "HALF_WRITTEN_TABLE";
  override readonly retryable = false;
}

/** What is asked of a store. */
type Query = <T>(sql: string, params?: Record<string, unknown>) => Promise<T[]>;

/** Games of one query: a few tens of MB of vectors. */
const GAMES_A_QUERY = 100;
/** Games that an error names. */
const GAMES_SHOWN = 3;

/** Regular-season games of the league only: ratings and rules of others differ. */
const LEAGUE_GAMES = "league = 'nba' AND season_type = 'regular'";

/**
 * Checks the tables that the insight job wrote before anything is fitted on them.
 * @throws EmptyDatasetError, SchemaMismatchError, SplitError, HalfWrittenError
 */
export async function planTableSplit(
  client: ClickHouseClient,
  training: readonly string[],
  heldOut: string,
  validation = "",
): Promise<Split> {
  const query = queryOf(client);
  const hashes = await query<{ schema_hash: string; rows: string }>(
    "SELECT schema_hash, count() AS rows FROM courtside.features GROUP BY schema_hash",
  );
  if (hashes.length === 0) {
    throw new EmptyDatasetError(
      "table courtside.features is empty; fill it with `courtside up --source SEASON --speed max --until-done --data DIR`",
    );
  }
  const foreign = hashes.find(({ schema_hash: hash }) => hash !== FEATURE_SCHEMA_HASH);
  if (foreign !== undefined) {
    throw new SchemaMismatchError(
      `${foreign.rows} rows of courtside.features have feature schema ${foreign.schema_hash}, this program computes ` +
        `${FEATURE_SCHEMA_HASH}; replay those games into an empty store`,
    );
  }
  const asked = [...training, heldOut, ...(validation === "" ? [] : [validation])];
  if (new Set(asked).size < asked.length) {
    throw new SplitError("a season can be used once: to train, to validate or to judge");
  }
  const seasons = await query<{ season: number; games: string; results: string }>(
    `SELECT season, count() AS games, countIf(r.plays > 0) AS results FROM courtside.games AS g
     LEFT JOIN courtside.game_results AS r ON r.game_id = g.game_id WHERE ${LEAGUE_GAMES} GROUP BY season ORDER BY season`,
  );
  const found = new Map(seasons.map((one) => [seasonName(one.season), one]));
  for (const season of asked) {
    const one = found.get(season);
    if (one === undefined) {
      throw new SplitError(
        `the store has no regular season ${season}; it has ${[...found.keys()].join(", ") || "none"}`,
      );
    }
    if (Number(one.results) === 0) {
      throw new SplitError(
        `season ${season} has ${one.games} games in the store and no result: a season without results cannot be used`,
      );
    }
    await checkWhole(query, one.season);
  }
  const file = (season: string): SeasonFile => ({
    season,
    startYear: Number(season.slice(0, 4)),
    path: "courtside.features",
  });
  const split = { training: training.map(file), heldOut: file(heldOut) };
  return validation === "" ? split : { ...split, validation: file(validation) };
}

/** @throws HalfWrittenError naming games with a result whose plays lack a vector. */
async function checkWhole(query: Query, season: number): Promise<void> {
  const broken = await query<{ game_id: string; plays: string; vectors: string }>(
    `SELECT g.game_id AS game_id, p.plays AS plays, f.vectors AS vectors FROM courtside.games AS g
     JOIN courtside.game_results AS r ON r.game_id = g.game_id
     LEFT JOIN (SELECT game_id, count() AS plays FROM courtside.plays_current GROUP BY game_id) AS p ON p.game_id = g.game_id
     LEFT JOIN (SELECT game_id, uniqExact(play_number) AS vectors FROM courtside.features GROUP BY game_id) AS f
       ON f.game_id = g.game_id
     WHERE ${LEAGUE_GAMES} AND season = {season: UInt16} AND (vectors < plays OR plays = 0) ORDER BY game_id`,
    { season },
  );
  if (broken.length === 0) return;
  const shown = broken
    .slice(0, GAMES_SHOWN)
    .map((game) => `${game.game_id} (${game.vectors} vectors for ${game.plays} plays)`);
  throw new HalfWrittenError(
    `${broken.length} games of ${seasonName(season)} are only half in the store: ${shown.join(", ")}; replay them`,
  );
}

/** Finished games of a season as the insight job wrote them, by id. */
export async function* tableGames(
  client: ClickHouseClient,
  { startYear: season }: SeasonFile,
): AsyncIterable<TrainingGame> {
  const query = queryOf(client);
  const games = await query<GameRow>(
    `SELECT g.game_id AS game_id, toString(game_date) AS date, home_team, away_team, r.home_score AS home_score,
       r.away_score AS away_score FROM courtside.games AS g JOIN courtside.game_results AS r ON r.game_id = g.game_id
     WHERE ${LEAGUE_GAMES} AND season = {season: UInt16} ORDER BY game_id`,
    { season },
  );
  for (let from = 0; from < games.length; from += GAMES_A_QUERY) {
    const part = games.slice(from, from + GAMES_A_QUERY);
    const plays = await query<PlayRow>(PLAYS_SQL, { ids: part.map(({ game_id: id }) => id) });
    const byGame = Map.groupBy(plays, ({ game_id: id }) => id);
    for (const game of part) {
      if (game.home_score === game.away_score) continue;
      yield {
        gameId: game.game_id,
        season,
        homeWon: game.home_score > game.away_score,
        date: game.date,
        home: game.home_team,
        away: game.away_team,
        rows: rowsOf(byGame.get(game.game_id) ?? []),
      };
    }
  }
}

interface GameRow {
  readonly game_id: string;
  readonly date: string;
  readonly home_team: string;
  readonly away_team: string;
  readonly home_score: number;
  readonly away_score: number;
}

interface PlayRow {
  readonly game_id: string;
  readonly values: readonly number[];
  readonly period: number;
  readonly clock_ds: number;
  readonly home_score: number;
  readonly away_score: number;
}

/** The latest vector of every play that still stands. */
const PLAYS_SQL = `SELECT p.game_id AS game_id, f.values AS values, p.period AS period,
    p.clock_remaining_ds AS clock_ds, p.home_score AS home_score, p.away_score AS away_score
  FROM (SELECT * FROM courtside.plays_current WHERE game_id IN {ids: Array(String)}) AS p
  JOIN (SELECT game_id, play_number, argMax(values, revision) AS values FROM courtside.features
    WHERE game_id IN {ids: Array(String)} GROUP BY game_id, play_number) AS f
    ON f.game_id = p.game_id AND f.play_number = p.play_number
  ORDER BY p.game_id, p.play_number`;

function* rowsOf(plays: readonly PlayRow[]): Iterable<Row> {
  let nowDs = 0;
  const runs = runLabels(
    plays.map(({ period, clock_ds: clockDs, home_score: homeScore, away_score: awayScore }) => {
      nowDs = Math.max(nowDs, gameTimeDs(period, clockDs));
      return { homeScore, awayScore, gameTimeS: nowDs / 10 };
    }),
  );
  for (const [i, play] of plays.entries()) {
    if (play.values.length !== FEATURES.length) {
      throw new SchemaMismatchError(
        `a vector of game ${play.game_id} has ${play.values.length} values, not ${FEATURES.length}`,
      );
    }
    yield {
      vector: play.values,
      homeScore: play.home_score,
      margin: play.home_score - play.away_score,
      period: play.period,
      clockRemainingS: play.clock_ds / 10,
      gameOver: i === plays.length - 1,
      homeRun: runs.home[i] === 1,
      awayRun: runs.away[i] === 1,
    };
  }
}

function queryOf(client: ClickHouseClient): Query {
  return async <T>(sql: string, params: Record<string, unknown> = {}) => {
    const result = await client.query({
      query: sql,
      query_params: params,
      format: "JSONEachRow",
      clickhouse_settings: { output_format_json_quote_64bit_integers: 1 },
    });
    return result.json<T>();
  };
}
