import { setTimeout as delay } from "node:timers/promises";
import {
  type ClickHouseClient,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
} from "@clickhouse/client";
import { CourtsideError, errorText } from "../../base/errors.ts";

/** Database that holds all tables of this project. */
export const DATABASE = "courtside";

/** Longest wait for a store that is just being started; the embedded one needs one to three seconds. */
const START_WAIT_MS = 20_000;
const FIRST_BACK_OFF_MS = 25;
/** Asking costs a millisecond; the first curve on the page waits for the answer. */
const MAX_BACK_OFF_MS = 200;
/** Longest single statement; a full scan of ten million rows takes two seconds on two cores. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Sockets to the store of one process: more would only wait there, since the embedded store runs few at once. */
const MAX_CONNECTIONS = 8;

/** Errors are thrown to the caller, who logs them once and in our form. */
const SILENT = { level: ClickHouseLogLevel.OFF };

/** The store does not answer, or not as ClickHouse does. */
export class StoreUnreachableError extends CourtsideError {
  override readonly code = "STORE_UNREACHABLE";
  override readonly retryable = true;
  readonly url: string;

  constructor(url: string, detail: string, options?: ErrorOptions) {
    super(
      `ClickHouse at ${withoutPassword(url)} does not answer: ${detail}; start it with "courtside clickhouse" ` +
        "or name another with --clickhouse-url",
      options,
    );
    this.url = withoutPassword(url);
  }
}

/** What may be shown of an address: passwords end up in logs otherwise. */
function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/]*@/, "//");
}

export interface OpenClickHouseOptions {
  /** How long a refused connection is tried again, milliseconds; 0 asks once. Default 20,000. */
  readonly waitMs?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
  /** Settings sent with every statement. */
  readonly settings?: ClickHouseSettings;
  /** Longest single statement, milliseconds; default 60,000. */
  readonly requestTimeoutMs?: number;
  /** For readers: nothing is created, and the server refuses to write. */
  readonly readOnly?: boolean;
}

/**
 * A client on the database `courtside` of a ClickHouse that answers. Waits for one that is being started,
 * and creates the database when there is none, so that `migrate` can run.
 *
 * @param url - for example `http://127.0.0.1:8123`; may carry user and password.
 * @throws StoreUnreachableError when nothing answers in time.
 */
export async function openClickHouse(
  url: string,
  options: OpenClickHouseOptions = {},
): Promise<ClickHouseClient> {
  const request_timeout = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  const common = { url, request_timeout, log: SILENT };
  const bootstrap = createClient(common);
  try {
    await waitUntilItAnswers(bootstrap, url, options);
    if (options.readOnly !== true) await createDatabase(bootstrap);
  } finally {
    await bootstrap.close();
  }
  return createClient({
    ...common,
    database: DATABASE,
    application: "courtside",
    max_open_connections: MAX_CONNECTIONS,
    clickhouse_settings: { ...options.settings, ...(options.readOnly && { readonly: "1" }) },
  });
}

async function waitUntilItAnswers(
  client: ClickHouseClient,
  url: string,
  { waitMs = START_WAIT_MS, signal }: OpenClickHouseOptions,
): Promise<void> {
  const deadlineMs = performance.now() + waitMs;
  for (let backOffMs = FIRST_BACK_OFF_MS; ; backOffMs = Math.min(backOffMs * 2, MAX_BACK_OFF_MS)) {
    // With `select` the password is checked too, which `/ping` would not do.
    const answer = await client.ping({ select: true });
    if (answer.success) return;
    if (!isBeingStarted(answer.error) || performance.now() + backOffMs > deadlineMs) {
      throw new StoreUnreachableError(url, describe(answer.error), { cause: answer.error });
    }
    await delay(backOffMs, undefined, signal === undefined ? {} : { signal });
  }
}

async function createDatabase(client: ClickHouseClient): Promise<void> {
  const exists = await client.query({
    query: `EXISTS DATABASE ${DATABASE}`,
    format: "JSONEachRow",
  });
  const [row] = await exists.json<{ result: number }>();
  // Asked first because an account that may only write rows must not need the right to create databases.
  if (Number(row?.result) === 1) return;
  await client.command({ query: `CREATE DATABASE IF NOT EXISTS ${DATABASE}` });
}

const STARTING_CODES = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE"]);

function isBeingStarted(error: Error): boolean {
  return firstCodes(error).some((code) => STARTING_CODES.has(code));
}

function describe(error: Error): string {
  return errorText(error) || firstCodes(error).join(", ") || "no answer";
}

/** Node wraps refusals of several addresses of one host name into an AggregateError without a text. */
function firstCodes(error: Error): readonly string[] {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  return errors.flatMap((one) =>
    one instanceof Error && "code" in one && typeof one.code === "string" ? [one.code] : [],
  );
}
