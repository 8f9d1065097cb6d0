import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLog } from "../base/log.ts";
import { openClickHouse } from "../data/clickhouse/client.ts";
import { type ClickHouseChild, startClickHouse } from "../local/clickhouse/child.ts";
import { ClickHouseSink, NoDeduplicationWindowError } from "./clickhouse-sink.ts";

let folder = "";
let server: ClickHouseChild;
let client: ClickHouseClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-sink-"));
  server = await startClickHouse(join(folder, "store"));
  client = await openClickHouse(server.url);
  for (const [name, settings] of [
    ["numbers", "SETTINGS non_replicated_deduplication_window = 100"],
    ["careless", ""],
  ])
    await client.command({
      query: `CREATE TABLE courtside.${String(name)} (number UInt32, note String)
              ENGINE = MergeTree ORDER BY number ${String(settings)}`,
    });
}, 60_000);

afterAll(async () => {
  await client.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

function sink(table = "courtside.numbers", job = "test"): ClickHouseSink<number> {
  return new ClickHouseSink<number>({
    uid: "numbers",
    job,
    client,
    tables: [table],
    rows: (number, put) => put(table, { number, note: `line one\n\nline two ${String(number)}` }),
    log: silentLog,
  });
}

async function stored(): Promise<number[]> {
  const result = await client.query({
    query: "SELECT number FROM courtside.numbers ORDER BY number",
    format: "JSONEachRow",
  });
  return (await result.json<{ number: number }>()).map((row) => row.number);
}

test("a block that is committed again after a crash is in the table once", async () => {
  const before = sink();
  await before.open();
  for (const number of [1, 2, 3]) before.write(number);
  const blocks = before.seal(1);
  await before.commit(blocks);
  const after = sink();
  await after.commit(blocks);
  after.write(4);
  await after.commit(after.seal(2));
  expect(await stored()).toEqual([1, 2, 3, 4]);
});

test("rows that were not sealed are not in the table", async () => {
  const open = sink("courtside.numbers", "another");
  open.write(99);
  expect(await stored()).not.toContain(99);
  expect(open.seal(7)).toMatchObject([
    { rows: 1, token: "another/numbers/courtside.numbers/7/0", table: "courtside.numbers" },
  ]);
  expect(open.seal(8)).toEqual([]);
});

test("tables are sealed in the order of their declaration, whatever was written first", () => {
  const ordered = new ClickHouseSink<string>({
    uid: "ordered",
    job: "test",
    client,
    tables: ["games", "plays", "results"],
    rows: (table, put) => put(table, { table }),
    log: silentLog,
  });
  for (const table of ["results", "plays", "games", "plays"]) ordered.write(table);
  expect(ordered.seal(1).map((block) => block.table)).toEqual(["games", "plays", "results"]);
  expect(() => ordered.write("elsewhere")).toThrow(/does not declare table elsewhere/);
});

test("a table without a de-duplication window is refused with the statement that mends it", async () => {
  const careless = sink("courtside.careless");
  await expect(careless.open()).rejects.toThrow(NoDeduplicationWindowError);
  await expect(careless.open()).rejects.toThrow(/ALTER TABLE courtside.careless MODIFY SETTING/);
  await expect(sink("courtside.nowhere").open()).rejects.toThrow(
    /is not there; apply the migrations/,
  );
});

test("rows that do not fit the table fail at once instead of being tried for minutes", async () => {
  const wrong = sink();
  const block = {
    table: "courtside.numbers",
    token: "wrong",
    rows: 1,
    bytes: Buffer.from(`{"number":"not a number"}\n`),
  };
  await expect(wrong.commit([block])).rejects.toThrow(/did not take 1 rows/);
});
