import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openEvents } from "../../tests/support/events.ts";
import { startNats, type TestNats } from "../../tests/support/nats.ts";

const ROOT = path.join(import.meta.dirname, "../..");
/** The runner may be an older Node than the program needs. */
const NODE = path.join(ROOT, "node_modules/node/bin/node");

let nats: TestNats;

beforeAll(async () => {
  nats = await startNats();
});

afterAll(() => nats.stop());

function dashboard(...args: string[]): {
  child: ChildProcess;
  ready: Promise<{ port: number }>;
  exited: Promise<unknown[]>;
  readonly stderr: () => string;
} {
  const child = spawn(NODE, [path.join(ROOT, "cli/main.ts"), "dashboard", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
  const ready = once(createInterface({ input: child.stdout }), "line").then(
    ([line]) => JSON.parse(String(line)) as { port: number },
  );
  return { child, ready, exited: once(child, "exit"), stderr: () => stderr };
}

test("dashboard says when it is ready, answers page and predict, and ends open pages on SIGTERM", async () => {
  const gone = "127.0.0.1:1";
  const { child, ready, exited } = dashboard(
    "--port=0",
    `--nats-url=${nats.url}`,
    `--serving-url=${gone}`,
  );
  const { port, ...rest } = await ready;
  expect(rest).toEqual({ ready: true, service: "dashboard" });
  const url = `http://127.0.0.1:${String(port)}`;
  expect((await fetch(url)).headers.get("content-type")).toContain("text/html");
  // The gateway is there: it names what is wrong with the body instead of "nothing at /v1/predict".
  const refused = await fetch(`${url}/v1/predict`, {
    method: "POST",
    body: "{}",
    headers: { "content-type": "application/json" },
  });
  expect(refused.status).toBe(400);
  const page = await openEvents(`${url}/api/events`);
  await page.next("status");
  child.kill("SIGTERM");
  await page.ended();
  expect(await exited).toEqual([0, null]);
}, 60_000);

test("a busy port ends the command with 1 and names the port and the flag", async () => {
  const first = dashboard("--port", "0", "--nats-url", nats.url);
  const { port } = await first.ready;
  const second = dashboard("--port", String(port), "--nats-url", nats.url);
  expect(await second.exited).toEqual([1, null]);
  expect(second.stderr()).toMatch(new RegExp(`port ${String(port)} is in use.*--port`, "u"));
  first.child.kill("SIGTERM");
  expect(await first.exited).toEqual([0, null]);
}, 60_000);

test("a port that is no port is a usage error", async () => {
  const { exited, stderr } = dashboard("--port", "http");
  expect(await exited).toEqual([2, null]);
  expect(stderr()).toContain("--port");
}, 60_000);
