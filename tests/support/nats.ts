import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A nats-server of a test: its own port, its own store. */
export interface TestNats {
  readonly url: string;
  readonly port: number;
  readonly storeDir: string;
  /** Ends the server in an orderly way and removes its store. */
  stop(): Promise<void>;
  /** kill -9; the store stays, so that `restart` finds it. */
  kill(): Promise<void>;
  /** Starts a server on the same port and store after `kill`. */
  restart(): Promise<void>;
}

/** Longest wait for a server to listen; it takes about 100 ms on an idle machine. */
const START_TIMEOUT_MS = 10_000;

/** Path of nats-server, undefined when there is none. */
export function findNatsServer(): string | undefined {
  const named = process.env["COURTSIDE_NATS_SERVER"];
  if (named !== undefined) return named;
  const dirs = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return dirs.map((dir) => join(dir, "nats-server")).find((path) => existsSync(path));
}

/** Starts nats-server with JetStream and file storage on a free port of 127.0.0.1. */
export async function startNats(): Promise<TestNats> {
  const binary = findNatsServer();
  if (binary === undefined) throw new Error("no nats-server on PATH (set COURTSIDE_NATS_SERVER)");
  const dir = await mkdtemp(join(tmpdir(), "courtside-nats-"));
  const storeDir = join(dir, "store");
  let server = await launch(binary, dir, storeDir, -1);
  const port = server.port;
  return {
    url: `nats://127.0.0.1:${String(port)}`,
    port,
    storeDir,
    stop: async () => {
      await server.end("SIGINT");
      await rm(dir, { recursive: true, force: true });
    },
    kill: () => server.end("SIGKILL"),
    restart: async () => {
      server = await launch(binary, dir, storeDir, port);
    },
  };
}

async function launch(
  binary: string,
  dir: string,
  storeDir: string,
  port: number,
): Promise<{ port: number; end(signal: NodeJS.Signals): Promise<void> }> {
  const portsDir = await mkdtemp(join(dir, "ports-"));
  const child = spawn(
    binary,
    ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", storeDir, "--ports_file_dir", portsDir],
    { stdio: "ignore" },
  );
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await exited;
  };
  const portsFile = join(portsDir, `nats-server_${String(child.pid)}.ports`);
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadlineMs && child.exitCode === null) {
    const text = await readFile(portsFile, "utf8").catch(() => "");
    const found = /"nats:\/\/[^"]*:(?<port>\d+)"/u.exec(text)?.groups?.["port"];
    if (found !== undefined) return { port: Number(found), end };
    await sleep(10);
  }
  await end("SIGKILL");
  throw new Error(`nats-server did not listen within ${String(START_TIMEOUT_MS)} ms`);
}
