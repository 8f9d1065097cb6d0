import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CourtsideError } from "../base/errors.ts";
import { DiskFullError, freeSpaceBytes } from "./data-dir.ts";
import type { NatsServerBinary } from "./find-nats-server.ts";
import { acquireLock, type Lock } from "./lock.ts";
import { endProcess, identify, isErrno, type ProcessIdentity } from "./process.ts";

/** A server with 300,000 messages to recover answered in 0.8 s; a season of several million takes seconds. */
const START_TIMEOUT_MS = 30_000;
const POLL_MS = 15;
/** SIGINT ends a server in 6 ms; a longer stop means that it is still writing. */
const STOP_GRACE_MS = 5_000;
/** Logs are turned over at this size by the server itself. */
const LOG_LIMIT_BYTES = 16 * 1024 * 1024;
/** Lines of the log that an error shows. */
const SHOWN_LOG_LINES = 8;
/** Below this the server cannot even make its folders. */
const FULL_DISK_BYTES = 1024 * 1024;

/** nats-server did not start, or ended by itself. */
export class NatsServerFailedError extends CourtsideError {
  override readonly code = "NATS_SERVER_FAILED";
  override readonly retryable = true;
}

export interface StartOptions {
  readonly binary: NatsServerBinary;
  /** Folder of this server alone; JetStream's files, configuration, lock. */
  readonly storeFolder: string;
  readonly logFile: string;
  /** On 127.0.0.1; 0 picks a free one. */
  readonly port: number;
  readonly signal?: AbortSignal;
}

export interface NatsServer {
  readonly url: string;
  readonly port: number;
  /** Base address of the server's monitoring pages. */
  readonly monitorUrl: string;
  readonly pid: number;
  /** Settles when the server has ended, whoever ended it. */
  readonly exited: Promise<void>;
  /** Ends the server and gives the lock back; harmless when called twice. */
  stop(): Promise<void>;
}

/**
 * Starts a nats-server with JetStream on files, on the loopback address, and waits until JetStream answers.
 * A server whose starter was killed is found and ended first: two servers on one folder would both accept
 * writes, since nats-server itself takes no lock.
 *
 * @throws NatsServerFailedError with the end of the server's log, LockedError, DiskFullError
 */
export async function startNatsServer(options: StartOptions): Promise<NatsServer> {
  const { storeFolder } = options;
  await mkdir(storeFolder, { recursive: true });
  const lock = await acquireLock(join(storeFolder, "lock"), `the broker's folder ${storeFolder}`);
  try {
    await endOrphan(storeFolder);
    return await launch(options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function launch(options: StartOptions, lock: Lock): Promise<NatsServer> {
  const { binary, storeFolder, logFile } = options;
  const configFile = join(storeFolder, "server.conf");
  await removePortsFiles(storeFolder);
  await writeFile(configFile, configuration(options));
  // What the server says before it has opened its log goes to standard error.
  const log = await open(logFile, "a");
  const child = spawn(binary.path, ["-c", configFile], {
    stdio: ["ignore", "ignore", log.fd],
    detached: true,
  });
  await log.close();
  const exited = exitOf(child);
  const { pid } = child;
  if (pid === undefined) throw await failure(options, `${binary.path} cannot be run`);
  const identity = await identify(pid);
  if (identity !== undefined) await recordServer(storeFolder, identity);
  const stop = async (): Promise<void> => {
    if (identity !== undefined) await endProcess(identity, STOP_GRACE_MS, "SIGINT");
    await exited;
    await rm(join(storeFolder, PROCESS_FILE), { force: true });
    await lock.release();
  };
  try {
    const ports = await waitForPorts(options, pid, child);
    await waitForJetStream(options, ports.monitorUrl, child);
    return { ...ports, pid, exited, stop };
  } catch (error) {
    await stop();
    throw isErrno(error, "ENOSPC") ? new DiskFullError(logFile, 0, FULL_DISK_BYTES) : error;
  }
}

/** Limits as on a real cluster, so that what works here works there. */
function configuration({ storeFolder, logFile, port }: StartOptions): string {
  return `# Written at every start by "courtside nats".
listen: "127.0.0.1:${port === 0 ? -1 : port}"
http: "127.0.0.1:-1"
server_name: courtside
jetstream {
  store_dir: ${JSON.stringify(storeFolder)}
  max_memory_store: 256MB
  # Streams reserve their limits out of this. A share of the free space, the default, would refuse them on a small
  # disk that their messages would fit on; whether the disk is full is looked at by whoever runs the server.
  max_file_store: 64GB
}
# The server's own default, spelled out since frames are cut to fit it.
max_payload: 1MB
max_pending: 64MB
max_connections: 1024
write_deadline: "10s"
ports_file_dir: ${JSON.stringify(storeFolder)}
log_file: ${JSON.stringify(logFile)}
logfile_size_limit: ${LOG_LIMIT_BYTES}
`;
}

interface Ports {
  readonly url: string;
  readonly port: number;
  readonly monitorUrl: string;
}

async function waitForPorts(
  options: StartOptions,
  pid: number,
  child: ChildProcess,
): Promise<Ports> {
  const file = join(options.storeFolder, `nats-server_${pid}.ports`);
  return poll(options, child, "to say its ports", async () => {
    const text = await readFile(file, "utf8").catch(() => "");
    const ports = parsePorts(text);
    return ports;
  });
}

function parsePorts(text: string): Ports | undefined {
  // The file is not written in one step: half of it is no JSON yet.
  if (!text.trimEnd().endsWith("}")) return undefined;
  const { nats, monitoring } = JSON.parse(text) as {
    readonly nats?: readonly string[];
    readonly monitoring?: readonly string[];
  };
  const url = nats?.[0];
  const monitorUrl = monitoring?.[0];
  if (url === undefined || monitorUrl === undefined) return undefined;
  return { url, monitorUrl, port: Number(new URL(url).port) };
}

async function waitForJetStream(
  options: StartOptions,
  monitorUrl: string,
  child: ChildProcess,
): Promise<void> {
  const health = `${monitorUrl}/healthz?js-enabled-only=true`;
  await poll(options, child, "to answer with JetStream", async () => {
    const response = await fetch(health, { signal: AbortSignal.timeout(1_000) }).catch(
      () => undefined,
    );
    return response?.ok === true ? true : undefined;
  });
}

async function poll<T>(
  options: StartOptions,
  child: ChildProcess,
  what: string,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    options.signal?.throwIfAborted();
    if (child.exitCode !== null || child.signalCode !== null) {
      throw await failure(
        options,
        `nats-server ended with ${child.signalCode ?? child.exitCode ?? ""}`,
      );
    }
    if (performance.now() > deadlineMs) {
      throw await failure(
        options,
        `nats-server took more than ${START_TIMEOUT_MS / 1000} s ${what}`,
      );
    }
    await delay(POLL_MS);
  }
}

async function failure(options: StartOptions, what: string): Promise<CourtsideError> {
  const freeBytes = await freeSpaceBytes(options.storeFolder);
  if (freeBytes < FULL_DISK_BYTES) {
    return new DiskFullError(options.storeFolder, freeBytes, FULL_DISK_BYTES);
  }
  const log = await readFile(options.logFile, "utf8").catch(() => "");
  const lines = log.trimEnd().split("\n").slice(-SHOWN_LOG_LINES);
  const port = options.port === 0 ? "" : ` (port ${options.port})`;
  return new NatsServerFailedError(
    `${what}${port}; the end of ${options.logFile}:\n${lines.join("\n")}`,
  );
}

async function exitOf(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve) => {
    child.once("exit", () => {
      resolve();
    });
    // Comes instead of `exit` when the file cannot be run at all.
    child.once("error", () => {
      resolve();
    });
  });
}

const PROCESS_FILE = "server.json";

async function recordServer(storeFolder: string, server: ProcessIdentity): Promise<void> {
  const fresh = join(storeFolder, `${PROCESS_FILE}.${process.pid}`);
  await writeFile(fresh, JSON.stringify({ pid: server.pid, start_time: server.startTime }));
  await rename(fresh, join(storeFolder, PROCESS_FILE));
}

async function endOrphan(storeFolder: string): Promise<void> {
  const text = await readFile(join(storeFolder, PROCESS_FILE), "utf8").catch(() => "null");
  const recorded = JSON.parse(text) as { pid: number; start_time: string } | null;
  if (recorded === null) return;
  const orphan = { pid: recorded.pid, startTime: recorded.start_time };
  await endProcess(orphan, STOP_GRACE_MS, "SIGINT");
  await rm(join(storeFolder, PROCESS_FILE), { force: true });
}

/** A killed server leaves its ports file behind. */
async function removePortsFiles(storeFolder: string): Promise<void> {
  const files = (await readdir(storeFolder)).filter((file) => file.endsWith(".ports"));
  await Promise.all(files.map(async (file) => rm(join(storeFolder, file), { force: true })));
}
