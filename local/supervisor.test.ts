import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePorts } from "../tests/support/ports.ts";
import { openLogFile } from "./log-file.ts";
import { identify, isRunning } from "./process.ts";
import type { RunProcess } from "./run-file.ts";
import { ChildFailedError, Supervisor } from "./supervisor.ts";

/**
 * A program with the contract of the real one: `serve PORT` listens until it is told to stop, `fail CODE TEXT`
 * ends at once, `stubborn` ignores SIGTERM, `flaky` is ready and then ends, `count` ends by itself.
 */
const PROGRAM = `
import { createServer } from "node:net";
import { existsSync, writeFileSync } from "node:fs";
const [command, ...args] = process.argv.slice(2);
const ready = (port) => console.log(JSON.stringify({ ready: true, port, pid: process.pid }));
process.on("SIGINT", () => console.error("got SIGINT"));
if (command === "serve") {
  const server = createServer().listen(Number(args[0]), "127.0.0.1", () => ready(server.address().port));
  process.on("SIGTERM", () => { console.error("stopping"); process.exit(0); });
  process.stdin.on("close", () => process.exit(0)).resume();
} else if (command === "fail") {
  console.error(args[1]);
  process.exitCode = Number(args[0]);
} else if (command === "stubborn") {
  process.on("SIGTERM", () => {});
  setInterval(() => {}, 1000);
  ready(0);
} else if (command === "flaky") {
  ready(0);
  console.error("no luck");
  setTimeout(() => process.exit(1), 20);
} else if (command === "silent") {
  setInterval(() => {}, 1000);
} else if (command === "count") {
  console.log("not JSON");
  console.log(JSON.stringify({ seen: 1 }));
  if (args[0] !== undefined && !existsSync(args[0])) {
    writeFileSync(args[0], "");
    process.kill(process.pid, "SIGKILL");
  }
  console.log(JSON.stringify({ done: true, rows: 3 }));
}`;

let folder = "";
let supervisor: Supervisor;
let said: string[] = [];
let processes: readonly RunProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-supervisor-"));
  const main = join(folder, "program.mjs");
  await writeFile(main, PROGRAM);
  said = [];
  processes = [];
  supervisor = new Supervisor({
    logs: folder,
    main,
    readyTimeoutMs: 3_000,
    say: (text) => said.push(text),
    onProcesses: (now) => {
      processes = now;
    },
  });
});

afterEach(async () => {
  await supervisor.stop();
  await rm(folder, { recursive: true, force: true });
});

test("a killed child is started again on the same port", async () => {
  const [port = 0] = await freePorts(1);
  const first = await supervisor.start({ name: "serve", args: ["serve", String(port)] });
  process.kill(Number(first["pid"]), "SIGKILL");
  await expect.poll(() => said.join(), { timeout: 4_000 }).toContain("serve is ready again");
  expect(said[0]).toMatch(/^serve ended by SIGKILL; starting it again in 100 ms$/);
  expect(processes).toMatchObject([{ name: "serve" }]);
  expect(processes[0]?.pid).not.toBe(first["pid"]);
});

test("children are stopped in reverse order and none is left", async () => {
  await supervisor.start({ name: "first", args: ["serve", "0"] });
  await supervisor.start({ name: "second", args: ["serve", "0"] });
  const identities = await Promise.all(processes.map(async ({ pid }) => identify(pid)));
  const order: string[] = [];
  const before = new Set(processes.map(({ name }) => name));
  const watch = setInterval(() => {
    for (const name of before) {
      if (processes.some((running) => running.name === name)) continue;
      before.delete(name);
      order.push(name);
    }
  }, 1);
  await supervisor.stop();
  clearInterval(watch);
  expect(order[0]).toBe("second");
  for (const identity of identities) expect(identity && (await isRunning(identity))).toBe(false);
  expect(processes).toEqual([]);
  expect(await readFile(join(folder, "first.log"), "utf8")).toBe("stopping\n");
});

test("a child that fails at its start fails the start with its last lines", async () => {
  const attempt = supervisor.start({ name: "insight", args: ["fail", "1", "no broker at 4222"] });
  await expect(attempt).rejects.toThrow(ChildFailedError);
  await expect(attempt).rejects.toThrow(/insight ended with exit code 1.*no broker at 4222/s);
});

test("a child that crashes again and again fails the run after five times", async () => {
  await supervisor.start({ name: "insight", args: ["flaky"] });
  await expect(supervisor.failed).rejects.toThrow(/insight ended 5 times in 60 s.*no luck/s);
}, 15_000);

test("a child that says nothing is stopped after the time limit", async () => {
  const attempt = supervisor.start({ name: "mute", args: ["silent"] });
  await expect(attempt).rejects.toThrow("mute was not ready after 3 s");
});

test("a child that ends by itself gives its last message", async () => {
  const seen: unknown[] = [];
  const last = await supervisor.run({ name: "replay", args: ["count"] }, (message) => {
    seen.push(message);
  });
  expect(last).toEqual({ done: true, rows: 3 });
  expect(seen).toEqual([{ seen: 1 }, { done: true, rows: 3 }]);
});

test("a child that was killed before its end is run again", async () => {
  const spec = { name: "replay", args: ["count", join(folder, "was-killed")] };
  expect(await supervisor.run(spec, () => {})).toEqual({ done: true, rows: 3 });
  expect(said).toHaveLength(1);
});

test("a child that fails is an error with its last lines, and is not run again", async () => {
  const spec = { name: "replay", args: ["fail", "1", "no such season: x.csv"] };
  await expect(supervisor.run(spec, () => {})).rejects.toThrow("no such season: x.csv");
  expect(said).toEqual([]);
});

test("a log file is turned over at its limit", async () => {
  const path = join(folder, "x.log");
  const log = openLogFile(path, 10);
  log.write(Buffer.from("12345678"));
  log.write(Buffer.from("abcdef"));
  log.close();
  expect(await readFile(path, "utf8")).toBe("abcdef");
  expect(await readFile(`${path}.1`, "utf8")).toBe("12345678");
});
