import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type ClickHouseChild, startClickHouse } from "../../local/clickhouse/child.ts";
import { openClickHouse, StoreUnreachableError } from "./client.ts";
import { migrate, MigrationChangedError, MigrationError } from "./migrate.ts";

// Processes and disks of a busy machine take their time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let folder: string;
let server: ClickHouseChild;
let client: ClickHouseClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-migrate-"));
  server = await startClickHouse(join(folder, "store"));
  client = await openClickHouse(server.url);
});

afterAll(async () => {
  await client.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

async function rowsOf<Row>(query: string): Promise<Row[]> {
  return (await client.query({ query, format: "JSONEachRow" })).json<Row>();
}

async function valueOf(expression: string): Promise<unknown> {
  const [row] = await rowsOf<{ value: unknown }>(`SELECT ${expression} AS value`);
  return row?.value;
}

test("processes that start together end with one schema, recorded once", async () => {
  await Promise.all([migrate(client), migrate(client), migrate(client)]);
  const history = await rowsOf<{ name: string }>(
    "SELECT name FROM schema_migrations ORDER BY name",
  );
  const names = history.map((row) => row.name);
  expect(names.length).toBeGreaterThanOrEqual(4);
  expect(names).toEqual([...new Set(names)]);
  expect(await migrate(client)).toEqual([]);
});

test("every table that the job writes refuses to insert a block twice", async () => {
  const without = await rowsOf(
    `SELECT name FROM system.tables WHERE database = 'courtside' AND engine = 'MergeTree'
       AND name NOT LIKE 'otel%' AND create_table_query NOT LIKE '%non_replicated_deduplication_window = 10000%'`,
  );
  expect(without).toEqual([]);
});

test("the latest revision of a play is current, and a play that was taken back is not", async () => {
  const play = (play_number: number, revision: number, retracted = false): object => ({
    game_id: "0022300001",
    play_number,
    revision,
    retracted,
    kind: "shot",
    event_time: 1_700_000_000_123,
    ingest_time: 1_700_000_000_456,
    shot_x_ft: null,
  });
  const values = [play(1, 1), play(2, 1), play(2, 2), play(3, 1), play(3, 2, true)];
  await client.insert({ table: "plays", values, format: "JSONEachRow" });
  expect(
    await rowsOf("SELECT play_number, revision FROM plays_current ORDER BY play_number"),
  ).toEqual([
    { play_number: 1, revision: 1 },
    { play_number: 2, revision: 2 },
  ]);
  expect(await rowsOf("SELECT DISTINCT event_time, shot_x_ft FROM plays")).toEqual([
    { event_time: "2023-11-14 22:13:20.123", shot_x_ft: null },
  ]);
});

test("the current views read only the game that was asked for", async () => {
  for (const view of ["plays_current", "predictions_current", "player_stats_current"]) {
    const plan = await (
      await client.query({
        query: `EXPLAIN indexes = 1 SELECT * FROM ${view} WHERE game_id = '0022300001'`,
        format: "TabSeparated",
      })
    ).text();
    const filter = plan.indexOf("game_id = ");
    expect(filter, plan).toBeGreaterThan(plan.indexOf("LimitBy"));
  }
});

test("latency runs from the publish of a play to its prediction and to its row", async () => {
  const now = Date.now();
  const prediction = {
    game_id: "g",
    play_number: 1,
    revision: 1,
    ingest_time: now - 2000,
    predicted_at: now - 1990,
  };
  await client.insert({ table: "predictions", values: [prediction], format: "JSONEachRow" });
  const [row] = await rowsOf<Record<string, number>>(
    "SELECT publish_to_prediction_ms, publish_to_row_ms FROM play_latency WHERE game_id = 'g'",
  );
  expect(row?.["publish_to_prediction_ms"]).toBe(10);
  expect(row?.["publish_to_row_ms"]).toBeGreaterThanOrEqual(2000);
  expect(row?.["publish_to_row_ms"]).toBeLessThan(10_000);
});

test("the last line of a player is current", async () => {
  const line = (player_id: number, play_number: number, points: number): object => ({
    game_id: "g",
    player_id,
    play_number,
    points,
  });
  const values = [line(1, 5, 2), line(1, 9, 4), line(2, 7, 3)];
  await client.insert({ table: "player_stats", values, format: "JSONEachRow" });
  expect(
    await rowsOf("SELECT player_id, points FROM player_stats_current ORDER BY player_id"),
  ).toEqual([
    { player_id: 1, points: 4 },
    { player_id: 2, points: 3 },
  ]);
});

test("a refused statement is named with its file, and the files before it stay applied", async () => {
  const migrations = await mkdtemp(join(folder, "migrations-"));
  await writeFile(
    join(migrations, "900_good.sql"),
    "CREATE TABLE IF NOT EXISTS good (a UInt8) ENGINE = Memory;\n",
  );
  await writeFile(
    join(migrations, "901_bad.sql"),
    "-- A comment; with a semicolon.\nCREATE TABLE IF NOT EXISTS fine (a UInt8) ENGINE = Memory;\n\nCREATE TABLE bad (a Nonsense) ENGINE = Memory;\n",
  );
  const error: unknown = await migrate(client, migrations).catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(MigrationError);
  expect(error).toMatchObject({
    file: "901_bad.sql",
    statement: "CREATE TABLE bad (a Nonsense) ENGINE = Memory",
  });
  expect((error as Error).message).toMatch(/901_bad\.sql failed: .*Nonsense/);
  expect(await valueOf("(SELECT count() FROM schema_migrations WHERE name LIKE '90%')")).toBe(1);
});

test("a migration that was edited after it was applied is refused", async () => {
  const migrations = await mkdtemp(join(folder, "migrations-"));
  const file = join(migrations, "910_edited.sql");
  await writeFile(file, "CREATE TABLE IF NOT EXISTS edited (a UInt8) ENGINE = Memory;\n");
  await migrate(client, migrations);
  await writeFile(file, "CREATE TABLE IF NOT EXISTS edited (a UInt16) ENGINE = Memory;\n");
  await expect(migrate(client, migrations)).rejects.toThrow(MigrationChangedError);
});

test("nothing that listens is a clear error, at once or after the wait that was asked for", async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  const url = `http://127.0.0.1:${port}`;
  const error: unknown = await openClickHouse(url, { waitMs: 0 }).catch(
    (failure: unknown) => failure,
  );
  expect(error).toBeInstanceOf(StoreUnreachableError);
  expect((error as Error).message).toMatch(
    /ClickHouse at .* does not answer: .*ECONNREFUSED.*--clickhouse-url/,
  );
  const startedMs = performance.now();
  await expect(openClickHouse(url, { waitMs: 300 })).rejects.toThrow(StoreUnreachableError);
  expect(performance.now() - startedMs).toBeGreaterThan(150);
});

test("a store that is being started is waited for", async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  const opening = openClickHouse(`http://127.0.0.1:${port}`);
  const late = await startClickHouse(join(folder, "late"), port);
  const opened = await opening;
  expect(
    await (
      await opened.query({ query: "SELECT currentDatabase()", format: "TabSeparated" })
    ).text(),
  ).toBe("courtside\n");
  await opened.close();
  await late.stop();
});
