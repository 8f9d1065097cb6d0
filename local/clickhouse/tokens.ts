/** The outer shape of a statement; what the engine's own lexer would say, as far as the server must know. */
export interface Token {
  /** `quoted` is a string or a quoted name, `word` an unquoted name, keyword or number. */
  readonly kind: "word" | "quoted" | "symbol";
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** Brackets that are open around it; a bracket itself counts as outside. */
  readonly depth: number;
}

/**
 * Yields the tokens of `sql` without comments, lazily: nothing behind the last token asked for is read, so an
 * INSERT's data is never taken for SQL. An unterminated string or comment ends the input.
 */
export function* tokensOf(sql: string): Generator<Token, void, undefined> {
  let depth = 0;
  for (let at = skipBlank(sql, 0); at < sql.length; at = skipBlank(sql, at)) {
    const [kind, end] = readToken(sql, at);
    const text = sql.slice(at, end);
    if (kind === "symbol" && CLOSING.has(text)) depth = Math.max(0, depth - 1);
    yield { kind, text, start: at, end, depth };
    if (kind === "symbol" && OPENING.has(text)) depth += 1;
    at = end;
  }
}

const OPENING = new Set(["(", "[", "{"]);
const CLOSING = new Set([")", "]", "}"]);

// Quotes of word processors are quotes for the engine too.
const CLOSING_QUOTE = new Map([
  ["'", "'"],
  ["`", "`"],
  ['"', '"'],
  ["\u2018", "\u2019"],
  ["\u201C", "\u201D"],
]);

const WORD = /[\p{L}\p{N}_$]+/uy;
const HEREDOC = /\$[\p{L}\p{N}_]*\$/uy;
const BLANK = /[\s\0\u200B\uFEFF]+/y;
const LINE_COMMENT = /(?:--|#[ !])[^\n]*/y;

function readToken(sql: string, at: number): [Token["kind"], number] {
  const first = sql.charAt(at);
  const closing = CLOSING_QUOTE.get(first);
  if (closing !== undefined) return ["quoted", endOfQuoted(sql, at + 1, closing)];
  const tag = matchAt(HEREDOC, sql, at);
  if (tag !== "") {
    const close = sql.indexOf(tag, at + tag.length);
    if (close >= 0) return ["quoted", close + tag.length];
  }
  const word = matchAt(WORD, sql, at);
  return word === "" ? ["symbol", at + 1] : ["word", at + word.length];
}

/** Behind the closing quote; a backslash escapes, and a doubled quote is one inside. */
function endOfQuoted(sql: string, from: number, closing: string): number {
  for (let at = from; at < sql.length; at += 1) {
    const char = sql.charAt(at);
    if (char === "\\") at += 1;
    else if (char === closing) {
      if (sql.charAt(at + 1) !== closing) return at + 1;
      at += 1;
    }
  }
  return sql.length;
}

function skipBlank(sql: string, from: number): number {
  let at = from;
  for (;;) {
    const before = at;
    at += matchAt(BLANK, sql, at).length;
    at += matchAt(LINE_COMMENT, sql, at).length;
    if (sql.startsWith("/*", at)) {
      const close = sql.indexOf("*/", at + 2);
      at = close < 0 ? sql.length : close + 2;
    }
    if (at === before) return at;
  }
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}
