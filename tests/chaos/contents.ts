import { setTimeout as delay } from "node:timers/promises";
import { create, toJsonString } from "@bufbuild/protobuf";
import type { ClickHouseClient } from "@clickhouse/client";
import { jetstreamManager } from "@nats-io/jetstream";
import { fromBinary } from "@bufbuild/protobuf";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { openNats } from "../../jobs/nats.ts";
import { InsightSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { INSIGHTS_STREAM } from "../../proto/subjects.ts";
import type { Cluster, ReplayCounts } from "./cluster.ts";

/** Columns of processing time, which differ between any two runs. */
const VOLATILE = /^(?:ingest_time|predicted_at|inserted_at|trace_id|\w+_ms)$/;
export const TABLES: readonly string[] = [
  "games",
  "plays",
  "features",
  "predictions",
  "player_stats",
  "team_windows",
  "scoring_runs",
  "game_results",
  "dead_letters",
  // Its rows depend on when a window's changes came together; its latest boards do not.
  "league_leaders_current",
];
const STORED_LIMIT_MS = 120_000;

/** All rows of all tables and all messages of the output stream, each as a line. */
export interface Contents {
  readonly tables: ReadonlyMap<string, readonly string[]>;
  /** By game, in the order of the stream. */
  readonly insights: ReadonlyMap<string, readonly string[]>;
}

/** Waits until every play of the replay is in the store, and reads everything. */
export async function contentsOf(cluster: Cluster, replay: ReplayCounts): Promise<Contents> {
  const client = await openClickHouse(cluster.clickhouseUrl);
  try {
    await untilStored(client, replay);
    await untilQuiet(client);
    const tables = new Map<string, readonly string[]>();
    for (const table of TABLES) tables.set(table, await rowsOf(client, table));
    return { tables, insights: await insightsOf(cluster) };
  } finally {
    await client.close();
  }
}

/** What differs, in a few lines; empty when nothing does. */
export function differences(calm: Contents, stormy: Contents): string[] {
  const found: string[] = [];
  for (const [table, rows] of calm.tables)
    found.push(...compare(`table ${table}`, rows, stormy.tables.get(table) ?? []));
  const games = new Set([...calm.insights.keys(), ...stormy.insights.keys()]);
  for (const game of games) {
    const [before, after] = [calm.insights.get(game) ?? [], stormy.insights.get(game) ?? []];
    const differ = compare(`insights of ${game}`, before.toSorted(), after.toSorted());
    found.push(...differ);
    const at = before.findIndex((line, i) => line !== after[i]);
    if (differ.length === 0 && at >= 0)
      found.push(`insights of ${game} are in another order from message ${String(at)} on`);
  }
  return found;
}

function compare(what: string, calm: readonly string[], stormy: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of calm) counts.set(line, (counts.get(line) ?? 0) + 1);
  for (const line of stormy) counts.set(line, (counts.get(line) ?? 0) - 1);
  const lost = [...counts].filter(([, count]) => count > 0);
  const more = [...counts].filter(([, count]) => count < 0);
  if (lost.length + more.length === 0) return [];
  const show = ([line, count]: [string, number]): string =>
    `${String(count)} × ${line.slice(0, 300)}`;
  return [
    `${what}: ${String(calm.length)} rows undisturbed, ${String(stormy.length)} disturbed; ` +
      `${String(lost.length)} lost or other, ${String(more.length)} doubled or other: ` +
      [...lost.slice(0, 2), ...more.slice(0, 2)].map(show).join(" | "),
  ];
}

async function untilStored(client: ClickHouseClient, replay: ReplayCounts): Promise<void> {
  const untilMs = performance.now() + STORED_LIMIT_MS;
  const counted = async (table: string): Promise<number> => {
    const result = await client.query({
      query: `SELECT toUInt32(count()) AS n FROM courtside.${table}`,
      format: "JSONEachRow",
    });
    const [row] = await result.json<{ n: number }>();
    return row?.n ?? 0;
  };
  for (;;) {
    const [predictions, results, letters] = [
      await counted("predictions").catch(() => 0),
      await counted("game_results").catch(() => 0),
      await counted("dead_letters").catch(() => 0),
    ];
    const done =
      predictions >= replay.plays && results >= replay.finished && letters >= replay.dead_letters;
    if (done) return;
    if (performance.now() > untilMs)
      throw new Error(
        `not stored in time: ${String(predictions)} of ${String(replay.plays)} predictions, ` +
          `${String(results)} of ${String(replay.finished)} results, ${String(letters)} of ` +
          `${String(replay.dead_letters)} dead letters`,
      );
    await delay(100);
  }
}

/** Waits until the board has seen every score that is in the store. */
async function untilQuiet(client: ClickHouseClient): Promise<void> {
  for (const untilMs = performance.now() + STORED_LIMIT_MS; performance.now() < untilMs;) {
    const result = await client.query({
      query: `SELECT
        (SELECT count() FROM courtside.plays
         WHERE shot_made AND (kind = 'free_throw' OR kind = 'shot' AND shot_value > 0)) AS scores,
        (SELECT sum(c) FROM
         (SELECT max(changes) AS c FROM courtside.league_leaders GROUP BY window_start)) AS seen`,
      format: "JSONEachRow",
    });
    const [row] = await result.json<{ scores: string; seen: string }>();
    if (row !== undefined && Number(row.scores) === Number(row.seen)) return;
    await delay(200);
  }
}

async function rowsOf(client: ClickHouseClient, table: string): Promise<readonly string[]> {
  const result = await client.query({
    query: `SELECT * FROM courtside.${table}`,
    format: "JSONEachRow",
  });
  const rows = await result.json<Record<string, unknown>>();
  return rows
    .map((row) =>
      JSON.stringify(
        Object.fromEntries(Object.entries(row).filter(([key]) => !VOLATILE.test(key))),
      ),
    )
    .toSorted();
}

/** Every message as it lies in the stream: readers' refusing of repeats is not counted on. */
async function insightsOf(cluster: Cluster): Promise<Map<string, string[]>> {
  const connection = await openNats(cluster.natsUrl, { name: "chaos" });
  const found = new Map<string, string[]>();
  try {
    const manager = await jetstreamManager(connection);
    const { state } = await manager.streams.info(INSIGHTS_STREAM);
    for (let sequence = state.first_seq; sequence <= state.last_seq && state.messages > 0;) {
      const many = Array.from({ length: 64 }, (_, i) => sequence + i).filter(
        (each) => each <= state.last_seq,
      );
      const messages = await Promise.all(
        many.map(async (seq) => manager.streams.getMessage(INSIGHTS_STREAM, { seq })),
      );
      for (const message of messages) {
        if (message === null) continue;
        const { gameId, body } = fromBinary(InsightSchema, message.data);
        const lines = found.get(gameId) ?? [];
        lines.push(lineOf(gameId, body));
        found.set(gameId, lines);
      }
      sequence += many.length;
    }
  } finally {
    await connection.close();
  }
  return found;
}

function lineOf(
  gameId: string,
  body: ReturnType<typeof fromBinary<typeof InsightSchema>>["body"],
): string {
  if (body.case === "play") {
    if (body.value.play !== undefined) body.value.play.ingestTimeMs = 0n;
    if (body.value.prediction !== undefined) {
      body.value.prediction.predictedTimeMs = 0n;
      body.value.prediction.traceId = "";
    }
  }
  return toJsonString(InsightSchema, create(InsightSchema, { gameId, body }));
}
