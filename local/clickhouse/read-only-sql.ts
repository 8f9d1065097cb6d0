import { CourtsideError, errorText } from "../../base/errors.ts";
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

/** Runs a statement with parameters and gives the first column of its rows: all that the gate needs of a store. */
export type Ask = (
  sql: string,
  parameters: Readonly<Record<string, string>>,
) => Promise<readonly string[]>;

/** Settings under which a reader's statement runs; `readonly` refuses to change the others. */
export const READER_SETTINGS = {
  max_execution_time: 60,
  // A quarter of a small machine.
  max_memory_usage: "1000000000",
  // Rows that are read, not returned: all plays of eighty seasons.
  max_rows_to_read: "1000000000",
  // Returned: more than any person or chart takes.
  max_result_rows: "1000000",
  max_result_bytes: "268435456",
  result_overflow_mode: "throw",
  max_ast_elements: "10000",
  max_subquery_depth: "50",
} as const;

/** Longest statement of a reader; the engine's parser needs memory and time for each character. */
const MAX_SQL_CHARACTERS = 262_144;
/** Brackets inside brackets; the parser recurses, and analysts' statements stay below twenty. */
const MAX_DEPTH = 100;

const READS = new Set(["SELECT", "WITH", "SHOW", "DESCRIBE", "EXPLAIN", "EXISTS"]);
/** Words that may stand between EXPLAIN and the SELECT. */
const EXPLAIN_WORDS = new Set(["AST", "SYNTAX", "PLAN", "PIPELINE", "ESTIMATE", "QUERY", "TREE"]);
/** Table functions that make rows out of nothing but their arguments. */
const ALLOWED_TABLE_FUNCTIONS = new Set(
  "numbers numbers_mt zeros zeros_mt generateseries generate_series primes values sqlstandardvalues null format".split(
    " ",
  ),
);
/** Functions that reach files, programs or other machines, which `readonly` does not keep from them. */
const DENIED_FUNCTIONS = new Set(
  "file catboostevaluate executable filesystemavailable reversednsquery reversednslookup meilimatch"
    .concat(" addresstoline addresstolinewithinlines addresstosymbol demangle showcertificate")
    .split(" "),
);
/** Functions that ask a model on another machine. */
const DENIED_PREFIX = /^ai[A-Z]/;

/**
 * Lets a statement pass if all that it can do is read tables. Judged is not the text, which can be spelled in
 * many ways, but what the engine's own parser makes of it.
 *
 * @throws SqlError when it does not parse, is more than one statement or could do more than read.
 */
export async function checkReadOnly(ask: Ask, text: string): Promise<ReadOnlySql> {
  if (text.length > MAX_SQL_CHARACTERS)
    throw new SqlError(`the statement is longer than ${MAX_SQL_CHARACTERS} characters`);
  const given = [...tokensOf(text)];
  if (given.some(({ depth }) => depth > MAX_DEPTH))
    throw new SqlError(`more than ${MAX_DEPTH} brackets inside each other`);
  if (given.length === 0) throw new SqlError("there is no statement");
  const canonical = await canonicalForm(ask, text);
  const tokens = [...tokensOf(canonical)];
  checkVerb(tokens);
  const outfile = tokens.some(
    (token, index) => isWord(token, "into") && isWord(tokens[index + 1], "outfile"),
  );
  if (outfile) throw new SqlError("INTO OUTFILE is not allowed here; redirect the output instead");
  // In a subquery the engine takes settings over without asking whether they may be changed.
  const sets = tokens.some(
    (token, index) =>
      isWord(token, "settings") &&
      tokens[index + 1]?.kind === "word" &&
      tokens[index + 2]?.text === "=",
  );
  if (sets) throw new SqlError("SETTINGS is not allowed here");
  await checkFunctions(ask, tokens);
  const statement = parseStatement(canonical);
  return { sql: canonical, format: statement.kind === "read" ? statement.format : undefined };
}

function checkVerb(tokens: readonly Token[]): void {
  const first = tokens.findIndex((token) => token.text !== "(");
  const verb = tokens[first]?.text.toUpperCase() ?? "";
  if (!READS.has(verb))
    throw new SqlError(`${verb} is not allowed here: only ${[...READS].join(", ")} are`);
  if (verb !== "EXPLAIN") return;
  const explained = tokens.find(
    ({ kind, text }, index) =>
      index > first &&
      kind === "word" &&
      !EXPLAIN_WORDS.has(text.toUpperCase()) &&
      tokens[index + 1]?.text !== "=" &&
      tokens[index - 1]?.text !== "=",
  );
  if (!["SELECT", "WITH"].includes(explained?.text.toUpperCase() ?? ""))
    throw new SqlError("only SELECT can be explained here");
}

async function checkFunctions(ask: Ask, tokens: readonly Token[]): Promise<void> {
  const called = tokens
    .filter((_, index) => tokens[index + 1]?.text === "(" || isWord(tokens[index - 1], "apply"))
    .map(nameOf);
  if (called.length === 0) return;
  const tableFunctions = await ask("SELECT lower(name) FROM system.table_functions", {});
  const denied = new Set(tableFunctions.filter((name) => !ALLOWED_TABLE_FUNCTIONS.has(name)));
  const offender = called.find((name) => {
    const lower = name.toLowerCase();
    return DENIED_FUNCTIONS.has(lower) || denied.has(lower) || DENIED_PREFIX.test(name);
  });
  if (offender !== undefined) throw new SqlError(`the function ${offender} is not allowed here`);
}

/** A syntax error lists everything that could have stood there, which nobody reads to its end. */
const MAX_MESSAGE_CHARACTERS = 300;

/** One line of text for a person about a failed statement; what is no answer of a store stays as it is. */
export function sqlErrorFrom(error: unknown): unknown {
  if (error instanceof SqlError || !isStoreError(error)) return error;
  const line = errorText(error)
    .replaceAll(/\s+/g, " ")
    .replace(/^Code: \d+\. DB::Exception: /, "")
    .replace(/ \(version [^)]*\)$/, "")
    .replace(/: In scope SELECT formatQuery.*?(?= \([A-Z_]+\)$|$)/, "")
    .trim();
  const name = error.type ?? /\(([A-Z_]+)\)$/.exec(line)?.[1];
  const words = line.replace(/ ?\([A-Z_]+\)$/, "");
  const short =
    words.length > MAX_MESSAGE_CHARACTERS ? `${words.slice(0, MAX_MESSAGE_CHARACTERS)}…` : words;
  return new SqlError(`${short} (${name ?? error.code})`, { cause: error });
}

interface StoreError extends Error {
  readonly code: string;
  readonly type?: string;
}

/** Errors of the ordinary client and of the embedded server. */
function isStoreError(error: unknown): error is StoreError {
  return (
    error instanceof Error &&
    (error.constructor.name === "ClickHouseError" ||
      (error instanceof CourtsideError && error.code === "QUERY_FAILED"))
  );
}

async function canonicalForm(ask: Ask, text: string): Promise<string> {
  try {
    const [sql] = await ask("SELECT formatQuerySingleLine({text: String})", { text });
    return sql ?? "";
  } catch (error) {
    throw sqlErrorFrom(error);
  }
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === "word" && token.text.toLowerCase() === word;
}

function nameOf(token: Token): string {
  return token.text.replaceAll(/[`"]/g, "");
}
