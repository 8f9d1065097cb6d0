import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { openLogFile } from "./log-file.ts";
import { endProcess, identify, type ProcessIdentity } from "./process.ts";

const MAIN = fileURLToPath(new URL("../cli/main.ts", import.meta.url));
/** Lines of a child's messages that are kept for the error about it. */
const KEPT_LINES = 20;

/** One command of this program, run as a process of its own. */
export interface ChildSpec {
  /** Name in messages, log files and `run.json`. */
  readonly name: string;
  /** Command and flags, for example `["serve", "--port", "50051"]`. */
  readonly args: readonly string[];
}

/** How a process ended. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What a child says on standard output, one JSON object a line. */
export type ChildMessage = Readonly<Record<string, unknown>>;

export interface Child {
  readonly identity: ProcessIdentity | undefined;
  readonly exited: Promise<ChildExit>;
  /** The last lines that it wrote to standard error. */
  lastLines(): readonly string[];
  /** SIGTERM, and SIGKILL after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

export interface StartChildOptions {
  /** File that gets what the child writes to standard error. */
  readonly logFile: string;
  /** Program that is run; this one by default. */
  readonly main?: string;
  onMessage(message: ChildMessage): void;
  /** Called when its log cannot be written any more. */
  onLogError(error: unknown): void;
}

/**
 * Starts a child. It gets a standard input that nobody writes to, so that it notices when this process dies,
 * and a process group of its own, so that Ctrl-C reaches it through this process, in order.
 */
export async function startChild(spec: ChildSpec, options: StartChildOptions): Promise<Child> {
  const log = openLogFile(options.logFile);
  const child = spawn(process.execPath, [options.main ?? MAIN, ...spec.args], {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    env: { ...process.env, COURTSIDE_SUPERVISED: "1" },
  });
  // A child that dies at once closes its end while this one is being set up.
  child.stdin.on("error", () => {});
  const lines: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => {
    try {
      log.write(chunk);
    } catch (error) {
      options.onLogError(error);
    }
  });
  createInterface({ input: child.stderr }).on("line", (line) => {
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = parseMessage(line);
    if (message !== undefined) options.onMessage(message);
  });
  const exited = exitOf(child, () => {
    log.close();
  });
  const identity = child.pid === undefined ? undefined : await identify(child.pid);
  return {
    identity,
    exited,
    lastLines: () => lines,
    async stop(graceMs) {
      if (identity !== undefined) await endProcess(identity, graceMs);
      await exited;
    },
  };
}

/** Settles when the process ended and all that it wrote was read. */
async function exitOf(child: ChildProcess, onEnd: () => void): Promise<ChildExit> {
  return new Promise((resolve) => {
    child.once("close", (code, signal) => {
      onEnd();
      resolve({ code, signal });
    });
    child.once("error", () => {
      onEnd();
      resolve({ code: null, signal: null });
    });
  });
}

function parseMessage(line: string): ChildMessage | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as ChildMessage;
  } catch {
    // A line for people that begins like JSON.
    return undefined;
  }
}
