import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { migrate } from "../../data/clickhouse/migrate.ts";
import { startClickHouse } from "../../local/clickhouse/child.ts";
import { runProgram } from "../main.ts";

vi.setConfig({ testTimeout: 60_000 });

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

test("standard output is the one line that says ready, and a signal ends it with exit code 0", async () => {
  const folder = await mkdtemp(join(tmpdir(), "courtside-command-"));
  const server = spawn(process.execPath, [MAIN, "clickhouse", "--port", "0", "--data", folder], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const whole = text(server.stdout);
  const [first] = (await once(server.stdout, "data")) as [Buffer];
  const ready = JSON.parse(first.toString()) as { port: number };
  expect(ready).toEqual({ ready: true, service: "clickhouse", port: ready.port });
  const url = `http://127.0.0.1:${ready.port}/`;
  expect(await (await fetch(url, { method: "POST", body: "SELECT 40 + 2" })).text()).toBe("42\n");
  // A statement under way is finished, not cut off.
  const slow = fetch(url, { method: "POST", body: "SELECT sleep(0.5), 'done'" });
  await new Promise((resolve) => setTimeout(resolve, 200));
  server.kill("SIGTERM");
  expect(await (await slow).text()).toBe("0\tdone\n");
  expect(await once(server, "exit")).toEqual([0, null]);
  expect((await whole).trim().split("\n")).toHaveLength(1);
  await rm(folder, { recursive: true });
});

async function clickhouse(...args: string[]): Promise<{ code: number; out: string }> {
  let out = "";
  const code = await runProgram({
    args: ["clickhouse", ...args],
    environment: {},
    signal: new AbortController().signal,
    stdout: (part) => (out += part),
    stderr: (part) => (out += part),
  });
  return { code, out };
}

test("tables that were backed up come back, views and rows, and nothing is dropped for a back-up that cannot be read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "courtside-backup-"));
  const server = await startClickHouse(folder);
  const at = ["--clickhouse-url", server.url];
  const client = await openClickHouse(server.url);
  await migrate(client);
  const insert = async (TraceId: string): Promise<void> => {
    const values = [{ Timestamp: `${Math.floor(Date.now() / 1000)}.5`, TraceId }];
    await client.insert({ table: "otel_traces", values, format: "JSONEachRow" });
  };
  const traces = async (): Promise<string> => {
    const query = "SELECT TraceId FROM otel_traces_trace_id_ts ORDER BY TraceId FORMAT TSVRaw";
    const answer = await client.exec({ query });
    return (await text(answer.stream)).trim();
  };
  await insert("a");
  expect((await clickhouse("backup", "first", ...at)).out).toMatch(/backed up \d+ rows as first/);
  await insert("b");
  expect((await clickhouse("backup", "first", ...at)).code).toBe(1);
  expect((await clickhouse("restore", "first", ...at)).out).toContain("--replace");
  expect((await clickhouse("restore", "nothing", ...at, "--replace")).code).toBe(1);
  expect(await traces()).toBe("a\nb");
  expect(await clickhouse("restore", "first", ...at, "--replace")).toMatchObject({ code: 0 });
  expect(await traces()).toBe("a");
  await insert("c");
  expect(await traces()).toBe("a\nc");
  expect((await clickhouse("backup", "../out", ...at)).code).toBe(2);
  await client.close();
  await server.stop();
  await rm(folder, { recursive: true });
});
