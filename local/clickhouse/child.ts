import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { CourtsideError } from "../../base/errors.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
/** A cold start reads 540 MB of engine from disk. */
const START_TIMEOUT_MS = 30_000;
/** The server itself gives statements ten seconds. */
const STOP_TIMEOUT_MS = 15_000;

/** The process of the embedded ClickHouse ended before it was ready; the message is its own last line. */
export class ClickHouseStartError extends CourtsideError {
  override readonly code = "CLICKHOUSE_START_FAILED";
  override readonly retryable = false;
}

export interface ClickHouseChild {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly pid: number;
  /** Graceful; killed when that takes longer than 15 seconds. */
  stop(): Promise<void>;
}

/**
 * Starts the embedded ClickHouse as a child process, which ends with this one.
 *
 * @param port - 0 (the default) takes any free one.
 * @throws ClickHouseStartError
 */
export async function startClickHouse(dataDir: string, port = 0): Promise<ClickHouseChild> {
  const child = spawn(process.execPath, [MAIN, "--data", dataDir, "--port", String(port)], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString("utf8")).slice(-MAX_STDERR_CHARACTERS);
  });
  const readyPort = await Promise.race([readyLine(child), endOf(child)]);
  if (readyPort === undefined) {
    child.kill("SIGKILL");
    throw new ClickHouseStartError(
      stderr.trim() || "the embedded ClickHouse did not start in time",
    );
  }
  return {
    url: `http://127.0.0.1:${readyPort}`,
    pid: child.pid ?? 0,
    stop: () => stop(child),
  };
}

/** What is kept of the child's last words. */
const MAX_STDERR_CHARACTERS = 4096;

async function readyLine(child: ChildProcess): Promise<number | undefined> {
  if (child.stdout === null) return undefined;
  const lines = createInterface({ input: child.stdout });
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  try {
    const [line] = (await once(lines, "line", { signal })) as [string];
    return (JSON.parse(line) as { port: number }).port;
  } catch {
    return undefined;
  }
}

async function endOf(child: ChildProcess): Promise<undefined> {
  await once(child, "close");
  return undefined;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(force);
}
