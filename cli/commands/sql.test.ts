import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { migrate } from "../../data/clickhouse/migrate.ts";
import { type ClickHouseChild, startClickHouse } from "../../local/clickhouse/child.ts";
import { layoutOf } from "../../local/data-dir.ts";
import { writeRunFile } from "../../local/run-file.ts";
import { runProgram } from "../main.ts";

// Processes and disks of a busy machine take their time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let dataDir: string;
let server: ClickHouseChild;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "courtside-sql-"));
  server = await startClickHouse(layoutOf(dataDir).clickhouse);
  const client = await openClickHouse(server.url);
  await migrate(client);
  const run = {
    game_id: "g",
    play_number: 9,
    side: "home",
    points: 8,
    start_play_number: 3,
    period: 1,
  };
  await client.insert({ table: "scoring_runs", values: [run], format: "JSONEachRow" });
  await client.close();
});

afterAll(async () => {
  await server.stop();
  await rm(dataDir, { recursive: true });
});

async function sql(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = "";
  let stderr = "";
  const code = await runProgram({
    args: ["sql", ...args],
    environment: {},
    signal: new AbortController().signal,
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
  });
  return { code, stdout, stderr };
}

async function ask(statement: string, ...flags: string[]): ReturnType<typeof sql> {
  return sql(statement, "--clickhouse-url", server.url, ...flags);
}

test("rows come as an aligned table, or as JSON lines", async () => {
  const statement =
    "SELECT side, points, CAST(NULL AS Nullable(String)) AS nothing, [1, 2] AS list FROM scoring_runs";
  expect(await ask(statement)).toEqual({
    code: 0,
    stdout: "side  points  nothing  list\nhome       8  NULL     [1,2]\n",
    stderr: "",
  });
  expect((await ask(statement, "--json")).stdout).toBe(
    '{"side":"home","points":8,"nothing":null,"list":[1,2]}\n',
  );
  expect((await ask("SELECT side, points FROM scoring_runs FORMAT CSV")).stdout).toBe('"home",8\n');
});

test("64-bit integers are exact in both", async () => {
  const statement = "SELECT toUInt64(18446744073709551615) AS n";
  expect((await ask(statement)).stdout).toContain("18446744073709551615");
  expect((await ask(statement, "--json")).stdout).toBe('{"n":18446744073709551615}\n');
});

test.each([
  ["DROP TABLE scoring_runs", "DROP is not allowed"],
  ["INSERT INTO scoring_runs (points) VALUES (1)", "INSERT is not allowed"],
  ["ALTER TABLE scoring_runs DELETE WHERE 1", "ALTER is not allowed"],
  ["SET readonly = 0", "SET is not allowed"],
  ["SELECT 1 SETTINGS readonly = 0", "SETTINGS is not allowed"],
  ["SELECT 1; DROP TABLE scoring_runs", "Multi-statements"],
  ["SELECT file('/etc/passwd')", "file is not allowed"],
  ["SELECT `file`('/etc/passwd')", "file is not allowed"],
  ["SELECT /* */ file /* */ ('/etc/passwd')", "file is not allowed"],
  ["SELECT * FROM file('/etc/passwd', LineAsString)", "file is not allowed"],
  ["SELECT * FROM url('http://127.0.0.1:1/', LineAsString)", "url is not allowed"],
  ["SELECT 1 INTO OUTFILE '/tmp/courtside-stolen'", "INTO OUTFILE is not allowed"],
  ["SELECT count() FROM numbers(10000000000)", "TOO_MANY_ROWS"],
])("%s is refused in one line", async (statement, reason) => {
  const { code, stdout, stderr } = await ask(statement);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain(reason);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect((await ask("SELECT count() AS runs FROM scoring_runs", "--json")).stdout).toBe(
    '{"runs":1}\n',
  );
});

test("words of a forbidden kind inside strings and names are harmless", async () => {
  const statement = "SELECT 'file(' AS a, 'INTO OUTFILE' AS b, 1 AS `DROP TABLE`";
  expect((await ask(statement, "--json")).stdout).toBe(
    '{"a":"file(","b":"INTO OUTFILE","DROP TABLE":1}\n',
  );
});

test("a wrong statement, column or address is one line that says so", async () => {
  expect((await ask("selec 1")).stderr).toMatch(
    /^courtside: Syntax error: failed at position 1.*\n$/,
  );
  expect((await ask("SELECT nope FROM plays")).stderr).toMatch(
    /^courtside: .*`nope`.*UNKNOWN_IDENTIFIER.*\n$/,
  );
  const gone = await sql("SELECT 1", "--clickhouse-url", "http://127.0.0.1:1");
  expect(gone).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("does not answer") as string,
  });
  const empty = await sql("SELECT 1", "--data", join(dataDir, "nowhere"));
  expect(empty).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("holds no tables") as string,
  });
});

test("the store of a run is asked while it runs, and opened when it does not", async () => {
  const urls = { page: "", nats: "", clickhouse: server.url, serving: "" };
  await writeRunFile(dataDir, { started_at: "", urls, processes: [] });
  const asked = ["SELECT count() AS runs FROM courtside.scoring_runs", "--json", "--data", dataDir];
  expect((await sql(...asked)).stdout).toBe('{"runs":1}\n');
  await server.stop();
  expect(await sql(...asked)).toEqual({ code: 0, stdout: '{"runs":1}\n', stderr: "" });
  expect(await readdir(layoutOf(dataDir).clickhouse)).not.toContain("spool");
});
