import type { Session as ChdbSession } from "chdb";
import { CourtsideError } from "../../base/errors.ts";
import { queryErrorFrom } from "./query-error.ts";

/**
 * The engine inside this process. It binds one directory for the life of the process, and no thread that has
 * loaded it may ever exit: exactly one thread of one dedicated process opens it.
 */
export interface Engine {
  /** About 2 ms and 0.15 MB each. */
  openSession(): EngineSession;
  /** Ends all sessions and releases the directory. */
  close(): void;
}

/** Runs one statement at a time; settings, database and parameters of a session stay until they are changed. */
export interface EngineSession {
  /**
   * True after a statement that failed, until another succeeds. What the failed one had written already comes
   * in front of the next result, so that one must be thrown away, or the session with it.
   */
  readonly failed: boolean;
  /** @param format - of the result, unless the statement names one. @throws QueryError */
  query(sql: string, format?: string): Promise<EngineResult>;
  /** Pieces of the result while it is being made; for formats without header and footer. @throws QueryError */
  stream(sql: string, format: string): AsyncGenerator<Uint8Array, void, undefined>;
  close(): void;
}

export interface EngineResult {
  readonly bytes: Uint8Array;
  readonly rows: number;
  readonly sizeBytes: number;
  readonly elapsedS: number;
}

/** The engine would not open the directory. */
export class EngineOpenError extends CourtsideError {
  override readonly code = "CLICKHOUSE_OPEN_FAILED";
  override readonly retryable = false;
}

/** What sessions start with, and go back to when a request changed it. */
export const BASE_SETTINGS: Readonly<Record<string, string>> = {
  // Asynchronous inserts do nothing in this engine.
  async_insert: "0",
  // Otherwise `selec 1` is taken for an expression and answered.
  implicit_select: "0",
  session_timezone: "UTC",
};

/**
 * @param dataDir - existing, writable directory; created parts are the engine's own.
 * @param configFile - from `writeServerConfig`.
 * @throws EngineOpenError
 */
export async function openEngine(dataDir: string, configFile: string): Promise<Engine> {
  const { Session } = await import("chdb");
  const open = new Set<ChdbSession>();
  const settings = Object.entries(BASE_SETTINGS).map(([name, value]) => `--${name}=${value}`);
  const connectionArgs = [`--config-file=${configFile}`, ...settings];
  return {
    openSession: () => {
      let session: ChdbSession;
      try {
        session = new Session(dataDir, { connectionArgs });
      } catch (error) {
        throw new EngineOpenError(`ClickHouse cannot open ${dataDir}`, { cause: error });
      }
      open.add(session);
      return wrap(session, () => open.delete(session));
    },
    close: () => {
      for (const session of open) session.close();
      open.clear();
    },
  };
}

function wrap(session: ChdbSession, onClose: () => void): EngineSession {
  let failed = false;
  const failure = (error: unknown): Error => {
    failed = true;
    return queryErrorFrom(error);
  };
  return {
    get failed() {
      return failed;
    },
    query: async (sql, format = "TabSeparated") => {
      try {
        const result = await session.queryAsync(sql, { format });
        failed = false;
        return {
          bytes: result.bytes(),
          rows: result.rowsRead,
          sizeBytes: result.bytesRead,
          elapsedS: result.elapsed,
        };
      } catch (error) {
        throw failure(error);
      }
    },
    stream: async function* (sql, format) {
      try {
        for await (const chunk of session.queryStream(sql, { format })) yield chunk.raw();
      } catch (error) {
        throw failure(error);
      }
    },
    close: () => {
      onClose();
      session.close();
    },
  };
}
