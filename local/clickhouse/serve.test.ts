import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ClickHouseStartError, startClickHouse } from "./child.ts";

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

test(
  "data outlives a stop and a kill, and no lock or row file stays behind",
  { timeout: 60_000 },
  async () => {
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
  },
);

test(
  "a directory that is in use is refused with who has it and the way out",
  { timeout: 60_000 },
  async () => {
    const dataDir = join(folder, "shared");
    const owner = await startClickHouse(dataDir);
    const message = await failureOf(dataDir);
    expect(message).toContain(`${dataDir} is in use by process ${owner.pid}`);
    expect(message).toContain("--data");
    expect(await ask(owner.url, "SELECT 1")).toBe("1\n");
    await owner.stop();
  },
);

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

test("the server ends with the process that started it", { timeout: 60_000 }, async () => {
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

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
