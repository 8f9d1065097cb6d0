import { CLICKHOUSE_CODE, refusal } from "./query-error.ts";
import { type Token, tokensOf } from "./tokens.ts";

/** One SQL statement as the server has to know it before the engine sees it. */
export type Statement = ReadStatement | InsertStatement | OtherStatement;

/** Returns rows and changes nothing. */
export interface ReadStatement {
  readonly kind: "read";
  readonly sql: string;
  /** From the statement's own FORMAT clause. */
  readonly format: string | undefined;
  readonly placeholders: readonly string[];
  /** SELECT or WITH: its result may be sent while it is being made. */
  readonly streamable: boolean;
}

/** `INSERT … FORMAT x` or `INSERT … VALUES`: the rows follow, in the statement or in the request's body. */
export interface InsertStatement {
  readonly kind: "insert";
  /** `INSERT INTO … (columns)`. */
  readonly target: string;
  /** Text of its SETTINGS clause without the keyword, or empty. */
  readonly settings: string;
  readonly format: string;
  /** Rows that stood in the statement itself. */
  readonly inlineData: string;
  readonly placeholders: readonly string[];
}

export interface OtherStatement {
  readonly kind: "other";
  readonly sql: string;
  readonly placeholders: readonly string[];
  /** SET, USE, temporary tables: what the session remembers. */
  readonly changesSession: boolean;
}

/**
 * @param sql - one statement, perhaps with a semicolon at its end; for an INSERT, perhaps with its rows.
 * @throws QueryError when there is more than one statement: the engine would run them all.
 */
export function parseStatement(sql: string): Statement {
  const seen: Token[] = [];
  let semicolon: Token | undefined;
  for (const token of tokensOf(sql)) {
    if (semicolon !== undefined) {
      throw refusal(
        CLICKHOUSE_CODE.syntaxError,
        "SYNTAX_ERROR",
        "Multi-statements are not allowed",
      );
    }
    if (token.kind === "symbol" && token.text === ";") {
      semicolon = token;
      continue;
    }
    seen.push(token);
    if (startsData(seen)) return insertStatement(sql, seen);
  }
  const text = sql.slice(0, semicolon?.start).trimEnd();
  return isInsert(seen) && !selects(seen) ? insertStatement(text, seen) : statement(text, seen);
}

/** Keyword at `index`, upper case; empty when there is no word. */
function keyword(tokens: readonly Token[], index: number): string {
  const token = tokens.at(index);
  return token?.kind === "word" ? token.text.toUpperCase() : "";
}

function isInsert(tokens: readonly Token[]): boolean {
  return keyword(tokens, 0) === "INSERT";
}

function selects(tokens: readonly Token[]): boolean {
  return tokens.some((token, index) => {
    if (token.depth > 0) return ["SELECT", "WITH"].includes(keyword(tokens, index)) && index > 2;
    const word = keyword(tokens, index);
    return word === "SELECT" || word === "WITH" || word === "INFILE" || word === "WATCH";
  });
}

/** True when the last token is the one behind which the rows of an INSERT begin. */
function startsData(tokens: readonly Token[]): boolean {
  if (keyword(tokens, -1) !== "VALUES" && keyword(tokens, -2) !== "FORMAT") return false;
  if (!isInsert(tokens) || selects(tokens)) return false;
  const clauses = clausesOf(tokens);
  if (keyword(clauses, -2) === "FORMAT") return true;
  return keyword(clauses, -1) === "VALUES" && clauses.at(-1) === tokens.at(-1);
}

/** Tokens outside brackets behind the table's name, which may itself be a keyword. */
function clausesOf(insert: readonly Token[]): readonly Token[] {
  const outer = insert.filter((token) => token.depth === 0);
  return outer.slice(keyword(outer, 1) === "INTO" ? 3 : 2);
}

function insertStatement(sql: string, tokens: readonly Token[]): InsertStatement {
  const outer = clausesOf(tokens);
  const find = (word: string): Token | undefined =>
    outer.find((_, index) => keyword(outer, index) === word);
  const format = find("FORMAT");
  const values = find("VALUES");
  const settings = find("SETTINGS");
  const last = tokens.at(-1);
  const dataStart = (format ?? values) === undefined ? sql.length : (last?.end ?? sql.length);
  const clauses = [settings, format, values].flatMap((token) => token?.start ?? []);
  const settingsEnd = Math.min(
    ...[format, values].flatMap((token) => token?.start ?? []),
    sql.length,
  );
  return {
    kind: "insert",
    target: sql.slice(0, Math.min(...clauses, sql.length)).trimEnd(),
    settings: settings === undefined ? "" : sql.slice(settings.end, settingsEnd).trim(),
    format: format === undefined ? "Values" : (last?.text ?? "Values"),
    inlineData: dropFirstBreak(sql.slice(dataStart)),
    placeholders: placeholdersOf(tokens),
  };
}

/** Rows begin behind the line break (or blank) that ends the FORMAT clause. */
function dropFirstBreak(text: string): string {
  return text.replace(/^[ \t]*;?[ \t]*(?:\r?\n)?/, "");
}

const READS = new Set(["SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS"]);

function statement(sql: string, tokens: readonly Token[]): ReadStatement | OtherStatement {
  const placeholders = placeholdersOf(tokens);
  const first = tokens.findIndex((token) => token.text !== "(");
  const verb = keyword(tokens, Math.max(first, 0));
  if (READS.has(verb)) {
    const streamable = verb === "SELECT" || verb === "WITH";
    return { kind: "read", sql, format: formatOf(tokens), placeholders, streamable };
  }
  const changesSession =
    verb === "SET" || verb === "USE" || (verb === "CREATE" && keyword(tokens, 1) === "TEMPORARY");
  return { kind: "other", sql, placeholders, changesSession };
}

/** Name behind the last FORMAT that only SETTINGS may follow. */
function formatOf(tokens: readonly Token[]): string | undefined {
  const outer = tokens.filter((token) => token.depth === 0);
  const at = outer.findLastIndex((_, index) => keyword(outer, index) === "FORMAT");
  const next = keyword(outer, at + 2);
  if (at < 1 || (next !== "" && next !== "SETTINGS")) return undefined;
  const name = outer[at + 1];
  return name?.kind === "word" ? name.text : undefined;
}

/** Names in `{name:Type}`; a map literal has a quoted key there. */
function placeholdersOf(tokens: readonly Token[]): readonly string[] {
  const names = tokens.filter(
    (token, index) =>
      token.kind === "word" && tokens[index - 1]?.text === "{" && tokens[index + 1]?.text === ":",
  );
  return [...new Set(names.map((token) => token.text))];
}
