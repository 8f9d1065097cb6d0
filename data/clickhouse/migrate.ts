import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type ClickHouseClient, ClickHouseError } from "@clickhouse/client";
import { CourtsideError, errorText } from "../../base/errors.ts";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const FILE_NAME = /^\d{3}_[a-z0-9_]+\.sql$/;

/** A statement of a migration was refused; nothing after it was tried, and a second run goes on from it. */
export class MigrationError extends CourtsideError {
  override readonly code = "MIGRATION_FAILED";
  override readonly retryable = false;
  readonly file: string;
  readonly statement: string;

  constructor(file: string, statement: string, cause: unknown) {
    super(`migration ${file} failed: ${errorText(cause)}\nstatement: ${statement}`, { cause });
    this.file = file;
    this.statement = statement;
  }
}

/** A migration that this store has applied was edited afterwards. */
export class MigrationChangedError extends CourtsideError {
  override readonly code = "MIGRATION_CHANGED";
  override readonly retryable = false;
  readonly file: string;

  constructor(file: string) {
    super(
      `migration ${file} was changed after this store applied it; add a new numbered file for the change, ` +
        "or start with an empty --data directory",
    );
    this.file = file;
  }
}

/**
 * Brings the database to the newest schema: applies the numbered files that it does not have yet, in order.
 * Every statement can be run twice and every file is recorded under a de-duplication token, so processes
 * that start together do each other no harm.
 *
 * @param client - from `openClickHouse`.
 * @param folder - where the files are.
 * @returns names of the files applied by this call.
 * @throws MigrationError, MigrationChangedError
 */
export async function migrate(
  client: ClickHouseClient,
  folder: string = FOLDER,
): Promise<readonly string[]> {
  await client.command({ query: CREATE_HISTORY });
  const applied = await readHistory(client);
  const names = (await readdir(folder)).filter((name) => FILE_NAME.test(name)).toSorted();
  const appliedNow: string[] = [];
  for (const name of names) {
    const text = await readFile(`${folder}/${name}`, "utf8");
    const sha256 = createHash("sha256").update(text).digest("hex");
    const known = applied.get(name);
    if (known === sha256) continue;
    if (known !== undefined) throw new MigrationChangedError(name);
    await apply(client, name, text);
    await client.insert({
      table: "schema_migrations",
      values: [{ name, sha256 }],
      columns: ["name", "sha256"],
      format: "JSONEachRow",
      clickhouse_settings: { insert_deduplication_token: `migration/${name}/${sha256}` },
    });
    appliedNow.push(name);
  }
  return appliedNow;
}

/**
 * True when the store has all migrations of this version; asks only, so that a reader may.
 * @param client - from `openClickHouse`.
 */
export async function isMigrated(client: ClickHouseClient, folder = FOLDER): Promise<boolean> {
  const wanted = (await readdir(folder)).filter((name) => FILE_NAME.test(name));
  try {
    const applied = await readHistory(client);
    return wanted.every((name) => applied.has(name));
  } catch (error) {
    // There is no database, or no history in it, before the first migration.
    if (
      /UNKNOWN_(?:DATABASE|TABLE)/.test(error instanceof ClickHouseError ? (error.type ?? "") : "")
    )
      return false;
    throw error;
  }
}

/** Statements of a migration: each ends with a semicolon at the end of a line. */
export function splitStatements(text: string): readonly string[] {
  return text
    .split(/;[ \t]*$/m)
    .map((part) => part.replaceAll(/^\s*--.*$/gm, "").trim())
    .filter((part) => part !== "");
}

async function apply(client: ClickHouseClient, file: string, text: string): Promise<void> {
  for (const statement of splitStatements(text)) {
    try {
      await client.command({ query: statement });
    } catch (error) {
      throw new MigrationError(file, statement, error);
    }
  }
}

async function readHistory(client: ClickHouseClient): Promise<ReadonlyMap<string, string>> {
  const result = await client.query({
    query: "SELECT name, sha256 FROM schema_migrations",
    format: "JSONEachRow",
  });
  const rows = await result.json<{ name: string; sha256: string }>();
  return new Map(rows.map((row) => [row.name, row.sha256]));
}

const CREATE_HISTORY = `
CREATE TABLE IF NOT EXISTS schema_migrations
(
    name String,
    sha256 FixedString(64),
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY name
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Migration files that were applied'`;
