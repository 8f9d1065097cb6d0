import { type ClickHouseClient, ClickHouseError } from "@clickhouse/client";
import { CourtsideError } from "../../base/errors.ts";
import { parseStatement } from "./statement.ts";
import { type Token, tokensOf } from "./tokens.ts";

/** The statement was refused, by the gate or by the engine. */
export class SqlError extends CourtsideError {
  override readonly code = "SQL_REFUSED";
  override readonly retryable = false;
}

/** A statement that only reads. */
export interface ReadOnlySql {
  readonly sql: string;
  /** From its own FORMAT clause. */
  readonly format: string | undefined;
}

/** Settings under which a reader's statement runs; the first refuses to change the others. */
export const READER_SETTINGS = {
  max_execution_time: 60,
  max_memory_usage: "2000000000",
  // Rows that are read, not returned: all plays of eighty seasons.
  max_rows_to_read: "1000000000",
} as const;

const READS = new Set(["SELECT", "WITH", "SHOW", "DESCRIBE", "EXPLAIN", "EXISTS"]);
/** Functions that reach files or programs, which `readonly` does not keep from them. */
const DENIED_FUNCTIONS = new Set(["file", "catboostevaluate", "executable", "filesystemavailable"]);

/**
 * Lets a statement pass if all that it can do is read tables. Judged is not the text, which can be spelled in
 * many ways, but what the engine's own parser makes of it.
 *
 * @throws SqlError when it does not parse, is more than one statement or could do more than read.
 */
export async function checkReadOnly(client: ClickHouseClient, text: string): Promise<ReadOnlySql> {
  const canonical = await canonicalForm(client, text);
  const tokens = [...tokensOf(canonical)];
  const verb = (tokens.find((token) => token.text !== "(")?.text ?? "").toUpperCase();
  if (!READS.has(verb)) {
    throw new SqlError(`${verb} is not allowed here: only ${[...READS].join(", ")} are`);
  }
  const outfile = tokens.some(
    (token, index) => isWord(token, "into") && isWord(tokens[index + 1], "outfile"),
  );
  if (outfile) throw new SqlError("INTO OUTFILE is not allowed here; redirect the output instead");
  const denied = tokens.find(
    (token, index) => DENIED_FUNCTIONS.has(nameOf(token)) && tokens[index + 1]?.text === "(",
  );
  if (denied !== undefined) throw new SqlError(`the function ${denied.text} is not allowed here`);
  const statement = parseStatement(canonical);
  return { sql: canonical, format: statement.kind === "read" ? statement.format : undefined };
}

/** A syntax error lists everything that could have stood there, which nobody reads to its end. */
const MAX_MESSAGE_CHARACTERS = 300;

/** One line of text for a person about a failed statement. */
export function sqlErrorFrom(error: unknown): unknown {
  if (!(error instanceof ClickHouseError)) return error;
  const line = error.message
    .replaceAll(/\s+/g, " ")
    .replace(/: In scope SELECT formatQuery.*$/, "")
    .trim();
  const short =
    line.length > MAX_MESSAGE_CHARACTERS ? `${line.slice(0, MAX_MESSAGE_CHARACTERS)}…` : line;
  return new SqlError(`${short} (${error.type ?? error.code})`, { cause: error });
}

async function canonicalForm(client: ClickHouseClient, text: string): Promise<string> {
  try {
    const result = await client.query({
      query: "SELECT formatQuerySingleLine({text: String}) AS sql",
      query_params: { text },
      format: "JSONEachRow",
    });
    const [row] = await result.json<{ sql: string }>();
    return row?.sql ?? "";
  } catch (error) {
    throw sqlErrorFrom(error);
  }
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === "word" && token.text.toLowerCase() === word;
}

function nameOf(token: Token): string {
  return token.text.replaceAll(/[`"]/g, "").toLowerCase();
}
