import { once } from "node:events";
import { CourtsideError, UsageError } from "../../base/errors.ts";
import { createLog } from "../../base/log.ts";
import { DATABASE, openClickHouse } from "../../data/clickhouse/client.ts";
import { serveClickHouse } from "../../local/clickhouse/serve.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import type { Command, CommandContext } from "../command.ts";
import { integerFlag } from "../flags.ts";

export const command: Command = {
  name: "clickhouse",
  summary: "Run the embedded ClickHouse and its HTTP interface; back up and restore its tables",
  help: `Examples:
  courtside clickhouse
  courtside clickhouse --port 8123 --data .courtside/clickhouse
  curl 'http://127.0.0.1:8123/?query=SELECT+version()'
  courtside clickhouse backup before-the-playoffs
  courtside clickhouse restore before-the-playoffs --replace

Serves ClickHouse's HTTP interface on 127.0.0.1, so ordinary clients, curl and BI tools work with it; a console
for reading is at /play. Prints one JSON line when it is ready and runs until it is stopped.

backup and restore talk to a server that runs. A back-up of the embedded one is a folder of its name under
DATA/backups; copy it away as it is. Restoring needs an empty database, or --replace, which first checks that the
back-up can be read and then drops what is there.

Flags:
  --port P              port, 0 for any free one (default 8123)
  --data DIR            directory of the tables (default .courtside/clickhouse)
  --prometheus-port P   also serve metrics on this port, 0 for a free one
  --clickhouse-url URL  server to back up or restore (default http://127.0.0.1:8123)
  --replace             restore over tables that hold rows`,
  options: {
    port: { type: "string", default: "8123" },
    data: { type: "string", default: ".courtside/clickhouse" },
    "clickhouse-url": { type: "string", default: "http://127.0.0.1:8123" },
    "prometheus-port": { type: "string" },
    replace: { type: "boolean", default: false },
  },
  run: async (context) => {
    const [verb, name, ...rest] = context.positionals;
    if (verb === undefined) return serve(context);
    if ((verb !== "backup" && verb !== "restore") || name === undefined || rest.length > 0)
      throw new UsageError("courtside clickhouse takes nothing, backup NAME or restore NAME");
    if (!/^[\w.-]{1,100}$/.test(name) || name.startsWith("."))
      throw new UsageError(
        `a back-up is named by letters, digits, ".", "-" and "_", not "${name}"`,
      );
    return verb === "backup" ? backup(context, name) : restore(context, name);
  },
};

/** There are rows where a back-up was to be restored. */
class NotEmptyError extends CourtsideError {
  override readonly code = "DATABASE_NOT_EMPTY";
  override readonly retryable = false;
}

async function serve(context: CommandContext): Promise<number> {
  const { values, signal } = context;
  const port = integerFlag(values, "port", { min: 0, max: 65_535 }) ?? 0;
  const dataDir = String(values["data"]);
  const prometheusPort = integerFlag(values, "prometheus-port", { min: 0, max: 65_535 });
  const metrics = await createMetrics({ service: "clickhouse", prometheusPort });
  const server = await serveClickHouse({ dataDir, port, log: createLog("clickhouse"), metrics });
  metrics.reportHealth({});
  context.stdout(`${JSON.stringify({ ready: true, service: "clickhouse", port: server.port })}\n`);
  if (!signal.aborted) await once(signal, "abort");
  await server.stop();
  await metrics.shutdown();
  return 0;
}

/** A back-up of a season takes seconds; the server answers when it is whole. */
const BACKUP_TIMEOUT_MS = 3_600_000;

async function backup(context: CommandContext, name: string): Promise<number> {
  const { values } = context;
  const url = String(values["clickhouse-url"]);
  const client = await openClickHouse(url, { waitMs: 0, requestTimeoutMs: BACKUP_TIMEOUT_MS });
  try {
    await client.command({ query: `BACKUP DATABASE ${DATABASE} TO File('${name}')` });
    const [[rows] = [0]] = await select<[number]>(client, ROWS);
    context.stdout(`backed up ${String(rows)} rows as ${name}\n`);
    return 0;
  } finally {
    await client.close();
  }
}

async function restore(context: CommandContext, name: string): Promise<number> {
  const { values } = context;
  const url = String(values["clickhouse-url"]);
  const client = await openClickHouse(url, { waitMs: 0, requestTimeoutMs: BACKUP_TIMEOUT_MS });
  try {
    const [[present] = [0]] = await select<[number]>(client, ROWS);
    if (present > 0 && values["replace"] !== true)
      throw new NotEmptyError(
        `the database ${DATABASE} holds ${String(present)} rows; --replace drops them for the back-up`,
      );
    const trial = `${DATABASE}_restore_trial`;
    await client.command({ query: `DROP DATABASE IF EXISTS ${trial} SYNC` });
    // Whatever is wrong with the back-up shows here, before anything is lost.
    await client.command({
      query: `RESTORE DATABASE ${DATABASE} AS ${trial} FROM File('${name}')`,
    });
    await client.command({ query: `DROP DATABASE ${trial} SYNC` });
    await client.command({ query: `DROP DATABASE IF EXISTS ${DATABASE} SYNC` });
    await client.command({ query: `RESTORE DATABASE ${DATABASE} FROM File('${name}')` });
    const [[rows] = [0]] = await select<[number]>(client, ROWS);
    context.stdout(`restored ${String(rows)} rows from ${name}\n`);
    return 0;
  } finally {
    await client.close();
  }
}

const ROWS = `SELECT toUInt32(sum(total_rows)) FROM system.tables WHERE database = '${DATABASE}' AND engine LIKE '%MergeTree' AND name != 'schema_migrations'`;

async function select<T>(
  client: Awaited<ReturnType<typeof openClickHouse>>,
  query: string,
): Promise<T[]> {
  return (await client.query({ query, format: "JSONCompactEachRow" })).json<T>();
}
