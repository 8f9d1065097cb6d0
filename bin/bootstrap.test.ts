import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const BIN = fileURLToPath(new URL(".", import.meta.url));

/** The Node that a newcomer has, which may be older than the one that the sources need. */
const systemNode =
  (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => !folder.includes("node_modules"))
    .map((folder) => join(folder, "node"))
    .find((path) => existsSync(path)) ?? process.execPath;

let root = "";
const running: ChildProcess[] = [];

/** A repository in small: this bootstrap, a program that says what it got, a lock file, an npm that fails. */
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "courtside-bootstrap-"));
  await cp(BIN, join(root, "bin"), { recursive: true });
  await mkdir(join(root, "cli"));
  await mkdir(join(root, "node_modules/node/bin"), { recursive: true });
  await symlink(process.execPath, join(root, "node_modules/node/bin/node"));
  await writeFile(join(root, "package.json"), JSON.stringify({ type: "module" }));
  await writeFile(
    join(root, "cli/main.ts"),
    `const args: string[] = process.argv.slice(2);
    if (args[0] === "wait") {
      process.on("SIGTERM", () => process.exit(7));
      process.on("disconnect", () => { console.log("alone"); process.exit(8); });
      console.log("waiting");
      setInterval(() => {}, 1000);
    } else {
      console.log(JSON.stringify(args), process.versions.node);
      process.exitCode = Number(args[0] ?? 0);
      process.disconnect();
    }`,
  );
  await installed("1.0.0");
  await mkdir(join(root, "path"));
  await writeFile(join(root, "path/npm"), '#!/bin/sh\necho "npm $*" >&2\nexit 9\n');
  await chmod(join(root, "path/npm"), 0o755);
});

afterEach(async () => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
  await rm(root, { recursive: true, force: true });
});

test("the program runs on the installed Node, with its arguments and its exit code", async () => {
  const { code, stdout, stderr } = await end(start("3", "--flag"));
  expect(stdout.trim()).toBe(`["3","--flag"] ${process.versions.node}`);
  expect({ code, stderr }).toEqual({ code: 3, stderr: "" });
});

test("npx finds the program after the first run", async () => {
  await end(start());
  expect(await readlink(join(root, "node_modules/.bin/courtside"))).toBe("../../bin/courtside.js");
});

test("signals are passed on", async () => {
  const child = start("wait");
  await once(child.stdout ?? child, "data");
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([7, null]);
});

test("the program notices when the bootstrap is killed", async () => {
  const child = start("wait");
  const [first] = (await once(child.stdout ?? child, "data")) as [Buffer];
  expect(first.toString()).toBe("waiting\n");
  child.kill("SIGKILL");
  const [second] = (await once(child.stdout ?? child, "data")) as [Buffer];
  expect(second.toString()).toBe("alone\n");
});

test("a package in another version is installed, saying why, and a failure ends with 1", async () => {
  await installed("0.9.0");
  const { code, stdout, stderr } = await end(start());
  expect(stderr).toContain(
    "courtside: left-pad not installed as in package-lock.json; running npm ci",
  );
  expect(stderr).toContain("npm ci --no-audit --no-fund");
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
});

test("an install that was broken off is done again", async () => {
  await rm(join(root, "node_modules/.package-lock.json"));
  expect((await end(start())).stderr).toContain("an install was not finished; running npm ci");
});

test("a lock file that was only touched, or has packages of other platforms, installs nothing", async () => {
  const path = join(root, "package-lock.json");
  await writeFile(path, await readFile(path));
  expect(await end(start())).toMatchObject({ code: 0, stderr: "" });
});

async function installed(version: string): Promise<void> {
  const write = async (path: string, packages: object): Promise<void> => {
    await writeFile(join(root, path), JSON.stringify({ packages }));
  };
  await write("package-lock.json", {
    "": { name: "courtside" },
    "node_modules/left-pad": { version: "1.0.0" },
    "node_modules/left-pad-elsewhere": { version: "1.0.0", optional: true },
  });
  await write("node_modules/.package-lock.json", { "node_modules/left-pad": { version } });
}

function start(...args: string[]): ChildProcess {
  const PATH = [join(root, "path"), process.env["PATH"] ?? ""].join(delimiter);
  const child = spawn(systemNode, [join(root, "bin/courtside.js"), ...args], {
    env: { ...process.env, PATH },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.push(child);
  return child;
}

async function end(child: ChildProcess) {
  if (child.stdout === null || child.stderr === null) throw new Error("no output");
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit") as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}
