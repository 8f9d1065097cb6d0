import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { seededRandom } from "../../base/random.ts";
import { ClickHouseStartError, startClickHouse } from "./child.ts";

// Processes and disks of a busy machine take their time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-serve-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function ask(url: string, sql: string): Promise<string> {
  return (await fetch(url, { method: "POST", body: sql })).text();
}

async function failureOf(dataDir: string, port = 0): Promise<string> {
  const error: unknown = await startClickHouse(dataDir, port).catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(ClickHouseStartError);
  return (error as Error).message;
}

test("data outlives a stop and a kill, and no lock or row file stays behind", async () => {
  const dataDir = join(folder, "lives");
  const first = await startClickHouse(dataDir);
  await ask(first.url, "CREATE DATABASE d");
  await ask(first.url, "CREATE TABLE d.t (a UInt8) ENGINE = MergeTree ORDER BY a");
  await ask(first.url, "INSERT INTO d.t VALUES (1)");
  await first.stop();
  expect(await readdir(dataDir)).not.toContain("spool");

  const second = await startClickHouse(dataDir);
  expect(await ask(second.url, "SELECT count() FROM d.t")).toBe("1\n");
  await ask(second.url, "INSERT INTO d.t VALUES (2)");
  process.kill(second.pid, "SIGKILL");
  await expect.poll(() => isAlive(second.pid)).toBe(false);
  await writeFile(join(dataDir, "spool", "left-by-the-killed"), "rows");

  const third = await startClickHouse(dataDir);
  expect(await ask(third.url, "SELECT count() FROM d.t")).toBe("2\n");
  expect(await readdir(join(dataDir, "spool"))).toEqual([]);
  await third.stop();
});

test("a directory that is in use is refused with who has it and the way out", async () => {
  const dataDir = join(folder, "shared");
  const owner = await startClickHouse(dataDir);
  const message = await failureOf(dataDir);
  expect(message).toContain(`${dataDir} is in use by process ${owner.pid}`);
  expect(message).toContain("--data");
  expect(await ask(owner.url, "SELECT 1")).toBe("1\n");
  await owner.stop();
});

test("a busy port is refused with its number and the flag", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as AddressInfo;
  expect(await failureOf(join(folder, "busy"), port)).toMatch(
    new RegExp(`port ${port} of 127.0.0.1 is in use.*--port`),
  );
  other.close();
});

test("a directory that cannot be made is refused with the flag", async () => {
  await writeFile(join(folder, "file"), "");
  expect(await failureOf(join(folder, "file", "below"))).toMatch(
    /cannot write to .*ENOTDIR.*--data/,
  );
  expect(await failureOf(join(folder, "a{b}"))).toMatch(/contains one of .*--data/);
});

test("the server ends with the process that started it", async () => {
  const child = new URL("child.ts", import.meta.url).href;
  const script = `const { startClickHouse } = await import(${JSON.stringify(child)});
    console.log((await startClickHouse(${JSON.stringify(join(folder, "orphan"))})).pid);`;
  const parent = spawn(process.execPath, ["--input-type=module", "--eval", script]);
  const [line] = (await once(parent.stdout, "data")) as [Buffer];
  const pid = Number(line.toString());
  expect(isAlive(pid)).toBe(true);
  parent.kill("SIGKILL");
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
});

test("blocks that are sent again with their token after a kill are there once, in table and view", async () => {
  // sent      1 2 3 … n-1 n x        n was answered, x was not: the kill fell into it or before it
  // again               n-1 n x …    n-1 and n are refused as known, x only if it had come through
  const dataDir = join(folder, "killed");
  let server = await startClickHouse(dataDir);
  for (const statement of TABLE_AND_VIEW) expect(await ask(server.url, statement)).toBe("");
  let answered = 0;
  const seed = Number(process.env["SEED"] ?? 7);
  const random = seededRandom(seed);
  for (let round = 0; round < 3; round += 1) {
    const { pid, url } = server;
    setTimeout(() => process.kill(pid, "SIGKILL"), 100 + random.int(300));
    for (let block = Math.max(1, answered - 1); await insertBlock(url, block); block += 1) {
      answered = Math.max(answered, block);
    }
    await expect.poll(() => isAlive(pid)).toBe(false);
    server = await startClickHouse(dataDir);
  }
  for (let block = Math.max(1, answered - 1); block <= answered + 1; block += 1) {
    expect(await insertBlock(server.url, block)).toBe(true);
  }
  const rows = (answered + 1) * BLOCK_ROWS;
  expect(await ask(server.url, "SELECT count(), uniqExact(block) FROM d.t"), `SEED=${seed}`).toBe(
    `${rows}\t${answered + 1}\n`,
  );
  expect(await ask(server.url, "SELECT sum(n) FROM d.per_block"), `SEED=${seed}`).toBe(`${rows}\n`);
  await server.stop();
});

const BLOCK_ROWS = 500;

const TABLE_AND_VIEW = [
  "CREATE DATABASE d",
  `CREATE TABLE d.t (block UInt32, a UInt32) ENGINE = MergeTree ORDER BY a
   SETTINGS non_replicated_deduplication_window = 10000`,
  `CREATE TABLE d.per_block (block UInt32, n UInt64) ENGINE = MergeTree ORDER BY block
   SETTINGS non_replicated_deduplication_window = 10000`,
  "CREATE MATERIALIZED VIEW d.mv TO d.per_block AS SELECT block, count() AS n FROM d.t GROUP BY block",
];

/** @returns false when the server is gone. */
async function insertBlock(url: string, block: number): Promise<boolean> {
  const rows = Array.from({ length: BLOCK_ROWS }, (_, a) => `[${block},${a}]`).join("\n");
  const query = encodeURIComponent("INSERT INTO d.t FORMAT JSONCompactEachRow");
  const target = `${url}/?query=${query}&insert_deduplication_token=block/${block}`;
  try {
    const answer = await fetch(target, { method: "POST", body: rows });
    expect(await answer.text()).toBe("");
    return answer.ok;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
