const QUOTE = 0x22;
const ZERO = 0x30;
const ONE = 0x31;
const POINT = 0x2e;
const MINUS = 0x2d;
const HIGH_BYTE = /[\x80-\xff]/;
/** Digits of a number that is read from the bytes, and stays within 32 bits. */
const FAST_DIGITS_MAX = 9;

/** What `whole` gives for a field that is no plain whole number; no number is asked for that is as low. */
export const NOT_WHOLE = -(2 ** 31);

/** Some lines of a file with the places of their fields. */
export interface CsvPage {
  readonly bytes: Buffer;
  /** The same bytes, one character each: fields are cut from it without copying. */
  readonly text: string;
  /**
   * Where each field ends, in bytes from the start of its record; a field begins one byte behind the one before it.
   * A longer array takes its place while the page is scanned.
   */
  ends: Uint16Array;
}

/**
 * One record of a CSV file. Its fields are cut out when they are asked for: most readers look at half of the columns,
 * and numbers are read from the bytes without becoming text.
 */
export class CsvRow {
  /** Number of its first line in the uncompressed file, from 1. */
  readonly line: number;
  /** How many fields it has. */
  readonly columns: number;
  readonly #page: CsvPage | undefined;
  /** Place of its first field in the page's ends. */
  readonly #first: number;
  readonly #isAscii: boolean;
  readonly #start: number;
  readonly #text: string;
  readonly #fields: readonly string[];

  /** Use `of` and `inPage`; here all places are set in one order, so that every row has the same shape. */
  private constructor(
    line: number,
    columns: number,
    page: CsvPage | undefined,
    first: number,
    isAscii: boolean,
    start: number,
    text: string,
    fields: readonly string[],
  ) {
    this.line = line;
    this.columns = columns;
    this.#page = page;
    this.#first = first;
    this.#isAscii = isAscii;
    this.#start = start;
    this.#text = text;
    this.#fields = fields;
  }

  /** A record whose fields are known. */
  static of(line: number, text: string, fields: readonly string[]): CsvRow {
    return new CsvRow(line, fields.length, undefined, 0, true, 0, text, fields);
  }

  /**
   * A record that lies in a page.
   * @param first - place of its first field in the page's ends.
   * @param start - byte where it begins.
   */
  static inPage(
    page: CsvPage,
    line: number,
    columns: number,
    first: number,
    isAscii: boolean,
    start: number,
  ): CsvRow {
    return new CsvRow(line, columns, page, first, isAscii, start, "", NO_FIELDS);
  }

  /** The record as it stands in the file. */
  get text(): string {
    const page = this.#page;
    if (page === undefined) return this.#text;
    return this.#cut(page, this.#start, this.#endOf(page, this.columns - 1));
  }

  get fields(): readonly string[] {
    if (this.#page === undefined) return this.#fields;
    return Array.from({ length: this.columns }, (_, column) => this.field(column));
  }

  /** The field without its quotes; "" when the row has no such column. */
  field(column: number): string {
    const page = this.#page;
    if (page === undefined) return this.#fields[column] ?? "";
    if (column < 0 || column >= this.columns) return "";
    const end = this.#endOf(page, column);
    const start = column === 0 ? this.#start : this.#endOf(page, column - 1) + 1;
    if (start === end) return "";
    const isQuoted = page.bytes[start] === QUOTE;
    return isQuoted ? this.#cut(page, start + 1, end - 1) : this.#cut(page, start, end);
  }

  /**
   * The field as a whole number, when it is nothing but digits, a minus before or `.0` behind them; `NOT_WHOLE` else,
   * and for one beyond 2,000,000,000.
   */
  whole(column: number): number {
    const page = this.#page;
    if (page === undefined || column < 0 || column >= this.columns) return NOT_WHOLE;
    const { bytes } = page;
    let end = this.#endOf(page, column);
    let at = column === 0 ? this.#start : this.#endOf(page, column - 1) + 1;
    const isNegative = bytes[at] === MINUS && at < end;
    if (isNegative) at++;
    if (end - at > 2 && bytes[end - 1] === ZERO && bytes[end - 2] === POINT) end -= 2;
    // Team ids have ten digits and begin with 1.
    const isLong = end - at > FAST_DIGITS_MAX + (bytes[at] === ONE ? 1 : 0);
    if (at === end || isLong) return NOT_WHOLE;
    let value = 0;
    for (; at < end; at++) {
      const digit = (bytes[at] as number) - ZERO;
      if (digit < 0 || digit > 9) return NOT_WHOLE;
      value = (value * 10 + digit) | 0;
    }
    return isNegative ? -value : value;
  }

  /** A number that is equal for equal records, and for few others: of the length and last byte of each field. */
  get mark(): number {
    const page = this.#page;
    let mark = this.columns;
    if (page === undefined) return mark;
    for (let at = this.#first, end = at + this.columns; at < end; at++) {
      const length = page.ends[at] as number;
      const last = page.bytes[this.#start + length - 1] as number;
      mark = Math.imul(mark ^ (length << 8) ^ last, 0x0100_0193);
    }
    return mark;
  }

  #endOf(page: CsvPage, column: number): number {
    return this.#start + (page.ends[this.#first + column] as number);
  }

  #cut(page: CsvPage, start: number, end: number): string {
    const text = page.text.slice(start, end);
    if (this.#isAscii || !HIGH_BYTE.test(text)) return text;
    return page.bytes.toString("utf8", start, end);
  }
}

const NO_FIELDS: readonly string[] = [];

/**
 * Fields of a whole record; undefined when a quoted field is not closed in it. Text between a closing quote
 * and the next comma is outside the standard; it is kept as it stands, or `strict` makes the record empty.
 */
export function splitQuoted(text: string, strict = false): string[] | undefined {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text.charCodeAt(at) === QUOTE) {
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
