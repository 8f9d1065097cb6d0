import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { setTimeout as delay } from "node:timers/promises";
import { openClickHouse } from "../data/clickhouse/client.ts";
import { startClickHouse } from "../local/clickhouse/child.ts";
import { startNats } from "../tests/support/nats.ts";

/**
 * Builds the image and runs the whole pipeline from it, as a cluster would: no root, read-only root file system, no
 * capabilities; against a real nats-server and the embedded store on this machine.
 *
 *   npm run image:check
 *
 * Takes the Docker engine that is there, or starts one on a socket of its own where it may. Where the base image cannot
 * be pulled it is made from Debian's packages and this Node. Prints what it found; exit code 0 is good, 3 is "no engine".
 */

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BASE = "node:24-bookworm-slim";
const IMAGE = "courtside:check";
/** Exit code of a machine on which no engine can run: nothing is said about the image. */
const NO_ENGINE = 3;
/** A container has to be gone by then, its leases given back. */
const STOP_LIMIT_S = 10;
const OPTIONS = (
  "--network host --read-only --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges " +
  "--tmpfs /tmp --tmpfs /var/lib/courtside:uid=1000"
).split(" ");

const work = mkdtempSync(join(tmpdir(), "courtside-image-"));
let engine: ChildProcess | undefined;
let host: string | undefined;

async function docker(...args: string[]): Promise<string> {
  const at = host === undefined ? [] : ["-H", host];
  const limits = { maxBuffer: 64 * 1024 * 1024 };
  const { stdout, stderr } = await run("docker", [...at, ...args], limits);
  // A container's own messages come on the second channel.
  return args[0] === "logs" ? `${stdout}${stderr}`.trim() : stdout.trim();
}

async function answers(): Promise<boolean> {
  return docker("info", "--format", "{{.ServerVersion}}").then(
    (version) => version !== "",
    () => false,
  );
}

/** @returns why there is none, or undefined when there is one. */
async function findEngine(): Promise<string | undefined> {
  if (await answers()) return undefined;
  if (process.getuid?.() !== 0) return "no Docker engine answers, and only root may start one";
  host = `unix://${work}/docker.sock`;
  const places = ["--data-root", join(work, "data"), "--exec-root", join(work, "exec")];
  const network = ["--bridge=none", "--iptables=false", "-p", join(work, "pid"), "-H", host];
  engine = spawn("dockerd", [...places, ...network], { stdio: "ignore" });
  const failed = new Promise<string>((resolve) => {
    engine?.once("error", (error) => resolve(`dockerd cannot be started: ${error.message}`));
    engine?.once("exit", () => resolve("dockerd ended at once; this machine does not let it run"));
  });
  const up = (async () => {
    for (let tries = 0; tries < 100; tries += 1) {
      if (await answers()) return undefined;
      await delay(200);
    }
    return "dockerd does not answer";
  })();
  return Promise.race([failed, up]);
}

/** The official base where it can be had, else one like it from Debian's packages and this Node. */
async function ensureBase(): Promise<void> {
  if ((await docker("images", "-q", BASE)) !== "") return;
  if (
    await docker("pull", "-q", BASE).then(
      () => true,
      () => false,
    )
  )
    return;
  console.log(`${BASE} cannot be pulled; making one like it with debootstrap`);
  const tree = join(work, "base");
  await run("debootstrap", ["--variant=minbase", "bookworm", tree], {
    maxBuffer: 16 * 1024 * 1024,
  });
  copyFileSync(process.execPath, join(tree, "usr/local/bin/node"));
  const { stdout: modules } = await run("npm", ["root", "-g"], { cwd: tmpdir() });
  await run("mkdir", ["-p", join(tree, "usr/local/lib/node_modules"), join(tree, "etc/ssl/certs")]);
  await run("cp", ["-a", join(modules.trim(), "npm"), join(tree, "usr/local/lib/node_modules/")]);
  for (const name of ["npm", "npx"])
    await run("ln", [
      "-s",
      `../lib/node_modules/npm/bin/${name}-cli.js`,
      join(tree, "usr/local/bin", name),
    ]);
  const certificates = "/etc/ssl/certs/ca-certificates.crt";
  copyFileSync(certificates, join(tree, certificates));
  const archive = join(work, "base.tar");
  await run("tar", ["-C", tree, "-cf", archive, "."]);
  const changes = [
    "ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    `ENV NODE_EXTRA_CA_CERTS=${certificates}`,
  ];
  await docker("import", ...changes.flatMap((change) => ["-c", change]), archive, BASE);
}

const checks: { readonly name: string; readonly ok: boolean }[] = [];

function check(name: string, ok: boolean, detail = ""): void {
  checks.push({ name, ok });
  console.log(`${ok ? "ok" : "not ok"} ${name}${detail === "" ? "" : `: ${detail}`}`);
}

/** A container that runs until it is stopped; its output says when it is ready. */
async function start(
  name: string,
  environment: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<string> {
  const env = Object.entries(environment).flatMap(([key, value]) => ["-e", `${key}=${value}`]);
  const id = await docker("run", "-d", ...OPTIONS, ...env, IMAGE, ...args);
  for (let tries = 0; tries < 300; tries += 1) {
    if ((await docker("logs", id)).includes('"ready":true')) {
      check(`${name} runs as a user without rights on a read-only root`, true);
      return id;
    }
    await delay(100);
  }
  check(`${name} becomes ready`, false, await docker("logs", id));
  return id;
}

async function wrongConfiguration(): Promise<void> {
  const failed = await docker("run", "--rm", ...OPTIONS, IMAGE, "serve", "--port", "many").then(
    () => ({ code: 0, stderr: "" }),
    (error: unknown) => error as { code: number; stderr: string },
  );
  const lines = failed.stderr.trim().split("\n");
  check(
    "wrong configuration ends with one clear line",
    failed.code === 2 && lines[0]?.includes("--port") === true,
    lines[0],
  );
}

async function pipeline(): Promise<void> {
  const [nats, store] = [await startNats(), await startClickHouse(join(work, "clickhouse"))];
  const urls = { COURTSIDE_NATS_URL: nats.url, COURTSIDE_CLICKHOUSE_URL: store.url };
  const client = await openClickHouse(store.url);
  try {
    const env = Object.entries(urls).flatMap(([key, value]) => ["-e", `${key}=${value}`]);
    check(
      "setup",
      (await docker("run", "--rm", ...OPTIONS, ...env, IMAGE, "setup")).includes('"ok":true'),
    );
    const serving = await start("serve", {}, "serve", "--port", "0", "--http-port", "0");
    const port = /"port":(\d+)/.exec(await docker("logs", serving))?.[1] ?? "";
    const worker = {
      ...urls,
      COURTSIDE_SERVING_URL: `127.0.0.1:${port}`,
      COURTSIDE_CHECKPOINTS: "nats:",
    };
    const ids = [
      serving,
      await start("insight worker 1", worker, "run", "insight", "--prometheus-port", "0"),
      await start("insight worker 2", worker, "run", "insight", "--prometheus-port", "0"),
      await start("dashboard", urls, "dashboard", "--port", "0"),
    ];
    await docker(
      "run",
      "--rm",
      ...OPTIONS,
      ...env,
      IMAGE,
      "replay",
      "--games",
      "3",
      "--speed",
      "max",
    );
    const query = "SELECT count() AS finals FROM game_results";
    let finals = 0;
    for (let tries = 0; tries < 300 && finals < 3; tries += 1) {
      const result = await client.query({ query, format: "JSONEachRow" });
      finals = Number((await result.json<{ finals: number }>())[0]?.finals);
      await delay(100);
    }
    check("three games come to their end in the store", finals === 3, `${finals} results`);
    for (const id of ids) {
      const startMs = performance.now();
      const wait = docker("wait", id);
      await docker("kill", "--signal", "TERM", id).catch(() => "it has ended before");
      const code = await Promise.race([wait, delay(STOP_LIMIT_S * 1000, "late")]);
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      check(
        "SIGTERM ends a container in time, with code 0",
        code === "0",
        `${code} after ${seconds} s`,
      );
    }
  } finally {
    await client.close();
    await store.stop();
    await nats.stop();
  }
}

try {
  const missing = await findEngine();
  if (missing !== undefined) {
    console.log(`The image is not checked: ${missing}`);
    process.exitCode = NO_ENGINE;
  } else {
    await ensureBase();
    await docker(
      "build",
      "--network",
      "host",
      "-q",
      "-f",
      join(ROOT, "deploy/Dockerfile"),
      "-t",
      IMAGE,
      ROOT,
    );
    const size = Number(await docker("image", "inspect", "-f", "{{.Size}}", IMAGE));
    const base = Number(await docker("image", "inspect", "-f", "{{.Size}}", BASE));
    check(
      "the image builds",
      true,
      `${Math.round(size / 1e6)} MB, of it ${Math.round((size - base) / 1e6)} MB above ${BASE}`,
    );
    await wrongConfiguration();
    await pipeline();
    process.exitCode = checks.every(({ ok }) => ok) ? 0 : 1;
  }
} finally {
  if (engine !== undefined && engine.exitCode === null && existsSync(join(work, "pid"))) {
    process.kill(Number(readFileSync(join(work, "pid"), "utf8")), "SIGTERM");
    await once(engine, "exit");
  }
  rmSync(work, { recursive: true, force: true });
}
