import type { ClickHouseClient } from "@clickhouse/client";
import { count, table } from "../io.ts";
import { gameList, isExact, type Counts } from "./completion.ts";
import type { ReplayResult } from "./pipeline.ts";

/** What `up --until-done --json` prints; times in the unit of their name. */
export interface Summary {
  readonly ok: boolean;
  readonly games: number;
  /** Rows of the source = plays + dead letters. */
  readonly rows_in: number;
  readonly plays_in: number;
  readonly plays_stored: number;
  readonly predictions: number;
  readonly dead_letters: number;
  readonly by_game: readonly GameLine[];
  readonly latency_ms: {
    readonly publish_to_prediction: Percentiles;
    readonly publish_to_row: Percentiles;
  };
  /** From the start of the command until the store had everything. */
  readonly wall_s: number;
  /** From the first play that was published until the store had everything. */
  readonly replay_s: number;
  readonly data_dir: string;
}

export interface GameLine {
  readonly game_id: string;
  readonly home: string;
  readonly away: string;
  readonly home_score: number;
  readonly away_score: number;
  /** The last one given, 0..1. */
  readonly home_win_prob: number;
  /** False for a game that breaks off in the source. */
  readonly final: boolean;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

export interface SummaryInput {
  readonly replay: ReplayResult;
  readonly counts: Counts;
  readonly wallS: number;
  readonly replayS: number;
  readonly dataDir: string;
}

/** Reads scores, probabilities and latencies of a replay from the store. */
export async function summarize(client: ClickHouseClient, input: SummaryInput): Promise<Summary> {
  const { replay, counts } = input;
  const ids = gameList(replay.games);
  const [byGame, [latency]] = await Promise.all([
    rows<GameLine>(client, gamesQuery(ids)),
    rows<{ prediction: [number, number]; row: [number, number] }>(client, latencyQuery(ids)),
  ]);
  return {
    ok: isExact(counts, replay),
    games: byGame.length,
    rows_in: replay.rows,
    plays_in: replay.plays,
    plays_stored: counts.plays,
    predictions: counts.predictions,
    dead_letters: counts.deadLetters,
    by_game: byGame,
    latency_ms: {
      publish_to_prediction: percentiles(latency?.prediction),
      publish_to_row: percentiles(latency?.row),
    },
    wall_s: rounded(input.wallS),
    replay_s: rounded(input.replayS),
    data_dir: input.dataDir,
  };
}

/** The summary for people. */
export function formatSummary(summary: Summary): string {
  const games = table(
    ["game", "away", "home", "score", "home wins"],
    summary.by_game.map((game) => [
      game.game_id,
      game.away,
      game.home,
      `${game.away_score}-${game.home_score}`,
      `${(game.home_win_prob * 100).toFixed(1)}%`,
    ]),
  );
  const { publish_to_prediction: prediction, publish_to_row: row } = summary.latency_ms;
  const facts = [
    ["games", count(summary.games)],
    ["rows in the source", count(summary.rows_in)],
    ["plays in", count(summary.plays_in)],
    ["plays stored", count(summary.plays_stored)],
    ["predictions", count(summary.predictions)],
    ["dead letters", count(summary.dead_letters)],
    ["publish to prediction", `p50 ${prediction.p50} ms, p99 ${prediction.p99} ms`],
    ["publish to row", `p50 ${row.p50} ms, p99 ${row.p99} ms`],
    ["wall time", `${summary.wall_s} s, of it ${summary.replay_s} s for the plays`],
    ["data", summary.data_dir],
  ];
  const width = Math.max(...facts.map(([name]) => name?.length ?? 0));
  const lines = facts.map(([name, value]) => `${(name ?? "").padEnd(width)}  ${value ?? ""}\n`);
  const verdict = summary.ok
    ? "Every row is accounted for.\n"
    : "The store does not have what was published: compare plays in, plays stored and predictions.\n";
  return `\n${games}\n${lines.join("")}\n${verdict}`;
}

function gamesQuery(ids: string): string {
  return `SELECT game_id, home_team AS home, away_team AS away,
      last.home_score AS home_score, last.away_score AS away_score, last.home_win_prob AS home_win_prob,
      toBool(game_id IN (SELECT game_id FROM game_results_current)) AS final
    FROM games_current AS games INNER JOIN
    (
      SELECT * FROM predictions_current WHERE game_id IN (${ids})
      ORDER BY game_id, play_number DESC LIMIT 1 BY game_id
    ) AS last USING (game_id)
    ORDER BY game_id`;
}

function latencyQuery(ids: string): string {
  return `SELECT
      arrayMap(x -> toFloat64(x), quantiles(0.5, 0.99)(publish_to_prediction_ms)) AS prediction,
      arrayMap(x -> toFloat64(x), quantiles(0.5, 0.99)(publish_to_row_ms)) AS row
    FROM play_latency
    WHERE game_id IN (${ids})`;
}

async function rows<T>(client: ClickHouseClient, query: string): Promise<T[]> {
  const result = await client.query({ query, format: "JSONEachRow" });
  return result.json<T>();
}

function percentiles([p50 = 0, p99 = 0]: readonly number[] = []): Percentiles {
  return { p50: rounded(p50), p99: rounded(p99) };
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
