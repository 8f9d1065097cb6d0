import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { handMadeModel, temporaryModels, type ModelFolder } from "../../tests/support/models.ts";

const ROOT = path.join(import.meta.dirname, "../..");
/** The runner may be an older Node than the program needs. */
const NODE = path.join(ROOT, "node_modules/node/bin/node");

let models: ModelFolder;

beforeAll(async () => {
  models = await temporaryModels();
  await models.add(handMadeModel());
});

afterAll(() => models.remove());

function serve(...args: string[]) {
  const child = spawn(NODE, [path.join(ROOT, "cli/main.ts"), "serve", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
  const lines = createInterface({ input: child.stdout });
  return { child, firstLine: once(lines, "line"), stderr: () => stderr };
}

const STATE = {
  game_id: "0022300001",
  home_team: "BOS",
  away_team: "NYK",
  home_score: 88,
  away_score: 84,
  period: 4,
  clock_remaining_s: 312.4,
  possession: "HOME",
};

test("serve says when it is ready, answers JSON, and ends with 0 on SIGTERM", async () => {
  const ports = ["--port", "0", "--http-port", "0"];
  const { child, firstLine } = serve(...ports, "--models", models.folder);
  const [line] = (await firstLine) as [string];
  const ready = JSON.parse(line) as { port: number; http_port: number };
  expect(ready).toMatchObject({ ready: true, service: "serve" });
  const response = await fetch(`http://127.0.0.1:${ready.http_port}/v1/predict`, {
    method: "POST",
    body: JSON.stringify(STATE),
    headers: { "content-type": "application/json" },
  });
  expect(response.status).toBe(200);
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
}, 20_000);

test("serve without a model says how to get one and ends with 1", async () => {
  const { child, stderr } = serve("--port", "0", "--models", path.join(models.folder, "nowhere"));
  expect(await once(child, "exit")).toEqual([1, null]);
  expect(stderr()).toContain("courtside train");
  expect(stderr()).not.toContain(" at ");
}, 20_000);

test("serve tells probes first, answers what comes meanwhile, and then ends with 0", async () => {
  const ports = ["--port", "0", "--http-port", "0", "--prometheus-port", "0"];
  const { child, firstLine } = serve(
    ...ports,
    "--models",
    models.folder,
    "--drain-delay-ms",
    "700",
  );
  const [line] = (await firstLine) as [string];
  const ready = JSON.parse(line) as { http_port: number; prometheus_port: number };
  const base = `http://127.0.0.1:${ready.http_port}`;
  const ask = async (): Promise<number> => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify(STATE);
    const response = await fetch(`${base}/v1/predict`, { method: "POST", body, headers });
    await response.text();
    return response.status;
  };
  expect(await ask()).toBe(200);
  const metrics = await (await fetch(`${base}/metrics`)).text();
  expect(metrics).toContain("courtside_predict_calls");
  expect((await fetch(`${base}/readyz`)).status).toBe(200);
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await expect.poll(async () => (await fetch(`${base}/readyz`)).status).toBe(503);
  const probe = await fetch(`http://127.0.0.1:${ready.prometheus_port}/readyz`);
  expect(probe.status).toBe(503);
  expect(await Promise.all(Array.from({ length: 20 }, ask))).toEqual(Array(20).fill(200));
  expect(await exited).toEqual([0, null]);
}, 20_000);

test("serve says which file of TLS cannot be used, and that two belong together", async () => {
  const missing = serve("--port", "0", "--tls-cert", "nowhere.pem", "--tls-key", "nowhere.key");
  expect(await once(missing.child, "exit")).toEqual([1, null]);
  expect(missing.stderr()).toContain("nowhere.pem");
  const alone = serve("--port", "0", "--tls-cert", "nowhere.pem");
  expect(await once(alone.child, "exit")).toEqual([2, null]);
  expect(alone.stderr()).toContain("--tls-key");
}, 20_000);
