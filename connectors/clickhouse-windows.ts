import type { ClickHouseClient } from "@clickhouse/client";
import { CourtsideError } from "../base/errors.ts";

/** A table would take a repeated block twice, so the sink cannot keep its promise. */
export class NoDeduplicationWindowError extends CourtsideError {
  override readonly code = "NO_DEDUPLICATION_WINDOW";
  override readonly retryable = false;
}

/** What the server says of a table or a view. */
interface Target {
  readonly engine: string;
  readonly uuid: string;
  readonly create: string;
  /** Blocks that it remembers, 0 for none. */
  readonly window: string | number;
  /** Views that its inserts feed: databases and names, in the same order. */
  readonly viewDatabases: readonly string[];
  readonly viewNames: readonly string[];
}

interface TableName {
  readonly database: string;
  readonly name: string;
}

/**
 * Looks at every table that a sink writes, and at every table that materialised views fill from them, over any
 * number of views: a block that comes again goes through the views again, and each target must refuse it itself.
 * @throws NoDeduplicationWindowError for the first one that is missing or remembers no blocks.
 */
export async function checkWindows(
  client: ClickHouseClient,
  tables: readonly string[],
): Promise<void> {
  const seen = new Set<string>();
  for (const table of tables) {
    const dot = table.indexOf(".");
    const first = { database: table.slice(0, dot), name: table.slice(dot + 1) };
    await checkWindow(client, first, undefined, seen);
  }
}

/** `view` is the one that fills the table; undefined for one that the sink writes itself. */
async function checkWindow(
  client: ClickHouseClient,
  table: TableName,
  view: string | undefined,
  seen: Set<string>,
): Promise<void> {
  const shown = shownName(table);
  if (seen.has(shown)) return;
  seen.add(shown);
  const found = await find(client, table);
  const by = view === undefined ? "" : `, which the materialised view ${view} fills,`;
  if (found === undefined)
    throw new NoDeduplicationWindowError(
      `table ${shown}${by} is not there; apply the migrations (courtside up does it at start)`,
    );
  const keepsRows = view === undefined || found.engine !== "Null";
  if (keepsRows && !found.engine.startsWith("Replicated") && Number(found.window) === 0)
    throw new NoDeduplicationWindowError(
      `table ${shown}${by} keeps no de-duplication window, so rows could be doubled after a crash; ` +
        `run ALTER TABLE ${shown} MODIFY SETTING non_replicated_deduplication_window = 10000`,
    );
  for (const [i, database] of found.viewDatabases.entries()) {
    const next = { database, name: found.viewNames[i] ?? "" };
    const target = await targetOf(client, next);
    if (target !== undefined) await checkWindow(client, target, shownName(next), seen);
  }
}

async function find(
  client: ClickHouseClient,
  { database, name }: TableName,
): Promise<Target | undefined> {
  const found = await client.query({
    query:
      "SELECT engine, uuid, create_table_query AS create, toUInt64OrZero(extract(engine_full, " +
      "'non_replicated_deduplication_window = (\\\\d+)')) AS window, " +
      "dependencies_database AS viewDatabases, dependencies_table AS viewNames FROM system.tables " +
      "WHERE database = {database:String} AND name = {name:String}",
    query_params: { database, name },
    format: "JSONEachRow",
  });
  const [row] = await found.json<Target>();
  return row;
}

const NAME = String.raw`(\w+|\x60(?:[^\x60\\]|\\.)+\x60)`;
/** `CREATE MATERIALIZED VIEW database.view TO database.table (…`, as the server writes it. */
const TO_TABLE = new RegExp(
  String.raw`^CREATE MATERIALIZED VIEW ${NAME}\.${NAME} TO ${NAME}\.${NAME}`,
);

/** Undefined for a view that inserts do not feed: an ordinary one, or one that is refreshed by the clock. */
async function targetOf(client: ClickHouseClient, view: TableName): Promise<TableName | undefined> {
  const found = await find(client, view);
  if (
    found?.engine !== "MaterializedView" ||
    /^CREATE .*? REFRESH (?:EVERY|AFTER) /.test(found.create)
  )
    return undefined;
  const [, , , database, name] = TO_TABLE.exec(found.create) ?? [];
  if (database !== undefined && name !== undefined)
    return { database: plainName(database), name: plainName(name) };
  // Rows of a view without TO lie in a table of its own, which has the view's id, or its name in old databases.
  const own = { database: view.database, name: `.inner_id.${found.uuid}` };
  return (await find(client, own)) === undefined
    ? { database: view.database, name: `.inner.${view.name}` }
    : own;
}

function plainName(name: string): string {
  return name.startsWith("`") ? name.slice(1, -1).replace(/\\(.)/g, "$1") : name;
}

/** As a statement takes it. */
function shownName({ database, name }: TableName): string {
  const quoted = (part: string): string =>
    /^\w+$/.test(part) ? part : `\`${part.replace(/[\\`]/g, "\\$&")}\``;
  return `${quoted(database)}.${quoted(name)}`;
}
