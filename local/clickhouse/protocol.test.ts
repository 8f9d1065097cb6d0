import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import {
  type ClickHouseClient,
  ClickHouseLogLevel,
  createClient,
  type DataFormat,
} from "@clickhouse/client";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type ClickHouseChild, startClickHouse } from "./child.ts";

/** What the suites of clickhouse-js, clickhouse-go and clickhouse-connect hold a server to, in our words. */

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let folder: string;
let server: ClickHouseChild;
let client: ClickHouseClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-protocol-"));
  server = await startClickHouse(folder);
  client = createClient({ url: server.url, log: { level: ClickHouseLogLevel.OFF } });
});

afterAll(async () => {
  await client.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

const TABLE_DDL = "(id UInt64, name String, sku Array(UInt8)) ENGINE = MergeTree ORDER BY id";

async function table(name: string): Promise<string> {
  await client.command({ query: `CREATE TABLE ${name} ${TABLE_DDL}` });
  return name;
}

async function rowsOf(query: string): Promise<unknown[]> {
  return (await client.query({ query, format: "JSONEachRow" })).json();
}

test("every format that the client writes is read back as it was", async () => {
  await table("formats");
  const insert = async (format: DataFormat, values: unknown): Promise<void> => {
    await client.insert({ table: "formats", format, values: values as never });
    const got = await rowsOf("SELECT name, sku FROM formats WHERE id = 42");
    expect(got, format).toEqual([{ name: "a\n\nb", sku: [1, 2] }]);
    await client.command({ query: "TRUNCATE TABLE formats" });
  };
  const object = { id: "42", name: "a\n\nb", sku: [1, 2] };
  const array = ["42", "a\n\nb", [1, 2]];
  const names = ["id", "name", "sku"];
  const types = ["UInt64", "String", "Array(UInt8)"];
  const meta = names.map((name, i) => ({ name, type: types[i] ?? "" }));
  await insert("JSON", { meta, data: [object] });
  await insert("JSONCompact", { meta, data: [array] });
  await insert("JSONColumnsWithMetadata", {
    meta,
    data: { id: ["42"], name: ["a\n\nb"], sku: [[1, 2]] },
  });
  await insert("JSONObjectEachRow", { row_1: object });
  for (const format of ["JSONEachRow", "JSONStringsEachRow"] as const)
    await insert(format, [format === "JSONEachRow" ? object : { ...object, sku: "[1,2]" }]);
  await insert("JSONCompactEachRow", [array]);
  await insert("JSONCompactEachRowWithNames", [names, array]);
  await insert("JSONCompactEachRowWithNamesAndTypes", [names, types, array]);
  await insert("JSONCompactStringsEachRow", [["42", "a\n\nb", "[1,2]"]]);
  const text: readonly (readonly [DataFormat, string])[] = [
    ["CSV", '42,"a\n\nb","[1,2]"\n'],
    ["CSVWithNames", 'id,name,sku\n42,"a\n\nb","[1,2]"\n'],
    ["CSVWithNamesAndTypes", 'id,name,sku\nUInt64,String,"Array(UInt8)"\n42,"a\n\nb","[1,2]"\n'],
    ["TabSeparated", "42\ta\\n\\nb\t[1,2]\n"],
    ["TabSeparatedWithNames", "id\tname\tsku\n42\ta\\n\\nb\t[1,2]\n"],
    [
      "TabSeparatedWithNamesAndTypes",
      "id\tname\tsku\nUInt64\tString\tArray(UInt8)\n42\ta\\n\\nb\t[1,2]\n",
    ],
    ["CustomSeparated", "42\ta\\n\\nb\t[1,2]\n"],
  ];
  for (const [format, body] of text)
    await insert(format, Readable.from([body], { objectMode: false }));
  const parquet = await client.exec({
    query: "SELECT toUInt64(42) AS id, 'a\\n\\nb' AS name, [toUInt8(1), 2] AS sku FORMAT Parquet",
  });
  await insert("Parquet", parquet.stream);
});

test("every format that the client reads has the rows once, header and footer once, at any size", async () => {
  for (const rows of [0, 3, 200_000]) {
    const query = `SELECT number AS a, toString(number) AS b FROM numbers(${rows})`;
    for (const format of ["JSON", "JSONStrings", "JSONCompact", "JSONCompactStrings"] as const) {
      const answer = await (await client.query({ query, format })).json<unknown>();
      expect(answer.rows, format).toBe(rows);
      expect(answer.data).toHaveLength(rows);
      expect(answer.meta?.map(({ name }) => name)).toEqual(["a", "b"]);
    }
    for (const format of [
      "JSONEachRow",
      "JSONStringsEachRow",
      "JSONCompactEachRow",
      "JSONCompactStringsEachRow",
    ] as const) {
      let count = 0;
      for await (const chunk of (await client.query({ query, format })).stream())
        count += chunk.length;
      expect(count, format).toBe(rows);
    }
    for (const [format, extra] of [
      ["CSV", 0],
      ["CSVWithNames", 1],
      ["CSVWithNamesAndTypes", 2],
      ["TabSeparated", 0],
      ["TabSeparatedRaw", 0],
      ["TabSeparatedWithNames", 1],
      ["TabSeparatedWithNamesAndTypes", 2],
      ["CustomSeparatedWithNames", 1],
    ] as const) {
      const text = await (await client.query({ query, format })).text();
      expect(text.split("\n").length - 1, format).toBe(rows + extra);
    }
  }
});

test("rows with their progress, and totals and extremes, come in the formats that have them", async () => {
  const lines: string[] = [];
  const query = "SELECT number FROM numbers(3)";
  const result = await client.query({ query, format: "JSONEachRowWithProgress" });
  for await (const chunk of result.stream()) lines.push(...chunk.map(({ text }) => text));
  expect(lines.filter((line) => line.startsWith('{"row"'))).toHaveLength(3);
  expect(lines.some((line) => line.startsWith('{"progress"'))).toBe(true);
  const totals = await client.query({
    query: "SELECT number % 2 AS a, count() AS n FROM numbers(4) GROUP BY a WITH TOTALS ORDER BY a",
    format: "JSON",
    clickhouse_settings: { extremes: 1 },
  });
  expect(await totals.json()).toMatchObject({
    totals: { n: 4 },
    extremes: { min: { n: 2 } },
    statistics: { rows_read: 4 },
  });
});

test("an error carries code and type, before any row and in the middle of the rows, in every streamed format", async () => {
  const error = async (query: string): Promise<unknown> =>
    client.query({ query }).then(
      (result) => result.text(),
      (cause: unknown) => cause,
    );
  expect(await error("SELECT number FROM FROM FROM")).toMatchObject({ code: "62" });
  expect(await error("SELECT foo FROM numbers(3)")).toMatchObject({ code: "47" });
  expect(await error("SELECT * FROM nowhere")).toMatchObject({ code: "60", type: "UNKNOWN_TABLE" });
  expect(await error("SELECT * FROM a.b")).toMatchObject({ code: "81" });
  const query =
    "SELECT throwIf(number = 290000) AS a FROM numbers(300000) SETTINGS max_block_size = 1000";
  for (const format of ["JSONEachRow", "JSONCompactEachRow", "CSV", "TabSeparated"] as const) {
    const result = await client.query({ query, format });
    const read = async (): Promise<void> => {
      for await (const _ of result.stream()) void _;
    };
    await expect(read(), format).rejects.toThrow(/throwIf/);
  }
  for (const format of ["JSON", "JSONCompact", "CSVWithNames"] as const)
    await expect(client.query({ query, format }), format).rejects.toThrow(/throwIf/);
});

test("parameters of all kinds are bound, and a missing one is an error", async () => {
  const result = await client.query({
    query: `SELECT {a: Int32} AS a, {s: String} AS s, {l: Array(String)} AS l, {n: Nullable(String)} AS n,
      {m: Map(String, UInt8)} AS m, {d: DateTime64(3)} AS d, {b: Bool} AS b`,
    query_params: {
      a: -5,
      s: 'it\'s\t\\a\n\n"line"',
      l: ["x'y", "\\"],
      n: null,
      m: { k: 1 },
      d: new Date("2024-01-02T03:04:05.678Z"),
      b: true,
    },
    format: "JSONEachRow",
  });
  const [row] = await result.json<Record<string, unknown>>();
  expect(row).toMatchObject({
    a: -5,
    s: 'it\'s\t\\a\n\n"line"',
    l: ["x'y", "\\"],
    n: null,
    b: true,
  });
  expect(row?.["d"]).toBe("2024-01-02 03:04:05.678");
  await expect(client.query({ query: "SELECT {gone: UInt8}" })).rejects.toMatchObject({
    code: "456",
    type: "UNKNOWN_QUERY_PARAMETER",
  });
});

test("a command and an insert tell what they wrote, and a query what it read", async () => {
  await table("summaries");
  const command = await client.command({
    query: "INSERT INTO summaries VALUES (1, 'a', [1]), (2, 'b', [2])",
    clickhouse_settings: { wait_end_of_query: 1 },
  });
  expect(command.summary).toMatchObject({ written_rows: "2", read_rows: "2", result_rows: "2" });
  const values = [{ id: 3, name: "c", sku: [] }];
  const insert = await client.insert({ table: "summaries", values, format: "JSONEachRow" });
  expect(insert.summary).toMatchObject({ written_rows: "1", total_rows_to_read: "0" });
  const result = await client.query({ query: "SELECT count() FROM numbers(1000)", format: "JSON" });
  const summary = JSON.parse(String(result.response_headers["x-clickhouse-summary"])) as unknown;
  expect(summary).toMatchObject({ read_rows: "1000", result_rows: "1" });
});

test("system.query_log has the start and the end of each statement under the client's id, for good", async () => {
  await table("logged");
  const ids = { good: "my-good-query", bad: "my-bad-query", insert: "my-insert" };
  await client.query({ query: "SELECT * FROM logged", query_id: ids.good, format: "JSON" });
  await client.query({ query: "SELECT nothing", query_id: ids.bad }).catch(() => undefined);
  const values = [{ id: 1, name: "x", sku: [] }];
  await client.insert({ table: "logged", values, format: "JSONEachRow", query_id: ids.insert });
  await client.command({ query: "SYSTEM FLUSH LOGS" });
  const log = await rowsOf(
    `SELECT query_id, type, trim(query) AS query, query_kind, written_rows, exception_code, user FROM system.query_log
     WHERE query_id LIKE 'my-%' ORDER BY query_id, type`,
  );
  expect(log).toMatchObject([
    { query_id: ids.bad, type: "QueryStart" },
    { query_id: ids.bad, type: "ExceptionWhileProcessing", exception_code: 47 },
    {
      query_id: ids.good,
      type: "QueryStart",
      query: expect.stringContaining("SELECT * FROM logged") as string,
    },
    { query_id: ids.good, type: "QueryFinish", query_kind: "SELECT", user: "default" },
    { query_id: ids.insert, type: "QueryStart", query: "INSERT INTO logged FORMAT JSONEachRow" },
    { query_id: ids.insert, type: "QueryFinish", written_rows: 1, query_kind: "INSERT" },
  ]);
});

test("KILL QUERY and system.processes know the id that the client gave", async () => {
  const query_id = "to-be-killed";
  const slow = client
    .query({
      query: "SELECT sleepEachRow(1) FROM numbers(60) SETTINGS max_block_size = 1",
      query_id,
      format: "JSON",
    })
    .catch((error: unknown) => error);
  const seen = (): Promise<unknown[]> =>
    rowsOf(`SELECT 1 AS one FROM system.processes WHERE query_id = '${query_id}'`);
  await expect.poll(seen, { timeout: 10_000 }).toHaveLength(1);
  await client.command({
    query: "KILL QUERY WHERE query_id = {id: String} SYNC",
    query_params: { id: query_id },
  });
  expect(await slow).toMatchObject({ code: "394" });
  expect(await seen()).toHaveLength(0);
});

test("a long statement sends its progress as headers while it runs, then result or error", async () => {
  const asked = async (sql: string): Promise<string> => {
    const { hostname, port } = new URL(server.url);
    const search =
      "send_progress_in_http_headers=1&http_headers_progress_interval_ms=50&max_block_size=1";
    const socket = connect(Number(port), hostname);
    const head = `POST /?${search} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Length: ${Buffer.byteLength(sql)}\r\n\r\n`;
    socket.write(head + sql);
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    return text;
  };
  const good = await asked("SELECT sum(sleepEachRow(0.1)), count() FROM numbers(10)");
  expect(good).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  const steps = [...good.matchAll(/X-ClickHouse-Progress: (\{.*\})\r\n/g)];
  expect(steps.length).toBeGreaterThanOrEqual(3);
  const read = steps.map(([, json]) =>
    Number((JSON.parse(json ?? "") as { read_rows: string }).read_rows),
  );
  expect(read).toEqual(read.toSorted((a, b) => a - b));
  expect(good).toContain("X-ClickHouse-Summary: ");
  expect(good).toMatch(/\r\n\r\n0\t10\n$/);
  const bad = await asked("SELECT throwIf(count(sleepEachRow(0.1)) = 10) FROM numbers(10)");
  expect(bad).toMatch(/X-ClickHouse-Exception-Code: 395\r\n/);
  expect(bad).toMatch(/\r\n\r\nCode: 395\. DB::Exception/);
  // The ordinary client copes with it, too.
  const result = await client.query({
    query: "SELECT sum(sleepEachRow(0.1)) AS a, count() AS n FROM numbers(5)",
    format: "JSONEachRow",
    clickhouse_settings: {
      send_progress_in_http_headers: 1,
      http_headers_progress_interval_ms: "20",
      max_block_size: "1",
    },
  });
  expect(await result.json()).toEqual([{ a: 0, n: 5 }]);
});

test("sessions keep temporary tables and settings, are locked while busy, and others do not see them", async () => {
  const session_id = "session-one";
  const own = createClient({ url: server.url, session_id, log: { level: ClickHouseLogLevel.OFF } });
  await own.command({ query: "CREATE TEMPORARY TABLE mine (a UInt8)" });
  await own.insert({ table: "mine", values: [{ a: 7 }], format: "JSONEachRow" });
  await own.command({ query: "SET max_block_size = 777" });
  const result = await own.query({
    query: "SELECT a, getSetting('max_block_size') AS b FROM mine",
    format: "JSONEachRow",
  });
  expect(await result.json()).toEqual([{ a: 7, b: 777 }]);
  await expect(rowsOf("SELECT * FROM mine")).rejects.toMatchObject({ code: "60" });
  const busy = own.query({ query: "SELECT sleep(1)", format: "JSON" });
  await new Promise((resolve) => setTimeout(resolve, 200));
  await expect(own.query({ query: "SELECT 1" })).rejects.toMatchObject({ code: "373" });
  await busy;
  await own.close();
});

/** A frame of LZ4 with a literal block, a block that was left as it is, and one that repeats earlier blocks. */
function lz4Frame(text: string): Buffer {
  const plain = Buffer.from(text);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(plain.length + 0x8000_0000);
  return Buffer.concat([
    Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0]),
    size,
    plain,
    repeatBlock(plain.length),
    Buffer.alloc(4),
  ]);
}

/** No literals, a match of `length` bytes as far back, then the five literals that every block ends with. */
function repeatBlock(length: number): Buffer {
  const match = length - 4;
  const more = Buffer.from([
    ...Array<number>(Math.floor((match - 15) / 255)).fill(255),
    (match - 15) % 255,
  ]);
  const offset = Buffer.alloc(2);
  offset.writeUInt16LE(length);
  const end = Buffer.from([0x50, ...Buffer.from("\n\n\n\n\n")]);
  const block = Buffer.concat([Buffer.from([0x0f]), offset, more, end]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(block.length);
  return Buffer.concat([size, block]);
}

test("rows in LZ4 frames, as Python's client sends them, are read; a damaged frame is an error", async () => {
  await client.command({ query: "CREATE TABLE lz4 (a String) ENGINE = Memory" });
  const line = `{"a":"${"x".repeat(400)}"}\n`;
  const url = `${server.url}/?query=${encodeURIComponent("INSERT INTO lz4 FORMAT JSONEachRow")}`;
  const send = (body: Buffer): Promise<Response> =>
    fetch(url, {
      method: "POST",
      body: new Uint8Array(body),
      headers: { "content-encoding": "lz4" },
    });
  const good = await send(lz4Frame(line));
  expect(await good.text()).toBe("");
  expect(await rowsOf("SELECT count() AS n, max(length(a)) AS l FROM lz4")).toEqual([
    { n: 2, l: 400 },
  ]);
  expect((await send(lz4Frame(line).subarray(0, 50))).status).toBe(400);
  expect((await send(Buffer.from("no frame at all"))).status).toBe(400);
});

test("an aborted select, stream and insert leave the server at work, and their statements end", async () => {
  await table("aborted");
  const controller = new AbortController();
  const select = client.query({
    query: "SELECT sleepEachRow(1) FROM numbers(30) SETTINGS max_block_size = 1",
    format: "JSON",
    abort_signal: controller.signal,
  });
  setTimeout(() => controller.abort(), 300);
  await expect(select).rejects.toThrow(/abort/i);
  const stream = await client.query({
    query: "SELECT * FROM system.numbers",
    format: "JSONEachRow",
  });
  for await (const _ of stream.stream()) break;
  stream.close();
  const endless = new AbortController();
  const values = Readable.from(
    (async function* () {
      for (let id = 0; ; id += 1) {
        yield { id, name: "x", sku: [] };
        if (id === 10) setTimeout(() => endless.abort(), 50);
        if (id >= 10) await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })(),
  );
  const insert = client.insert({
    table: "aborted",
    values,
    format: "JSONEachRow",
    abort_signal: endless.signal,
  });
  await expect(insert).rejects.toThrow(/abort/i);
  values.destroy();
  const running = "SELECT count() AS n FROM system.processes WHERE query NOT LIKE '%processes%'";
  await expect.poll(() => rowsOf(running), { timeout: 15_000 }).toEqual([{ n: 0 }]);
  expect(await rowsOf("SELECT count() AS n FROM aborted")).toEqual([{ n: 0 }]);
});
