import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { newestDebianPackage } from "./debian.ts";

/** A broker on a loaded machine is up within a second. */
const START_WAIT_MS = 10_000;

export interface TestNats {
  readonly url: string;
  /** Graceful end; removes the store. */
  stop(): Promise<void>;
  /** SIGKILL; the store stays for `restart`. */
  kill(): Promise<void>;
  /** Starts again on the same port and store. */
  restart(): Promise<void>;
}

/** The machine's own server, and the newest one of Debian where it can be had; why not is said. */
export async function natsServers(): Promise<readonly { name: string; binary?: string }[]> {
  const own = { name: "the machine's nats-server" };
  const folder = await newestDebianPackage("nats-server");
  if (folder === undefined) return [own];
  return [own, { name: "Debian's newest", binary: join(folder, "usr/sbin/nats-server") }];
}

/** A real nats-server with JetStream on a free port of 127.0.0.1 and a store of its own. */
export async function startNats(
  binary = process.env["COURTSIDE_NATS_SERVER"] ?? "nats-server",
): Promise<TestNats> {
  const directory = await mkdtemp(join(tmpdir(), "courtside-nats-"));
  let server = start(binary, directory, -1);
  const port = await portFrom(directory, server);
  const stopServer = async (signal: NodeJS.Signals): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const gone = once(server, "exit");
    server.kill(signal);
    await gone;
  };
  return {
    url: `nats://127.0.0.1:${String(port)}`,
    stop: async () => {
      await stopServer("SIGINT");
      await rm(directory, { recursive: true, force: true });
    },
    kill: () => stopServer("SIGKILL"),
    restart: async () => {
      await stopServer("SIGKILL");
      server = start(binary, directory, port);
      await portFrom(directory, server);
    },
  };
}

function start(binary: string, directory: string, port: number): ChildProcess {
  const files = ["--ports_file_dir", directory, "-l", join(directory, "server.log")];
  const args = ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", join(directory, "store")];
  return spawn(binary, [...args, ...files], { stdio: "ignore" });
}

/** The ports file is named after binary and process id, and is written once the server listens. */
async function portFrom(directory: string, server: ChildProcess): Promise<number> {
  let failure: Error | undefined;
  server.on("error", (error) => (failure = error));
  const deadlineMs = performance.now() + START_WAIT_MS;
  while (performance.now() < deadlineMs) {
    if (failure !== undefined) throw failure;
    const files = await readdir(directory);
    const file = files.find((name) => name.endsWith(`_${String(server.pid)}.ports`));
    const text = file === undefined ? "" : await readFile(join(directory, file), "utf8");
    const port = /nats:\/\/[^"]*:(\d+)/.exec(text)?.[1];
    if (port !== undefined) return Number(port);
    await delay(10);
  }
  throw new Error(`nats-server did not listen within ${String(START_WAIT_MS)} ms`);
}
