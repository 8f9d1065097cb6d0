import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";

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
