import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from "@clickhouse/client";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { migrate } from "../../data/clickhouse/migrate.ts";
import { hostileSql } from "../../tests/support/hostile-sql.ts";
import { type ClickHouseChild, startClickHouse } from "./child.ts";

// Each limit is reached for real, some only after seconds.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 60_000 });

const SECRET = "the-secret-of-the-file";

let folder: string;
let server: ClickHouseChild;
let admin: ClickHouseClient;
let reader: ClickHouseClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-reader-"));
  await writeFile(join(folder, "secret.txt"), `${SECRET}\n`);
  server = await startClickHouse(join(folder, "store"));
  admin = await openClickHouse(server.url);
  await migrate(admin);
  const values = Array.from({ length: 100 }, (_, i) => ({ game_id: "g", play_number: i + 1 }));
  await admin.insert({ table: "plays", values, format: "JSONEachRow" });
  reader = createClient({
    url: server.url,
    username: "reader",
    database: "courtside",
    log: { level: ClickHouseLogLevel.OFF },
  });
});

afterAll(async () => {
  await admin.close();
  await reader.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

async function ask(sql: string, query = ""): Promise<{ status: number; text: string }> {
  const url = `${server.url}/?database=courtside&max_execution_time=2${query}`;
  const headers = { "X-ClickHouse-User": "reader" };
  const response = await fetch(url, { method: "POST", body: sql, headers });
  return { status: response.status, text: await response.text() };
}

async function state(): Promise<unknown> {
  const result = await admin.query({
    query: `SELECT (SELECT count() FROM courtside.plays) AS plays,
      (SELECT groupArray(name) FROM (SELECT name FROM system.tables WHERE database = 'courtside' ORDER BY name)) AS tables,
      (SELECT groupArray(name) FROM (SELECT name FROM system.databases ORDER BY name)) AS databases,
      (SELECT groupArray(name) FROM (SELECT name FROM system.functions WHERE origin != 'System')) AS functions`,
    format: "JSONEachRow",
  });
  return result.json();
}

test("hostile statements read no file, write nothing, call nobody, and each gets a clear error", async () => {
  let calls = 0;
  const trap = createServer((socket) => {
    calls += 1;
    socket.destroy();
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => trap.once("listening", resolve));
  const outFile = join(folder, "stolen.csv");
  const texts = hostileSql({
    secretFile: join(folder, "secret.txt"),
    outFile,
    url: `http://127.0.0.1:${(trap.address() as AddressInfo).port}/`,
  });
  expect(new Set(texts).size).toBeGreaterThanOrEqual(200);
  const before = await state();
  const bad: string[] = [];
  for (const sql of texts) {
    const { status, text } = await ask(sql);
    const shown = `${sql.slice(0, 100)} => ${status} ${text.slice(0, 200)}`;
    const isEmpty = sql.trim() === "";
    const refused = status >= 400 && /^Code: \d+\. DB::Exception: .+/.test(text);
    const broken = status === 200 && text.includes("__exception__");
    if (text.includes(SECRET) || !(refused || broken || isEmpty)) bad.push(shown);
    if (text.length > 10_000 && !broken) bad.push(`long: ${shown}`);
  }
  expect(bad).toEqual([]);
  expect(calls).toBe(0);
  expect(existsSync(outFile)).toBe(false);
  expect((await readdir(folder)).toSorted()).toEqual(["secret.txt", "store"]);
  expect(await state()).toEqual(before);
  expect(await ask("SELECT 1")).toEqual({ status: 200, text: "1\n" });
  trap.close();
});

test("settings in the address cannot lift a limit, keep a session or name a schema file", async () => {
  for (const query of [
    "&readonly=0",
    "&readonly=2",
    "&allow_ddl=1",
    "&max_execution_time=0",
    "&max_memory_usage=0",
    "&session_id=mine",
    "&format_schema=%2Fetc%2Fpasswd:x",
    "&role=admin",
    "&allow_introspection_functions=1",
    "&max_result_rows=999999999999",
  ]) {
    const { text } = await ask("SELECT count() FROM numbers(3) SETTINGS readonly = 0", query);
    expect(text, query).toMatch(/^Code: \d+\. DB::Exception/);
    const big = await ask("SELECT number FROM numbers(1000001)", query);
    expect(big.text, query).toMatch(/Code: \d+\. DB::Exception/);
  }
});

test("what analysts ask is answered: joins, windows, parameters, formats, the catalogue, harmless words", async () => {
  const answered = async (sql: string, query = ""): Promise<string> => {
    const { status, text } = await ask(sql, query);
    expect(status, `${sql}: ${text}`).toBe(200);
    return text;
  };
  expect(await answered("SELECT count() FROM plays")).toBe("100\n");
  expect(
    await answered(
      "WITH x AS (SELECT * FROM plays) SELECT max(play_number) FROM x JOIN plays AS p USING (game_id)",
    ),
  ).toBe("100\n");
  expect(
    await answered(
      "SELECT sum(n) FROM (SELECT row_number() OVER (ORDER BY play_number) AS n FROM plays)",
    ),
  ).toBe("5050\n");
  expect(await answered("SELECT {a: UInt8} + 1", "&param_a=41")).toBe("42\n");
  expect(await answered("SELECT 1 AS a FORMAT JSONEachRow")).toBe('{"a":1}\n');
  expect(await answered("SHOW TABLES LIKE 'play%s'")).toContain("plays\n");
  expect(await answered("DESCRIBE TABLE plays")).toContain("play_number");
  expect(await answered("EXPLAIN indexes = 1 SELECT * FROM plays WHERE game_id = 'g'")).toContain(
    "PrimaryKey",
  );
  expect(await answered("SELECT 'file(', 'INTO OUTFILE', 1 AS `DROP TABLE`")).toContain("file(");
  expect(await answered("SELECT sum(number) FROM numbers(10)")).toBe("45\n");
  expect(await answered("SELECT name FROM system.columns WHERE table = 'plays' LIMIT 1")).not.toBe(
    "",
  );
  const rows = await reader.query({
    query: "SELECT play_number FROM plays WHERE play_number < {n: UInt32} ORDER BY 1",
    query_params: { n: 3 },
    format: "JSONEachRow",
  });
  expect(await rows.json()).toEqual([{ play_number: 1 }, { play_number: 2 }]);
  expect((await reader.ping({ select: true })).success).toBe(true);
});

test("the console at /play is a page that asks as the reader", async () => {
  const response = await fetch(`${server.url}/play`);
  expect(response.headers.get("content-type")).toContain("text/html");
  expect(await response.text()).toContain("user=reader");
});
