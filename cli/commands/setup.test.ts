import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startClickHouse } from "../../local/clickhouse/child.ts";
import { startNats } from "../../tests/support/nats.ts";
import { runProgram } from "../main.ts";

async function setup(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = "";
  let stderr = "";
  const code = await runProgram({
    args: ["setup", ...args],
    environment: {},
    signal: new AbortController().signal,
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
  });
  return { code, stdout, stderr };
}

test("a second set-up finds everything as it should be, and a waiting one ends", async () => {
  const folder = await mkdtemp(join(tmpdir(), "courtside-setup-"));
  const [nats, store] = [await startNats(), await startClickHouse(folder)];
  try {
    const urls = ["--nats-url", nats.url, "--clickhouse-url", store.url];
    // Who waits for somebody else to set up is let go as soon as that is done.
    const waiting = setup("--wait", ...urls);
    const first = await setup(...urls);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(first.stdout)).toMatchObject({ ok: true, nats: nats.url });
    expect(first.stdout).toContain("001_plays.sql");
    const second = await setup(...urls);
    expect(JSON.parse(second.stdout)).toEqual({ ok: true, nats: nats.url, migrations: [] });
    expect(await waiting).toMatchObject({ code: 0, stderr: "" });
  } finally {
    await store.stop();
    await nats.stop();
    await rm(folder, { recursive: true });
  }
});

test("an even number of copies is refused before anything is connected", async () => {
  expect(await setup("--stream-replicas", "2")).toMatchObject({ code: 2, stdout: "" });
});
