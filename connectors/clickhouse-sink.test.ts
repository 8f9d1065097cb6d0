import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLog } from "../base/log.ts";
import { openClickHouse } from "../data/clickhouse/client.ts";
import { type ClickHouseChild, startClickHouse } from "../local/clickhouse/child.ts";
import { describeTransactionalSinkContract } from "../testing/transactional-sink-contract.ts";
import { ClickHouseSink } from "./clickhouse-sink.ts";
import { NoDeduplicationWindowError } from "./clickhouse-windows.ts";

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

async function stored(table = "courtside.numbers"): Promise<number[]> {
  const result = await client.query({
    query: `SELECT number FROM ${table} ORDER BY number`,
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

const REMEMBERS = "SETTINGS non_replicated_deduplication_window = 100";

/** `views_<name>` remembers blocks; what its views fill is up to the test. */
async function withViews(name: string, ...statements: string[]): Promise<string> {
  const table = `courtside.views_${name}`;
  const columns = "(number UInt32, note String) ENGINE = MergeTree ORDER BY number";
  await client.command({ query: `CREATE TABLE ${table} ${columns} ${REMEMBERS}` });
  for (const statement of statements)
    await client.command({
      query: statement.replaceAll("$table", table).replaceAll("$columns", columns),
    });
  return table;
}

test("a block that comes again is not doubled behind materialised views that remember it", async () => {
  const table = await withViews(
    "good",
    `CREATE TABLE $table_to $columns ${REMEMBERS}`,
    "CREATE MATERIALIZED VIEW $table_1 TO $table_to AS SELECT * FROM $table",
    `CREATE MATERIALIZED VIEW $table_2 ENGINE = MergeTree ORDER BY number ${REMEMBERS}
       AS SELECT number FROM $table_to`,
    "CREATE VIEW $table_plain AS SELECT * FROM $table",
  );
  const good = sink(table);
  await good.open();
  for (const number of [1, 2, 3]) good.write(number);
  const blocks = good.seal(1);
  await good.commit(blocks);
  await good.commit(blocks);
  const counts = await client.query({
    query: `SELECT (SELECT count() FROM ${table}_to) AS first, (SELECT count() FROM ${table}_2) AS second`,
    format: "JSONEachRow",
  });
  expect(await counts.json()).toMatchObject([{ first: 3, second: 3 }]);
});

test.each([
  [
    "of another table",
    "elsewhere",
    "CREATE TABLE `courtside`.`odd name` $columns",
    "CREATE MATERIALIZED VIEW $table_1 TO courtside.`odd name` AS SELECT * FROM $table",
    /courtside\.`odd name`, which the materialised view courtside\.views_elsewhere_1 fills.*ALTER TABLE courtside\.`odd name`/,
  ],
  [
    "of a table of its own",
    "own",
    "SELECT 1",
    "CREATE MATERIALIZED VIEW $table_1 ENGINE = MergeTree ORDER BY number AS SELECT * FROM $table",
    /`\.inner(?:_id\.[0-9a-f-]{36}|\.views_own_1)`, which the materialised view courtside\.views_own_1/,
  ],
])(
  "a materialised view %s that remembers no blocks is refused, and not when mended",
  async (_what, name, ...rest) => {
    const [table, view, message] = rest;
    const source = await withViews(name, table, view);
    const error = await sink(source)
      .open()
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    expect(error).toBeInstanceOf(NoDeduplicationWindowError);
    expect((error as Error).message).toMatch(message);
    const [, mend = ""] = /; run (ALTER .*)$/.exec((error as Error).message) ?? [];
    await client.command({ query: mend });
    await sink(source).open();
  },
);

test("a view behind a table that keeps nothing is looked at too", async () => {
  const table = await withViews(
    "chain",
    "CREATE TABLE $table_null (number UInt32, note String) ENGINE = Null",
    "CREATE MATERIALIZED VIEW $table_1 TO $table_null AS SELECT * FROM $table",
    "CREATE TABLE $table_end $columns",
    "CREATE MATERIALIZED VIEW $table_2 TO $table_end AS SELECT * FROM $table_null",
  );
  await expect(sink(table).open()).rejects.toThrow(/views_chain_end, which .*views_chain_2 fills/);
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

describe("as every transactional sink", () => {
  let places = 0;
  describeTransactionalSinkContract(async () => {
    places += 1;
    const table = await withViews(`contract_${String(places)}`);
    return { start: (job) => sink(table, job), stored: async () => stored(table) };
  });
});
