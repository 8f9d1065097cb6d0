import { readdir } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { ClickHouseClient } from "@clickhouse/client";
import { CourtsideError, UsageError } from "../../base/errors.ts";
import { askOf } from "../ask.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { startClickHouse } from "../../local/clickhouse/child.ts";
import {
  checkReadOnly,
  READER_SETTINGS,
  type ReadOnlySql,
  sqlErrorFrom,
} from "../../local/clickhouse/read-only-sql.ts";
import { latestDataDir, layoutOf } from "../../local/data-dir.ts";
import { readRunFile } from "../../local/run-file.ts";
import type { Command, CommandContext } from "../command.ts";
import { count, table } from "../io.ts";

export const command: Command = {
  name: "sql",
  summary: "Query the store",
  help: `Examples:
  courtside sql "SELECT count(), uniqExact(game_id) FROM courtside.predictions"
  courtside sql "SELECT * FROM plays_current WHERE shot_value = 3 LIMIT 5" --json
  courtside sql --data .courtside/runs/monday "SHOW TABLES"
  courtside sql < query.sql

Asks the pipeline that runs, or else opens the tables of the last run for this one statement.
Reads only: a statement that could change something is refused.

Flags:
  --json                one JSON object a row instead of a table
  --data DIR            data directory of a run (default: the last one)
  --clickhouse-url URL  any ClickHouse, for example http://127.0.0.1:8123`,
  options: {
    json: { type: "boolean", default: false },
    data: { type: "string" },
    "clickhouse-url": { type: "string" },
  },
  run: async (context) => {
    const statement = await statementOf(context);
    const store = await openStore(context);
    try {
      const checked = await checkReadOnly(askOf(store.client), statement);
      await print(context, store.client, checked);
      return 0;
    } catch (error) {
      throw sqlErrorFrom(error);
    } finally {
      await store.close();
    }
  },
};

/** There are no tables to ask yet. */
class NoStoreError extends CourtsideError {
  override readonly code = "NO_STORE";
  override readonly retryable = false;
}

async function statementOf({ positionals }: CommandContext): Promise<string> {
  const statement =
    positionals.length === 0 && !process.stdin.isTTY
      ? await text(process.stdin)
      : positionals.join(" ");
  if (statement.trim() === "") {
    throw new UsageError('there is no statement: courtside sql "SELECT count() FROM plays"');
  }
  return statement;
}

interface Store {
  readonly client: ClickHouseClient;
  close(): Promise<void>;
}

const CLIENT_OPTIONS = { waitMs: 0, readOnly: true, settings: READER_SETTINGS };
/** A process that listens answers its ping within milliseconds. */
const PING_TIMEOUT_MS = 2_000;

async function openStore({ values }: CommandContext): Promise<Store> {
  const url = values["clickhouse-url"];
  if (typeof url === "string") return storeAt(url);
  const dataDir = typeof values["data"] === "string" ? values["data"] : await latestDataDir();
  if (dataDir === undefined) {
    throw new NoStoreError(
      'nothing has run here yet; start with "courtside up", or name a store with --data or --clickhouse-url',
    );
  }
  const running = (await readRunFile(dataDir))?.urls.clickhouse;
  if (running !== undefined && (await answers(running))) return storeAt(running);
  const { clickhouse, root } = layoutOf(dataDir);
  if (!(await hasFiles(clickhouse))) {
    throw new NoStoreError(`${root} holds no tables; name the data directory of a run with --data`);
  }
  const server = await startClickHouse(clickhouse);
  try {
    return await storeAt(server.url, () => server.stop());
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function storeAt(url: string, stop?: () => Promise<void>): Promise<Store> {
  const client = await openClickHouse(url, CLIENT_OPTIONS);
  const close = async (): Promise<void> => {
    await client.close();
    await stop?.();
  };
  return { client, close };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(new URL("/ping", url), {
      signal: AbortSignal.timeout(PING_TIMEOUT_MS),
    });
    return (await response.text()) === "Ok.\n";
  } catch {
    return false;
  }
}

async function hasFiles(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).length > 0;
  } catch {
    return false;
  }
}

async function print(
  context: CommandContext,
  client: ClickHouseClient,
  { sql, format }: ReadOnlySql,
): Promise<void> {
  if (format !== undefined) return printAsItComes(context, client, sql);
  if (context.values["json"] === true) return printLines(context, client, sql);
  const result = await client.query({
    query: sql,
    format: "JSONCompact",
    // 64-bit integers as strings, since numbers of JavaScript round them.
    clickhouse_settings: { output_format_json_quote_64bit_integers: 1 },
  });
  const { meta = [], data } = await result.json<unknown[]>();
  const header = meta.map(({ name }) => cellText(name));
  const shown = data.slice(0, MAX_TABLE_ROWS);
  context.stdout(
    table(
      header,
      shown.map((row) => row.map((cell) => cellText(cell))),
    ),
  );
  if (shown.length < data.length) {
    context.stderr(`${count(shown.length)} of ${count(data.length)} rows; --json prints all\n`);
  }
}

/** Nobody reads more; `--json` has no such limit. */
const MAX_TABLE_ROWS = 10_000;

function cellText(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // A line break or a tab would break the columns.
  return text.replaceAll(/[\n\r\t]/g, (char) => JSON.stringify(char).slice(1, -1));
}

async function printLines(
  context: CommandContext,
  client: ClickHouseClient,
  sql: string,
): Promise<void> {
  const result = await client.query({ query: sql, format: "JSONEachRow" });
  for await (const rows of result.stream()) {
    context.stdout(rows.map((row) => `${row.text}\n`).join(""));
  }
}

/** The statement names a format of its own. */
async function printAsItComes(
  context: CommandContext,
  client: ClickHouseClient,
  sql: string,
): Promise<void> {
  const { stream } = await client.exec({ query: sql });
  const decoder = new TextDecoder();
  for await (const chunk of stream)
    context.stdout(decoder.decode(chunk as Buffer, { stream: true }));
}
