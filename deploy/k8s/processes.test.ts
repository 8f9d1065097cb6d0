import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { isDeepStrictEqual } from "node:util";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { type ClickHouseChild, startClickHouse } from "../../local/clickhouse/child.ts";
import { newestDebianPackage } from "../../tests/support/debian.ts";
import { freePorts } from "../../tests/support/ports.ts";
import { render } from "./checks.ts";
import { processesOf, type RenderedProcess } from "./processes.ts";

/**
 * The manifests at work without a cluster: the broker runs on the committed configuration with its accounts, and every
 * process of the image starts with just the arguments and the environment that its container has. What a role may not
 * do in the broker, it cannot do here.
 */

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

const ROOT = join(import.meta.dirname, "../..");
const kustomizeFolder = await newestDebianPackage("kustomize");
const folder = mkdtempSync(join(tmpdir(), "courtside-manifests-"));
const children: ChildProcess[] = [];
let store: ClickHouseChild;
let processes: ReadonlyMap<string, RenderedProcess>;

async function startBroker(port: number, passwords: NodeJS.ProcessEnv): Promise<void> {
  cpSync(join(import.meta.dirname, "base/nats"), folder, { recursive: true });
  const conf = readFileSync(join(folder, "nats.conf"), "utf8")
    .replace("port: 4222", `listen: "127.0.0.1:${String(port)}"`)
    .replace("http_port: 8222", "")
    .replace("/var/run/nats/nats.pid", join(folder, "nats.pid"))
    .replace('"/data"', `"${join(folder, "nats")}"`);
  writeFileSync(join(folder, "nats.conf"), conf);
  const binary = process.env["COURTSIDE_NATS_SERVER"] ?? "nats-server";
  const env = { ...passwords, POD_NAME: "nats-0", PATH: process.env["PATH"] ?? "" };
  const args = ["--config", join(folder, "nats.conf"), "-l", join(folder, "nats.log")];
  children.push(spawn(binary, args, { env, stdio: "inherit" }));
  await delay(500);
}

function start(
  name: string,
  extra: Readonly<Record<string, string>> = {},
): ChildProcess & { output: string } {
  const wanted = processes.get(name);
  if (wanted === undefined) throw new Error(`the overlay has no ${name}`);
  const child = spawn(process.execPath, [join(ROOT, "cli/main.ts"), ...wanted.args], {
    cwd: ROOT,
    // Nothing of this machine's environment but the path: what a container has is what counts. Only the embedded store
    // knows no users.
    env: {
      PATH: process.env["PATH"] ?? "",
      COURTSIDE_DATA: join(folder, name),
      ...wanted.environment,
      COURTSIDE_CLICKHOUSE_URL: store.url,
      ...extra,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  const told = Object.assign(child, { output: "" });
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (told.output += chunk.toString()));
  return told;
}

async function untilReady(child: ChildProcess & { output: string }): Promise<void> {
  while (!child.output.includes('"ready":true')) {
    if (child.exitCode !== null) throw new Error(child.output);
    await delay(50);
  }
}

async function ended(child: ChildProcess & { output: string }): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return `${String(child.exitCode)} ${child.exitCode === 0 ? "" : child.output}`.trim();
}

beforeAll(async () => {
  if (kustomizeFolder === undefined) return;
  const [nats = 0, grpc = 0] = await freePorts(2);
  store = await startClickHouse(join(folder, "clickhouse"));
  const storePlace = new URL(store.url).host;
  const objects = await render(
    join(kustomizeFolder, "usr/bin/kustomize"),
    join(import.meta.dirname, "overlays/kind"),
  );
  const places = {
    "nats:4222": `127.0.0.1:${String(nats)}`,
    "clickhouse:8123": storePlace,
    "dns:///serving:50051": `127.0.0.1:${String(grpc)}`,
  };
  processes = new Map(processesOf(objects, places).map((each) => [each.name, each]));
  const secret = objects.find(
    ({ kind, metadata }) => kind === "Secret" && metadata.name.startsWith("courtside-nats"),
  );
  const passwords = Object.fromEntries(
    Object.entries(secret?.["data"] as Record<string, string>).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString(),
    ]),
  );
  await startBroker(nats, passwords);
  process.env["TEST_GRPC_PORT"] = String(grpc);
});

afterAll(async () => {
  for (const child of children.toReversed())
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  if (kustomizeFolder !== undefined) await store.stop();
  rmSync(folder, { recursive: true, force: true });
});

test.skipIf(kustomizeFolder === undefined)(
  "the containers of the local overlay play a season with the rights of their roles",
  async () => {
    expect(await ended(start("setup"))).toBe("0");
    const loopback = {
      COURTSIDE_HOST: "127.0.0.1",
      COURTSIDE_PROMETHEUS_PORT: "0",
      OTEL_EXPORTER_OTLP_ENDPOINT: "",
    };
    const grpc = process.env["TEST_GRPC_PORT"] ?? "";
    const running = [
      start("serving", { ...loopback, COURTSIDE_PORT: grpc, COURTSIDE_HTTP_PORT: "0" }),
      ...["insight", "scorecard", "leaders"].map((name) => start(name, loopback)),
      start("dashboard", { ...loopback, COURTSIDE_PORT: "0" }),
    ];
    for (const child of running) await untilReady(child);
    const replay = start("replay", { ...loopback, COURTSIDE_GAMES: "2", COURTSIDE_SPEED: "max" });
    expect(await ended(replay)).toBe("0");
    const client = await openClickHouse(store.url);
    const rows = async (): Promise<unknown[]> =>
      (
        await client.query({
          query: `SELECT uniqExact(game_id) AS games, (SELECT count() FROM game_results) AS finals,
            (SELECT count() > 0 FROM model_scores) AS scored, (SELECT count() > 0 FROM league_leaders) AS ranked
            FROM predictions`,
          format: "JSONEachRow",
        })
      ).json();
    const complete = { games: 2, finals: 2, scored: 1, ranked: 1 };
    for (let tries = 0; tries < 300; tries += 1) {
      if (isDeepStrictEqual(await rows(), [complete])) break;
      await delay(200);
    }
    expect(await rows(), running.map(({ output }) => output).join("\n")).toEqual([complete]);
    await client.close();
    for (const child of running) child.kill("SIGTERM");
    expect(await Promise.all(running.map(ended))).toEqual(running.map(() => "0"));
    for (const { output } of running) expect(output).not.toMatch(/permission/i);
  },
);
