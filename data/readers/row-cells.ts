import { CsvRow, NOT_WHOLE } from "./csv-row.ts";

/** Why a row cannot become a play. */
export interface Problem {
  /** Stable code. */
  readonly reason: string;
  /** What is wrong and what was expected. */
  readonly message: string;
}

/**
 * Typed view of one CSV row by column, `cells.int(cells.at.period, 14)`. Reading never throws: the first value that is not what it should
 * be is kept as `problem`, and the caller makes a dead letter of the row.
 */
export class RowCells<Column extends string> {
  /** Place of each column in a row; -1 when the header has none of the name. */
  readonly at: Readonly<Record<Column, number>>;
  readonly columns: number;
  readonly #header: readonly string[];
  #row = CsvRow.of(0, "", []);
  problem: Problem | undefined;

  /** @param columns - names of all columns that will be asked for. */
  constructor(header: readonly string[], columns: readonly Column[]) {
    this.#header = header.map((name) => name.trim());
    this.at = Object.fromEntries(
      columns.map((name) => [name, this.#header.indexOf(name)]),
    ) as Record<Column, number>;
    this.columns = header.length;
  }

  set(row: CsvRow): this {
    this.#row = row;
    this.problem = undefined;
    if (row.columns !== this.columns) {
      const found = `${row.columns} column(s), expected ${this.columns} as in the header`;
      this.reject("MALFORMED_ROW", `the row has ${found}`);
    }
    return this;
  }

  reject(reason: string, message: string): void {
    this.problem ??= { reason, message };
  }

  text(column: number): string {
    return this.#row.field(column);
  }

  /** A whole number, also spelled `4.0`; 0 when blank. */
  int(column: number, max: number): number {
    return this.optionalInt(column, max) ?? 0;
  }

  optionalInt(column: number, max: number): number | undefined {
    const whole = this.#row.whole(column);
    if (whole >= 0 && whole <= max) return whole;
    const text = this.text(column);
    if (text === "") return undefined;
    const value = Number(text);
    if (Number.isInteger(value) && value >= 0 && value <= max) return value;
    this.reject(
      "BAD_NUMBER",
      `${this.#header[column] ?? "a column"} is "${text}", expected a whole number from 0 to ${max}`,
    );
    return undefined;
  }

  requiredInt(column: number, min: number, max: number): number {
    const value = this.optionalInt(column, max);
    if (value !== undefined && value >= min) return value;
    const found = this.text(column);
    this.reject(
      "BAD_NUMBER",
      `${this.#header[column] ?? "a column"} is "${found}", expected a number from ${min} to ${max}`,
    );
    return min;
  }

  decimal(column: number): number | undefined {
    const whole = this.#row.whole(column);
    if (whole !== NOT_WHOLE) return whole;
    const text = this.text(column);
    if (text === "") return undefined;
    const value = Number(text);
    if (Number.isFinite(value)) return value;
    this.reject(
      "BAD_NUMBER",
      `${this.#header[column] ?? "a column"} is "${text}", expected a number`,
    );
    return undefined;
  }
}

/** Ids of teams and players fit 32 bits. */
export const ID_MAX = 2 ** 32 - 1;

/** Periods: four quarters, and more overtimes than the six of the longest game ever (1951). */
export const PERIOD_MAX = 14;

/** Points of one side: the record is 186. */
export const SCORE_MAX = 300;

const PERIOD_DS = 7200;
const OVERTIME_DS = 3000;

/** Length of a period in tenths of a second: 12 minutes, an overtime 5. */
export function periodLengthDs(period: number): number {
  return period > 4 ? OVERTIME_DS : PERIOD_DS;
}

/** Tenths of a second left, from `PT11M45.00S`; undefined when it is not that. Hundredths are cut off. */
export function isoClockDs(text: string): number | undefined {
  if (!text.startsWith("PT") || !text.endsWith("S")) return undefined;
  const minutesEnd = text.indexOf("M");
  const minutes = digitsOf(text, 2, minutesEnd);
  const seconds = digitsOf(text, minutesEnd + 1, minutesEnd + 3);
  if (minutesEnd > 4 || minutes < 0 || seconds < 0) return undefined;
  const at = minutesEnd + 3;
  const end = text.length - 1;
  if (at === end) return (minutes * 60 + seconds) * 10;
  if (text[at] !== "." || digitsOf(text, at + 1, end) < 0) return undefined;
  return (minutes * 60 + seconds) * 10 + text.charCodeAt(at + 1) - ZERO;
}

/** Tenths of a second left, from `11:45`; undefined when it is not that. */
export function minuteClockDs(text: string): number | undefined {
  const colon = text.length - 3;
  const minutes = digitsOf(text, 0, colon);
  const seconds = digitsOf(text, colon + 1, text.length);
  if (colon > 2 || text[colon] !== ":" || minutes < 0 || seconds < 0) return undefined;
  return (minutes * 60 + seconds) * 10;
}

const ZERO = 48;

/** The digits from `at` to `end` as a number; -1 when there are none or anything else stands there. */
function digitsOf(text: string, at: number, end: number): number {
  if (at >= end || end > text.length) return -1;
  let value = 0;
  for (let index = at; index < end; index++) {
    const digit = text.charCodeAt(index) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** The clock as it stands in the row, refused when it is missing, misspelled or longer than the period. */
export function clockDs(
  cells: { reject(reason: string, message: string): void },
  text: string,
  period: number,
  parse: (text: string) => number | undefined,
): number {
  const clock = parse(text);
  const length = periodLengthDs(period);
  if (clock !== undefined && clock <= length) return clock;
  const expected = `a time of at most ${length / 600} minutes left in period ${period}`;
  cells.reject("BAD_CLOCK", `the clock is "${text}", expected ${expected}`);
  return 0;
}
