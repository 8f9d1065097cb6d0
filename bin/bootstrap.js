// Plain JavaScript for Node >= 18: it runs before anything is installed.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { readlinkSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Least Node that runs the TypeScript sources as they are. */
const MIN_NODE_MAJOR = 24;
/** How often a program that npm started looks whether npm is still there. */
const PARENT_POLL_MS = 500;

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MODULES = join(ROOT, "node_modules");
const LOCK_FILE = join(ROOT, "package-lock.json");
/** Hash of the lock file that node_modules was installed from; written after every install. */
const STAMP = join(MODULES, ".courtside-lock");

/**
 * Installs the dependencies when they are missing or not those of package-lock.json.
 * Everything is said on standard error: standard output is for data.
 */
export function ensureDependencies() {
  const reason = whyToInstall();
  if (reason === undefined) return;
  say(`${reason}; running npm ci (1.4 GB on disk, a minute or two)`);
  const started = Date.now();
  const { status, error } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: ROOT,
    stdio: ["ignore", 2, 2],
    env: { ...process.env, PATH: pathWithoutModules(), ONNXRUNTIME_NODE_INSTALL: "skip" },
  });
  if (status !== 0) {
    say(`npm ci failed${error === undefined ? "" : `: ${error.message}`}; see its messages above`);
    process.exit(1);
  }
  finishInstall();
  say(`dependencies are installed after ${Math.round((Date.now() - started) / 1000)} s`);
}

/** What follows an install: `npx courtside` finds the program here, and the next start knows what is installed. */
export function finishInstall() {
  const folder = join(MODULES, ".bin");
  const target = "../../bin/courtside.js";
  const link = join(folder, "courtside");
  mkdirSync(folder, { recursive: true });
  chmodSync(join(ROOT, "bin/courtside.js"), 0o755);
  if (linkTarget(link) !== target) {
    rmSync(link, { force: true });
    symlinkSync(target, link);
  }
  writeFileSync(STAMP, lockHash());
}

/** Path of a Node that runs TypeScript; ends the process when there is none. */
export function findNode() {
  const installed = join(MODULES, "node/bin/node");
  if (existsSync(installed)) return installed;
  if (Number(process.versions.node.split(".")[0]) < MIN_NODE_MAJOR) {
    say(
      `Node ${MIN_NODE_MAJOR} is needed and node_modules/node/bin/node is missing, although it is a dependency; run ` +
        `"npm ci" with install scripts allowed, or use Node ${MIN_NODE_MAJOR} itself (this is ${process.version})`,
    );
    process.exit(1);
  }
  return process.execPath;
}

/**
 * Runs a script on the right Node in place of this process: same input and output, signals passed on, same exit
 * code. The channel between the two tells the script when this process is killed.
 */
export function runScript(script, args) {
  const node = findNode();
  const child = spawn(node, [join(ROOT, script), ...args], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  const parent = process.ppid;
  // npm that is killed tells nobody; its child gets another parent.
  const watch = setInterval(() => {
    if (process.env.npm_command !== undefined && process.ppid !== parent) child.kill("SIGTERM");
  }, PARENT_POLL_MS);
  watch.unref();
  child.on("error", (error) => {
    say(`cannot run ${node}: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

function whyToInstall() {
  if (!existsSync(MODULES)) return "dependencies are not installed yet";
  if (!existsSync(join(MODULES, ".package-lock.json"))) return "an install was not finished";
  if (existsSync(STAMP)) {
    return readFileSync(STAMP, "utf8") === lockHash() ? undefined : "package-lock.json has changed";
  }
  // Installed without our own script; the times of the lock files are the next best thing.
  const installed = statSync(join(MODULES, ".package-lock.json")).mtimeMs;
  if (statSync(LOCK_FILE).mtimeMs > installed)
    return "package-lock.json is newer than node_modules";
  return undefined;
}

function lockHash() {
  return createHash("sha256").update(readFileSync(LOCK_FILE)).digest("hex");
}

/** npm replaces node_modules, so it must not run on the Node inside of it. */
function pathWithoutModules() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.filter((folder) => !folder.startsWith(MODULES)).join(delimiter);
}

function linkTarget(path) {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : "";
  } catch {
    return undefined;
  }
}

function say(text) {
  process.stderr.write(`courtside: ${text}\n`);
}
