import { type LineBatch } from "./file-lines.ts";

/** Lines that one quoted record may span. No feed known has line breaks in fields; more is a stray quote. */
const RECORD_MAX_LINES = 4;

/** One record of a CSV file. */
export interface CsvRow {
  /** Number of its first line in the uncompressed file, from 1. */
  readonly line: number;
  readonly text: string;
  readonly fields: readonly string[];
}

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
export async function* csvRows(batches: AsyncIterable<LineBatch>): AsyncIterable<CsvBatch> {
  let columns = 0;
  let held: readonly string[] = [];
  let heldLine = 1;
  for await (const batch of batches) {
    const lines = held.length === 0 ? batch.lines : [...held, ...batch.lines];
    const firstLine = held.length === 0 ? batch.firstLine : heldLine;
    const { rows, used } = takeRows(lines, firstLine, columns, batch.broken !== undefined);
    columns ||= rows[0]?.fields.length ?? 0;
    held = lines.slice(used);
    heldLine = firstLine + used;
    yield batch.broken === undefined
      ? { rows }
      : { rows, broken: { ...batch.broken, line: heldLine } };
  }
  if (held.length > 0) yield { rows: takeRows(held, heldLine, columns, true).rows };
}

function takeRows(
  lines: readonly string[],
  firstLine: number,
  columns: number,
  last: boolean,
): { rows: CsvRow[]; used: number } {
  const rows: CsvRow[] = [];
  let width = columns;
  let at = 0;
  while (at < lines.length) {
    let record = recordAt(lines, at, width);
    if (record === "more") {
      if (!last) break;
      record = oneLine(lines, at);
    }
    if (record.text !== "")
      rows.push({ line: firstLine + at, text: record.text, fields: record.fields });
    if (record.text !== "") width ||= record.fields.length;
    at += record.span;
  }
  return { rows, used: at };
}

interface CsvRecord {
  /** Lines that it takes. */
  readonly span: number;
  readonly text: string;
  readonly fields: readonly string[];
}

/** The record that starts at a line, or "more" when only lines that are not here yet can tell. */
function recordAt(lines: readonly string[], at: number, columns: number): CsvRecord | "more" {
  const line = lines[at] ?? "";
  if (!line.includes('"')) return { span: 1, text: line, fields: line.split(",") };
  let text = line;
  for (let span = 1; span <= RECORD_MAX_LINES; span++) {
    const fields = splitQuoted(text, span > 1);
    if (fields !== undefined) {
      // A stray quote can also be closed by a quote of a later row; then the columns do not fit.
      return span === 1 || fields.length === columns ? { span, text, fields } : oneLine(lines, at);
    }
    const next = lines[at + span];
    if (next === undefined) return span === RECORD_MAX_LINES ? oneLine(lines, at) : "more";
    text += `\n${next}`;
  }
  return oneLine(lines, at);
}

function oneLine(lines: readonly string[], at: number): CsvRecord {
  const text = lines[at] ?? "";
  return { span: 1, text, fields: [text] };
}

/**
 * Fields of a whole record; undefined when a quoted field is not closed in it. Text between a closing quote
 * and the next comma is outside the standard; it is kept as it stands, or `strict` makes the record empty.
 */
export function splitQuoted(text: string, strict = false): string[] | undefined {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = "";
      at++;
      for (;;) {
        const quote = text.indexOf('"', at);
        if (quote < 0) return undefined;
        field += text.slice(at, quote);
        at = quote + 1;
        if (text[at] !== '"') break;
        field += '"';
        at++;
      }
      const comma = text.indexOf(",", at);
      if (strict && text[at] !== undefined && at !== comma) return [];
      fields.push(field + text.slice(at, comma < 0 ? undefined : comma));
      if (comma < 0) return fields;
      at = comma + 1;
    } else {
      const comma = text.indexOf(",", at);
      fields.push(text.slice(at, comma < 0 ? undefined : comma));
      if (comma < 0) return fields;
      at = comma + 1;
    }
  }
}
