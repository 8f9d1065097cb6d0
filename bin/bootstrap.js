// Plain JavaScript for Node >= 18: it runs before anything is installed.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { readlinkSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Least Node that runs the TypeScript sources as they are. */
const MIN_NODE_MAJOR = 24;
/** How often a program that npm started looks whether npm is still there. */
const PARENT_POLL_MS = 500;

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MODULES = join(ROOT, "node_modules");
const LOCK_FILE = join(ROOT, "package-lock.json");
/** What npm installed, in the format of the lock file; npm writes it last. */
const INSTALLED_FILE = join(MODULES, ".package-lock.json");

/**
 * Installs the dependencies when they are missing or not those of package-lock.json.
 * Everything is said on standard error: standard output is for data.
 *
 * @param {{ tools: boolean }} options - whether the tools of development are needed too.
 */
export function ensureDependencies({ tools }) {
  const reason = whyToInstall(tools || !canRunTypeScript());
  if (reason === undefined) return linkProgram();
  say(`${reason}; running npm ci (1.4 GB on disk, a minute or two)`);
  const started = Date.now();
  const { status, error } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: ROOT,
    stdio: ["ignore", 2, 2],
    env: installEnvironment(),
  });
  if (status !== 0) {
    say(`npm ci failed${error === undefined ? "" : `: ${error.message}`}; see its messages above`);
    process.exit(1);
  }
  linkProgram();
  say(`dependencies are installed after ${Math.round((Date.now() - started) / 1000)} s`);
  return undefined;
}

/** Makes `npx courtside` find the program in this folder; npm links only the programs of dependencies. */
export function linkProgram() {
  const folder = join(MODULES, ".bin");
  const target = "../../bin/courtside.js";
  const link = join(folder, "courtside");
  if (linkTarget(link) === target) return;
  try {
    mkdirSync(folder, { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(target, link);
    chmodSync(join(ROOT, "bin/courtside.js"), 0o755);
  } catch (error) {
    // A read-only installation runs all the same, by its path.
    if (error.code !== "EROFS" && error.code !== "EACCES") throw error;
  }
}

/**
 * @param {object} lock - package-lock.json
 * @param {object} installed - node_modules/.package-lock.json
 * @param {boolean} tools - whether packages that only development needs count.
 * @returns {string[]} packages that are not installed as the lock file has them; those of other platforms never are.
 */
export function outdatedPackages(lock, installed, tools) {
  return Object.entries(lock.packages)
    .filter(([path, { dev, optional }]) => path !== "" && !optional && (tools || !dev))
    .filter(([path, { version }]) => installed.packages[path]?.version !== version)
    .map(([path]) => path.replace("node_modules/", ""));
}

/** Path of a Node that runs TypeScript; ends the process when there is none. */
export function findNode() {
  const installed = join(MODULES, "node/bin/node");
  if (existsSync(installed)) return installed;
  if (!canRunTypeScript()) {
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

function whyToInstall(tools) {
  if (!existsSync(MODULES)) return "dependencies are not installed yet";
  if (!existsSync(INSTALLED_FILE)) return "an install was not finished";
  const lock = JSON.parse(readFileSync(LOCK_FILE, "utf8"));
  const installed = JSON.parse(readFileSync(INSTALLED_FILE, "utf8"));
  const outdated = outdatedPackages(lock, installed, tools);
  if (outdated.length === 0) return undefined;
  const others = outdated.length === 1 ? "" : ` and ${outdated.length - 1} others`;
  return `${outdated[0]}${others} not installed as in package-lock.json`;
}

function canRunTypeScript() {
  return Number(process.versions.node.split(".")[0]) >= MIN_NODE_MAJOR;
}

function installEnvironment() {
  // npm replaces node_modules, so it must not run on the Node inside of it.
  const folders = (process.env.PATH ?? "").split(delimiter);
  const PATH = folders.filter((folder) => !folder.startsWith(MODULES)).join(delimiter);
  const env = { ...process.env, PATH, ONNXRUNTIME_NODE_INSTALL: "skip" };
  // Set by an npm around this one, which would complain that it does not know it.
  delete env.npm_config_onnxruntime_node_install;
  return env;
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
