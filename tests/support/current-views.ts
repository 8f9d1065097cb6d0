import { sql } from "./courtside.ts";

/** Views that say what holds, and the columns that identify a row in them. */
export const CURRENT_VIEWS: Readonly<Record<string, string>> = {
  games_current: "game_id",
  plays_current: "game_id, play_number",
  features_current: "game_id, play_number",
  predictions_current: "game_id, play_number",
  player_stats_current: "game_id, player_id",
  player_stats_history: "game_id, player_id, play_number",
  team_windows_current: "game_id, side, size_s, start_s",
  scoring_runs_current: "game_id, play_number",
  game_results_current: "game_id",
};

/** Columns of processing time, and those that count corrections. */
const PASSING = /^(?:ingest_time|inserted_at|predicted_at|trace_id|edition|revision|\w+_ms)$/;

/** What holds in the store of a data directory: rows and a digest over all that converges, by view. */
export async function currentDigests(data: string): Promise<Record<string, string>> {
  const names = Object.keys(CURRENT_VIEWS);
  const list = names.map((name) => `'${name}'`).join(", ");
  const columns = await sql<{ table: string; name: string }>(
    data,
    `SELECT table, name FROM system.columns WHERE database = 'courtside' AND table IN (${list})`,
  );
  const digests: Record<string, string> = {};
  const queries = names.map((name) => {
    const kept = columns.filter((column) => column.table === name && !PASSING.test(column.name));
    const row = kept.map((column) => `ifNull(toString(${column.name}), 'none')`).join(", ");
    const digest = `toString(groupBitXor(cityHash64(${row})))`;
    const { [name]: key = "" } = CURRENT_VIEWS;
    return `SELECT '${name}' AS name, concat(toString(count()), ' rows of ', toString(uniqExact(${key})), ' ', ${digest}) AS digest
      FROM courtside.${name}`;
  });
  const rows = await sql<{ name: string; digest: string }>(data, queries.join(" UNION ALL "));
  for (const { name, digest } of rows) digests[name] = digest;
  return digests;
}
