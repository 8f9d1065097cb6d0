import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { openClickHouse } from "../data/clickhouse/client.ts";
import { migrate } from "../data/clickhouse/migrate.ts";
import { FEATURE_SCHEMA_HASH, FEATURES } from "../features/mod.ts";
import { type ClickHouseChild, startClickHouse } from "../local/clickhouse/child.ts";
import { SchemaMismatchError } from "../serving/model/registry.ts";
import { collect, EmptyDatasetError } from "./dataset.ts";
import { SplitError } from "./split.ts";
import { HalfWrittenError, planTableSplit, tableGames } from "./table-games.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let server: ClickHouseChild;
let client: ClickHouseClient;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "courtside-tables-"));
  server = await startClickHouse(folder);
  client = await openClickHouse(server.url);
  await migrate(client);
});

afterAll(async () => {
  await client.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

beforeEach(async () => {
  for (const table of ["games", "game_results", "plays", "features"]) {
    await client.command({ query: `TRUNCATE TABLE courtside.${table}` });
  }
});

const PLAYS = 4;

interface Written {
  readonly season: number;
  readonly hash?: string;
  /** Vectors of its four plays that are there. */
  readonly vectors?: number;
  readonly result?: boolean;
}

/** A game as the job writes it: four plays, a point for the home side on each. */
async function write(
  gameId: string,
  { season, hash, vectors = PLAYS, result = true }: Written,
): Promise<void> {
  const insert = async (table: string, values: object[]): Promise<void> => {
    await client.insert({ table: `courtside.${table}`, values, format: "JSONEachRow" });
  };
  const names = { home_team: "HER", away_team: "FOX", game_date: `${season}-11-01` };
  await insert("games", [
    { game_id: gameId, league: "nba", season, season_type: "regular", ...names },
  ]);
  const nameOf = (i: number): object => ({ game_id: gameId, play_number: i + 1, revision: 1 });
  const numbers = [0, 1, 2, 3];
  const plays = numbers.map((i) =>
    Object.assign(nameOf(i), {
      period: i + 1,
      clock_remaining_ds: 0,
      home_score: i + 1,
      away_score: 0,
      retracted: false,
    }),
  );
  await insert("plays", plays);
  const rows = numbers.slice(0, vectors).map((i) =>
    Object.assign(nameOf(i), {
      schema_hash: hash ?? FEATURE_SCHEMA_HASH,
      values: FEATURES.map((_, j) => i + j / 64),
    }),
  );
  await insert("features", rows);
  if (result)
    await insert("game_results", [{ game_id: gameId, home_score: 4, away_score: 0, plays: PLAYS }]);
}

const plan = (): ReturnType<typeof planTableSplit> =>
  planTableSplit(client, ["2031-32"], "2032-33");

test("what the job wrote is read play by play, in order, with results", async () => {
  await write("0023100001", { season: 2031 });
  await write("0023200001", { season: 2032 });
  const { training, heldOut } = await plan();
  expect([training, heldOut]).toMatchObject([[{ startYear: 2031 }], { startYear: 2032 }]);
  const data = await collect(tableGames(client, heldOut), { features: FEATURES.length });
  expect(data).toMatchObject({ games: 1, rows: PLAYS, gameIds: ["0023200001"] });
  expect(data.gameNames).toMatchObject([{ date: "2032-11-01", home: "HER", away: "FOX" }]);
  expect([...data.margin]).toEqual([1, 2, 3, 4]);
  expect([...data.gameOver]).toEqual([0, 0, 0, 1]);
  expect(data.values[FEATURES.length + 1]).toBe(1 + 1 / 64);
});

test("a corrected play counts by its latest vector, one that was taken back not at all", async () => {
  await write("0023100001", { season: 2031 });
  await write("0023200001", { season: 2032 });
  const second = { game_id: "0023200001", play_number: 2, revision: 2 };
  const values = [{ ...second, schema_hash: FEATURE_SCHEMA_HASH, values: FEATURES.map(() => 9) }];
  await client.insert({ table: "courtside.features", values, format: "JSONEachRow" });
  const third = { game_id: "0023200001", play_number: 3, revision: 2, retracted: true };
  await client.insert({ table: "courtside.plays", values: [third], format: "JSONEachRow" });
  const { heldOut } = await plan();
  const data = await collect(tableGames(client, heldOut), { features: FEATURES.length });
  expect(data.rows).toBe(PLAYS - 1);
  expect(data.values[FEATURES.length]).toBe(9);
});

test("an empty store, a foreign schema, a missing season, one without results, and half a game are refused by name", async () => {
  await expect(plan()).rejects.toThrow(EmptyDatasetError);
  await write("0023100001", { season: 2031 });
  await expect(plan()).rejects.toThrow(/no regular season 2032-33; it has 2031-32/u);
  await write("0023200001", { season: 2032, result: false });
  await expect(plan()).rejects.toThrow(/2032-33 has 1 games in the store and no result/u);
  await expect(plan()).rejects.toThrow(SplitError);
  await write("0023200002", { season: 2032, vectors: 2 });
  await expect(plan()).rejects.toThrow(/0023200002 \(2 vectors for 4 plays\)/u);
  await expect(plan()).rejects.toThrow(HalfWrittenError);
  await write("0023200003", { season: 2032, hash: "0123456789abcdef" });
  await expect(plan()).rejects.toThrow(SchemaMismatchError);
});
