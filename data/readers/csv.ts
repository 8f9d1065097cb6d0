import { CsvRow, type CsvPage, splitQuoted } from "./csv-row.ts";
import { type FileChunk, NEWLINE } from "./file-bytes.ts";

export { CsvRow } from "./csv-row.ts";

/** Lines that one quoted record may span. No feed known has line breaks in fields; more is a stray quote. */
const RECORD_MAX_LINES = 4;

/** Columns and length of a record that is read the fast way; no row of a feed comes near. */
const COLUMNS_MAX = 1000;
const RECORD_MAX_BYTES = 0xffff;

const COMMA = 0x2c;
const QUOTE = 0x22;
const RETURN = 0x0d;

export interface CsvBatch {
  readonly rows: readonly CsvRow[];
  /** Set on the last batch of a file that broke off, with the line where it did. */
  readonly broken?: { readonly line: number; readonly message: string; readonly raw: string };
}

/**
 * Records by RFC 4180 (a field in double quotes may hold commas, doubled quotes and line breaks). A record
 * with a quote that never closes is given as its first line alone, with one field, so that it damages
 * nothing behind it. Empty lines are no records.
 */
export async function* csvRows(chunks: AsyncIterable<FileChunk>): AsyncIterable<CsvBatch> {
  let columns = 0;
  let line = 1;
  let held: Buffer = Buffer.alloc(0);
  for await (const { bytes, broken } of chunks) {
    const whole = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    const page = new PageScan(whole, line, columns, broken !== undefined);
    const rows = page.rows();
    columns ||= rows[0]?.columns ?? 0;
    held = whole.subarray(page.used);
    line = page.line;
    yield broken === undefined ? { rows } : { rows, broken: { ...broken, line } };
  }
  if (held.length > 0) yield { rows: new PageScan(held, line, columns, true).rows() };
}

/** Finds the records of some whole lines: one pass over the bytes, which notes where each field begins and ends. */
class PageScan {
  readonly #bytes: Buffer;
  readonly #page: CsvPage;
  /** True when no bytes follow that a quoted record could go on in. */
  readonly #isLast: boolean;
  #columns: number;
  /** Next free place in the page's ends. */
  #ends = 0;
  /** Bytes that the records given so far take. */
  used = 0;
  /** Line number behind them. */
  line: number;

  constructor(bytes: Buffer, line: number, columns: number, isLast: boolean) {
    // Fields of the known feeds have about six bytes; the array grows where they are shorter than four.
    const ends = new Uint16Array(COLUMNS_MAX + (bytes.length >> 2));
    this.#page = { bytes, text: bytes.toString("latin1"), ends };
    this.#bytes = bytes;
    this.#isLast = isLast;
    this.#columns = columns;
    this.line = line;
  }

  rows(): CsvRow[] {
    const rows: CsvRow[] = [];
    while (this.used < this.#bytes.length) {
      const row = this.#record();
      if (row === "more") break;
      if (row === undefined) continue;
      this.#columns ||= row.columns;
      rows.push(row);
    }
    return rows;
  }

  /** The record at `used`; undefined for an empty line. */
  #record(): CsvRow | "more" | undefined {
    const bytes = this.#bytes;
    const { length } = bytes;
    const start = this.used;
    const first = this.#ends;
    if (first + COLUMNS_MAX > this.#page.ends.length) this.#grow();
    const { ends } = this.#page;
    let columns = 0;
    let high = 0;
    let at = start;
    for (;;) {
      let byte = at < length ? (bytes[at] as number) : NEWLINE;
      if (byte === QUOTE) {
        at = closingQuote(bytes, at + 1) + 1;
        if (at === 0) return this.#slowRecord();
        // Not looked at one by one: the row is taken for one with letters beyond ASCII.
        high = 0x80;
        byte = at < length ? (bytes[at] as number) : NEWLINE;
      } else {
        while (byte !== COMMA && byte !== NEWLINE) {
          high |= byte;
          at++;
          byte = at < length ? (bytes[at] as number) : NEWLINE;
        }
      }
      if (columns < COLUMNS_MAX) ends[first + columns] = at - start;
      columns++;
      if (byte !== COMMA) break;
      at++;
    }
    if (at - start > RECORD_MAX_BYTES || columns > COLUMNS_MAX) return this.#slowRecord();
    // `at` is at the line end, or at a return before it.
    let end = at;
    if (bytes[at] === RETURN) at++;
    else if (end > start && bytes[end - 1] === RETURN) ends[first + columns - 1] = --end - start;
    this.used = Math.min(length, at + 1);
    const line = this.line++;
    if (end === start) return undefined;
    this.#ends += columns;
    return CsvRow.inPage(this.#page, line, columns, first, high < 0x80, start);
  }

  #grow(): void {
    const { ends } = this.#page;
    const longer = new Uint16Array(2 * ends.length + COLUMNS_MAX);
    longer.set(ends);
    this.#page.ends = longer;
  }

  /** A very long record, or one with doubled, stray or unclosed quotes, or with line breaks in them. */
  #slowRecord(): CsvRow | "more" | undefined {
    const lines = this.#linesAhead();
    const record = recordAt(lines, this.#columns);
    if (record === "more" && !this.#isLast) return "more";
    const { span, text, fields } = record === "more" ? oneLine(lines) : record;
    const line = this.line;
    for (let taken = 0; taken < span; taken++) {
      const end = this.#bytes.indexOf(NEWLINE, this.used);
      this.used = end < 0 ? this.#bytes.length : end + 1;
      this.line++;
    }
    return CsvRow.of(line, text, fields);
  }

  #linesAhead(): string[] {
    const lines: string[] = [];
    let at = this.used;
    while (lines.length <= RECORD_MAX_LINES && at < this.#bytes.length) {
      const newline = this.#bytes.indexOf(NEWLINE, at);
      const end = newline < 0 ? this.#bytes.length : newline;
      const line = this.#bytes.toString("utf8", at, end);
      lines.push(line.endsWith("\r") ? line.slice(0, -1) : line);
      at = end + 1;
    }
    return lines;
  }
}

/**
 * Place of the quote that closes a field which begins at `at`; -1 when that is not plain: another quote or text
 * behind it, or a line that ends before it.
 */
function closingQuote(bytes: Buffer, at: number): number {
  const { length } = bytes;
  for (; at < length; at++) {
    const byte = bytes[at];
    if (byte === NEWLINE) return -1;
    if (byte !== QUOTE) continue;
    const next = at + 1 < length ? bytes[at + 1] : NEWLINE;
    if (next === COMMA || next === NEWLINE) return at;
    const isLineEnd = next === RETURN && (at + 2 === length || bytes[at + 2] === NEWLINE);
    return isLineEnd ? at : -1;
  }
  return -1;
}

interface CsvRecord {
  /** Lines that it takes. */
  readonly span: number;
  readonly text: string;
  readonly fields: readonly string[];
}

/** The record that the lines begin with, or "more" when only lines that are not here yet can tell. */
function recordAt(lines: readonly string[], columns: number): CsvRecord | "more" {
  let text = lines[0] ?? "";
  for (let span = 1; span <= RECORD_MAX_LINES; span++) {
    const fields = splitQuoted(text, span > 1);
    if (fields !== undefined) {
      // A stray quote can also be closed by a quote of a later row; then the columns do not fit.
      return span === 1 || fields.length === columns ? { span, text, fields } : oneLine(lines);
    }
    const next = lines[span];
    if (next === undefined) return span === RECORD_MAX_LINES ? oneLine(lines) : "more";
    text += `\n${next}`;
  }
  return oneLine(lines);
}

function oneLine(lines: readonly string[]): CsvRecord {
  const text = lines[0] ?? "";
  return { span: 1, text, fields: [text] };
}
