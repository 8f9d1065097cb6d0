import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { CourtsideError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { explainOpenFailure, prepareDataDirectory } from "./data-directory.ts";
import { type Engine, openEngine } from "./engine.ts";
import { createHttpServer } from "./http-server.ts";
import { type Metrics, noMetrics } from "../../base/metrics.ts";
import { ServerMetrics } from "./server-metrics.ts";
import { QueryLog } from "./query-log.ts";
import { READER_ROLE, writeServerConfig } from "./server-config.ts";
import { POOL_SESSIONS, SessionPool } from "./session-pool.ts";
import { Spool } from "./spool.ts";

/** How long statements under way may take after a stop was asked for. */
const STOP_GRACE_MS = 10_000;
/** Statements of readers that run at once, so that they never take all sessions from the pipeline. */
const READER_SESSIONS = 2;
/** Each running statement holds a thread of the pool; files and compression of this process need some too. */
const THREADS = POOL_SESSIONS + READER_SESSIONS + 8;

/** The port belongs to somebody else. */
export class PortInUseError extends CourtsideError {
  override readonly code = "PORT_IN_USE";
  override readonly retryable = true;
  readonly port: number;

  constructor(port: number, options?: ErrorOptions) {
    super(
      `port ${port} of 127.0.0.1 is in use; stop who listens there, or choose another with --port ` +
        "(0 takes any free one)",
      options,
    );
    this.port = port;
  }
}

export interface ServeClickHouseOptions {
  readonly dataDir: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly log: Log;
  readonly metrics?: Metrics;
}

export interface RunningClickHouse {
  readonly port: number;
  /** Lets statements finish, for ten seconds at most, and releases the directory. */
  stop(): Promise<void>;
}

/**
 * Opens the embedded ClickHouse and serves it on 127.0.0.1. A process can do this once, and should do
 * nothing else.
 *
 * @throws PortInUseError, DataDirError, DiskFullError, DataDirLockedError
 */
export async function serveClickHouse(options: ServeClickHouseOptions): Promise<RunningClickHouse> {
  // Read by the thread pool when it is used for the first time, which is still to come.
  process.env["UV_THREADPOOL_SIZE"] ??= String(THREADS);
  const path = await prepareDataDirectory(options.dataDir);
  await checkPort(options.port);
  const [engine, pool] = await openPool(path);
  try {
    const spool = await Spool.open(path);
    const queryLog = await QueryLog.open(engine, options.log);
    const readers = new SessionPool(engine, READER_SESSIONS, READER_ROLE);
    const metrics = new ServerMetrics(options.metrics ?? noMetrics);
    const server = createHttpServer({ pool, readers, spool, queryLog, log: options.log, metrics });
    const port = await listen(server, options.port);
    const stop = async (): Promise<void> => {
      await closeServer(server);
      await queryLog.flush();
      engine.close();
      await spool.close();
    };
    return { port, stop };
  } catch (error) {
    engine.close();
    throw error;
  }
}

async function openPool(path: string): Promise<[Engine, SessionPool]> {
  const engine = await openEngine(path, await writeServerConfig(path));
  try {
    return [engine, new SessionPool(engine)];
  } catch (error) {
    throw await explainOpenFailure(path, error);
  }
}

/** Opening the engine takes seconds; a busy port should not. */
async function checkPort(port: number): Promise<void> {
  const probe = createServer();
  await listen(probe, port);
  await closeServer(probe);
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(error.code === "EADDRINUSE" ? new PortInUseError(port, { cause: error }) : error);
    });
    server.listen(port, "127.0.0.1", resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // Again and again: a connection whose statement ends now would otherwise stay open for the next one.
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  const force = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
  await closed;
  clearInterval(idle);
  clearTimeout(force);
}

const IDLE_CHECK_MS = 20;
