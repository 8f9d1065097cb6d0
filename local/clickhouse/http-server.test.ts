import { mkdtemp, readdir, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gunzipSync, gzipSync } from "node:zlib";
import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  createClient,
} from "@clickhouse/client";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type ClickHouseChild, startClickHouse } from "./child.ts";

// Processes and disks of a busy machine take their time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

// Errors that a test asks for are not worth a line each.
const quiet = { log: { level: ClickHouseLogLevel.OFF } };

let folder: string;
let server: ClickHouseChild;
let client: ClickHouseClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-clickhouse-"));
  server = await startClickHouse(folder);
  client = createClient({ ...quiet, url: server.url });
  await client.command({ query: "CREATE DATABASE test" });
  await client.command({
    query: `CREATE TABLE test.rows (a UInt32, s String) ENGINE = MergeTree ORDER BY a
            SETTINGS non_replicated_deduplication_window = 100`,
  });
});

afterAll(async () => {
  await client.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

async function post(
  query: string,
  body: string | Uint8Array = "",
  headers = {},
): Promise<Response> {
  return fetch(`${server.url}/?${query}`, { method: "POST", body, headers });
}

async function text(query: string, body = ""): Promise<string> {
  return (await post(query, body)).text();
}

async function firstColumn(sql: string): Promise<unknown[]> {
  const result = await client.query({ query: sql, format: "JSONCompactEachRow" });
  return (await result.json<unknown[]>()).map(([value]) => value);
}

test("the ordinary client pings, creates, inserts and reads every format", async () => {
  expect(await client.ping({ select: true })).toEqual({ success: true });
  await client.command({
    query: "CREATE TABLE test.formats (a UInt32, s String) ENGINE = MergeTree ORDER BY a",
  });
  await client.insert({ table: "test.formats", values: [{ a: 1, s: "x" }], format: "JSONEachRow" });
  await client.insert({ table: "test.formats", values: [[2, "y"]], format: "JSONCompactEachRow" });
  await client.insert({
    table: "test.formats",
    values: Readable.from(["3\tz\n"], { objectMode: false }),
    format: "TabSeparated",
  });
  const sql = "SELECT * FROM test.formats ORDER BY a";
  expect(await (await client.query({ query: sql, format: "JSON" })).json()).toMatchObject({
    data: [
      { a: 1, s: "x" },
      { a: 2, s: "y" },
      { a: 3, s: "z" },
    ],
    rows: 3,
  });
  expect(await (await client.query({ query: sql, format: "JSONEachRow" })).json()).toHaveLength(3);
  expect(await (await client.query({ query: sql, format: "TabSeparated" })).text()).toBe(
    "1\tx\n2\ty\n3\tz\n",
  );
  expect(await (await client.query({ query: sql, format: "CSVWithNames" })).text()).toBe(
    '"a","s"\n1,"x"\n2,"y"\n3,"z"\n',
  );
});

test("rows in RowBinary arrive byte for byte, compressed or not", async () => {
  await client.command({ query: "CREATE TABLE test.binary (a UInt32, s String) ENGINE = Memory" });
  const row = Buffer.concat([Buffer.from([1, 0, 0, 0, 4]), Buffer.from("\n\n;'")]);
  const query = `query=${encodeURIComponent("INSERT INTO test.binary FORMAT RowBinary")}`;
  expect((await post(query, row)).status).toBe(200);
  expect((await post(query, gzipSync(row), { "content-encoding": "gzip" })).status).toBe(200);
  expect(await firstColumn("SELECT s FROM test.binary")).toEqual(["\n\n;'", "\n\n;'"]);
  const bytes = await (
    await post("", "SELECT * FROM test.binary LIMIT 1 FORMAT RowBinary")
  ).arrayBuffer();
  expect(Buffer.from(bytes)).toEqual(row);
});

test("a blank line in inserted rows is data, and what follows is never run as SQL", async () => {
  await client.command({ query: "CREATE TABLE test.victim (a UInt8) ENGINE = Memory" });
  const rows = '{"a":1,"s":"x"}\n\nDROP TABLE test.victim\n';
  const answer = await post("", `INSERT INTO test.rows FORMAT JSONEachRow\n${rows}`);
  expect(answer.status).toBe(400);
  expect(await firstColumn("SELECT count() FROM test.victim")).toEqual([0]);
  await client.command({ query: "INSERT INTO test.rows VALUES (7, 'one\n\ntwo')" });
  expect(await firstColumn("SELECT s FROM test.rows WHERE a = 7")).toEqual(["one\n\ntwo"]);
});

test("a block with the same token is inserted once, and the token stays with its insert", async () => {
  const insert = async (a: number, token?: string): Promise<void> => {
    await client.insert({
      table: "test.rows",
      values: [{ a, s: "token" }],
      format: "JSONEachRow",
      clickhouse_settings: token === undefined ? {} : { insert_deduplication_token: token },
    });
  };
  await insert(100, "block-1");
  await insert(100, "block-1");
  // The same rows without a token are another block: a token that stayed behind would swallow it.
  for (let index = 0; index < 8; index += 1) await insert(101 + index);
  expect(await firstColumn("SELECT count() FROM test.rows WHERE s = 'token'")).toEqual([9]);
});

test("settings of a request are gone for the next one", async () => {
  const asked = "SELECT getSetting('max_block_size') != 1234, timezone()";
  for (let index = 0; index < 8; index += 1) {
    expect(await text("max_block_size=1234&session_timezone=Asia/Tokyo", asked)).toBe(
      "0\tAsia/Tokyo\n",
    );
  }
  const answers = await Promise.all(Array.from({ length: 8 }, async () => text("", asked)));
  expect(new Set(answers)).toEqual(new Set(["1\tUTC\n"]));
});

test("a statement that changes its session changes nobody else's", async () => {
  await Promise.all(Array.from({ length: 8 }, async () => text("", "SET max_threads = 77")));
  await Promise.all(Array.from({ length: 8 }, async () => text("", "USE system")));
  const asked = "SELECT getSetting('max_threads') = 77, currentDatabase()";
  const answers = await Promise.all(Array.from({ length: 8 }, async () => text("", asked)));
  expect(new Set(answers)).toEqual(new Set(["0\tdefault\n"]));
  expect(await text("database=test", "SELECT currentDatabase()")).toBe("test\n");
  expect(await text("", "SELECT currentDatabase()")).toBe("default\n");
});

test("readonly refuses writes for this request only", async () => {
  expect(await text("readonly=1", "INSERT INTO test.rows VALUES (1, 'no')")).toContain(
    "Code: 164.",
  );
  expect(await text("readonly=1", "DROP TABLE test.rows")).toContain("Code: 164.");
  await Promise.all(
    Array.from({ length: 8 }, async () => text("", "INSERT INTO test.rows VALUES (2, 'yes')")),
  );
  expect(
    await firstColumn("SELECT s, count() FROM test.rows WHERE s IN ('yes', 'no') GROUP BY s"),
  ).toEqual(["yes"]);
});

test("a session of a client's own keeps temporary tables and serves one request at a time", async () => {
  const own = createClient({ ...quiet, url: server.url, session_id: "mine" });
  await own.command({ query: "CREATE TEMPORARY TABLE numbers_of_mine (a UInt8)" });
  await own.command({ query: "INSERT INTO numbers_of_mine VALUES (5)" });
  const result = await own.query({ query: "SELECT * FROM numbers_of_mine", format: "JSONEachRow" });
  expect(await result.json()).toEqual([{ a: 5 }]);
  const slow = text("session_id=mine", "SELECT sleep(0.3)");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await text("session_id=mine", "SELECT 1")).toContain("SESSION_IS_LOCKED");
  await slow;
  expect(await text("session_id=other", "SELECT * FROM numbers_of_mine")).toContain(
    "UNKNOWN_TABLE",
  );
  await own.close();
});

test("parameters are bound, never pasted, and one of an earlier request is not used", async () => {
  const result = await client.query({
    query: "SELECT {text: String} AS t, {list: Array(UInt8)} AS l, {none: Nullable(String)} AS n",
    query_params: { text: "it's \\ a\ttab\n", list: [1, 2], none: null },
    format: "JSONEachRow",
  });
  expect(await result.json()).toEqual([{ t: "it's \\ a\ttab\n", l: [1, 2], n: null }]);
  for (let index = 0; index < 8; index += 1) {
    expect(await text("", "SELECT {text: String}")).toContain("Code: 456.");
  }
});

test("an error has ClickHouse's code in header and text, and the client reads it", async () => {
  const answer = await post("", "SELECT * FROM test.nothing");
  expect(answer.status).toBe(404);
  expect(answer.headers.get("x-clickhouse-exception-code")).toBe("60");
  const failure = await client
    .query({ query: "SELECT no_such_column" })
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ClickHouseError);
  expect(failure).toMatchObject({ code: "47", type: "UNKNOWN_IDENTIFIER" });
  expect(await text("", "selec 1")).toContain("SYNTAX_ERROR");
  expect(await text("", "SELECT 1; SELECT 2")).toContain("Multi-statements");
  expect(await text("no_such_setting=1", "SELECT 1")).toContain("UNKNOWN_SETTING");
});

test("what a statement wrote before it failed is in nobody else's answer", async () => {
  const failing =
    "SELECT number, throwIf(number = 5) FROM numbers(10) SETTINGS max_block_size = 1 FORMAT JSON";
  for (const session of ["", "session_id=failing"]) {
    for (let index = 0; index < 8; index += 1) {
      expect(await text(session, failing)).toContain("Code: 395.");
      expect(await text(session, "SELECT 'mine'")).toBe("mine\n");
    }
  }
});

test("GET reads and refuses to write", async () => {
  expect(await (await fetch(`${server.url}/?query=SELECT%201`)).text()).toBe("1\n");
  const refused = await fetch(`${server.url}/?query=DROP%20TABLE%20test.rows`);
  expect(refused.status).toBe(403);
  expect(await refused.text()).toContain("READONLY");
});

test("a big result is sent piece by piece, and an error in its middle reaches the client", async () => {
  const sql = "SELECT number, repeat('x', 100) AS s FROM numbers(300000)";
  let rows = 0;
  for await (const chunk of (await client.query({ query: sql, format: "JSONEachRow" })).stream()) {
    rows += chunk.length;
  }
  expect(rows).toBe(300_000);
  const failing =
    "SELECT throwIf(number = 290000) FROM numbers(300000) SETTINGS max_block_size = 1000";
  const broken = (await client.query({ query: failing, format: "JSONEachRow" })).json();
  await expect(broken).rejects.toThrow(/throwIf/);
});

test("answers are compressed when the client asks for it", async () => {
  const answer = await new Promise<{ encoding: string | undefined; body: Buffer }>(
    (resolve, reject) => {
      const url = `${server.url}/?enable_http_compression=1`;
      const headers = { "accept-encoding": "gzip" };
      request(url, { method: "POST", headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          resolve({ encoding: response.headers["content-encoding"], body: Buffer.concat(chunks) });
        });
      })
        .on("error", reject)
        .end("SELECT 'abc'");
    },
  );
  expect(answer.encoding).toBe("gzip");
  expect(gunzipSync(answer.body).toString()).toBe("abc\n");
  const zipped = createClient({
    ...quiet,
    url: server.url,
    compression: { request: true, response: true },
  });
  await zipped.insert({
    table: "test.rows",
    values: [{ a: 900, s: "zip" }],
    format: "JSONEachRow",
  });
  const result = await zipped.query({
    query: "SELECT s FROM test.rows WHERE a = 900",
    format: "JSONEachRow",
  });
  expect(await result.json()).toEqual([{ s: "zip" }]);
  await zipped.close();
});

test("a wrong password and a page of another origin are turned away", async () => {
  const wrong = createClient({ ...quiet, url: server.url, password: "secret" });
  const refused = await wrong.ping({ select: true });
  expect(refused.success).toBe(false);
  await wrong.close();
  const page = await post("", "SELECT 1", { origin: "http://evil.example" });
  expect(page.status).toBe(403);
});

test("the statement of a client that went away is stopped", async () => {
  const abort = new AbortController();
  const query = "SELECT sleepEachRow(1), 'left alone' FROM numbers(20) SETTINGS max_block_size = 1";
  const gone = client
    .query({ query, abort_signal: abort.signal, format: "JSON" })
    .catch((error: unknown) => error);
  const running = `SELECT count() FROM system.processes WHERE query LIKE '%left alone%' AND query NOT LIKE '%processes%'`;
  await expect.poll(async () => firstColumn(running), { timeout: 5_000 }).toEqual([1]);
  abort.abort();
  await gone;
  await expect.poll(async () => firstColumn(running), { timeout: 15_000 }).toEqual([0]);
  const answers = await Promise.all(Array.from({ length: 8 }, async () => text("", "SELECT 1")));
  expect(new Set(answers)).toEqual(new Set(["1\n"]));
});

test("two hundred inserts and reads at once all succeed, and no file of theirs is left", async () => {
  await client.command({
    query: "CREATE TABLE test.crowd (a UInt32) ENGINE = MergeTree ORDER BY a",
  });
  await Promise.all(
    Array.from({ length: 100 }, async (_, a) => {
      await client.insert({ table: "test.crowd", values: [{ a }], format: "JSONEachRow" });
      await firstColumn("SELECT count() FROM test.crowd");
    }),
  );
  expect(await firstColumn("SELECT uniqExact(a) FROM test.crowd")).toEqual([100]);
  expect(await readdir(join(folder, "spool"))).toEqual([]);
});

test("an insert without rows is no error", async () => {
  expect(
    (await post(`query=${encodeURIComponent("INSERT INTO test.rows FORMAT JSONEachRow")}`)).status,
  ).toBe(200);
  await client.insert({ table: "test.rows", values: [], format: "JSONEachRow" });
});

test("the first question of Grafana's client gets a Native block with revision 0", async () => {
  const answer = await post(
    "client_protocol_version=54475",
    "SELECT displayName(), version(), revision(), timezone()",
  );
  const bytes = Buffer.from(await answer.arrayBuffer());
  expect(answer.headers.get("x-clickhouse-format")).toBe("Native");
  expect(bytes.includes("revision()\u0006UInt32\0\0\0\0\0")).toBe(true);
});
