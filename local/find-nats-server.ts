import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CourtsideError, errorText } from "../base/errors.ts";
import { installNatsServer } from "./install-nats-server.ts";

const run = promisify(execFile);

/** Where tools that this program fetched live; never outside of the repository. */
const TOOLS = fileURLToPath(new URL("../.tools/", import.meta.url));
/** Debian puts the binary here, which is not on every user's PATH. */
const EXTRA_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin"];
/** Oldest server that was tried: the one of Debian 12. */
const MIN_VERSION = [2, 9, 0] as const;

/** There is no nats-server, and none could be installed. */
export class NatsServerMissingError extends CourtsideError {
  override readonly code = "NATS_SERVER_MISSING";
  override readonly retryable = false;
}

export interface NatsServerBinary {
  readonly path: string;
  /** For example `2.9.10`. */
  readonly version: string;
  /** Where it was found, in words for a person. */
  readonly origin: string;
}

export interface FindOptions {
  /** From the flag `--nats-server` or `COURTSIDE_NATS_SERVER`: used or refused, never passed over. */
  readonly explicitPath?: string | undefined;
  /** False: only look. Default true. */
  readonly install?: boolean;
  readonly environment?: NodeJS.ProcessEnv;
  readonly toolsFolder?: string;
  /** Told what is being done, a sentence each. */
  say?(text: string): void;
}

/**
 * Finds nats-server: the named one, then PATH, then `.tools/`; installs it when there is none.
 *
 * @throws NatsServerMissingError which names the ways to get one.
 */
export async function findNatsServer(options: FindOptions = {}): Promise<NatsServerBinary> {
  const { explicitPath, environment = process.env, toolsFolder = TOOLS } = options;
  if (explicitPath !== undefined) return probe(explicitPath, "--nats-server");
  const found = await lookAround(environment, toolsFolder);
  if (found !== undefined) return found;
  if (options.install === false) throw new NatsServerMissingError(howToGetOne([]));
  const say = (text: string): void => options.say?.(text);
  say("nats-server is not installed; getting it now");
  const attempts = await installNatsServer(toolsFolder, say);
  const installed = await lookAround(environment, toolsFolder);
  if (installed !== undefined) return installed;
  throw new NatsServerMissingError(howToGetOne(attempts));
}

async function lookAround(
  environment: NodeJS.ProcessEnv,
  toolsFolder: string,
): Promise<NatsServerBinary | undefined> {
  const onPath = (environment["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const candidates = [
    ...[...onPath, ...EXTRA_FOLDERS].map((folder) => ({ folder, origin: "PATH" })),
    { folder: toolsFolder, origin: ".tools" },
  ];
  for (const { folder, origin } of candidates) {
    const path = join(folder, "nats-server");
    if (await isExecutable(path)) return probe(path, origin);
  }
  return undefined;
}

async function probe(path: string, origin: string): Promise<NatsServerBinary> {
  let output: string;
  try {
    output = (await run(path, ["--version"])).stdout;
  } catch (error) {
    throw new NatsServerMissingError(
      `${path} (from ${origin}) cannot be run: ${errorText(error)}`,
      {
        cause: error,
      },
    );
  }
  const version = /v(\d+)\.(\d+)\.(\d+)/.exec(output);
  if (version === null) {
    throw new NatsServerMissingError(
      `${path} (from ${origin}) does not say that it is nats-server`,
    );
  }
  if (isOlder(version.slice(1).map(Number), MIN_VERSION)) {
    throw new NatsServerMissingError(
      `${path} is nats-server ${version[0]}; ${MIN_VERSION.join(".")} or newer is needed`,
    );
  }
  return { path, version: version[0].slice(1), origin };
}

function isOlder(version: readonly number[], than: readonly number[]): boolean {
  for (const [index, wanted] of than.entries()) {
    const part = version[index] ?? 0;
    if (part !== wanted) return part < wanted;
  }
  return false;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    // Absent and not executable are the same here: look further.
    return false;
  }
}

function howToGetOne(attempts: readonly string[]): string {
  const tried = attempts.length === 0 ? "" : ` Tried: ${attempts.join("; ")}.`;
  return (
    `nats-server is not installed.${tried} Ways to get it: (1) "apt-get install nats-server" or ` +
    `"brew install nats-server"; (2) an archive from https://github.com/nats-io/nats-server/releases, ` +
    "named with --nats-server PATH or COURTSIDE_NATS_SERVER; (3) use a running server with --nats-url"
  );
}
