import { type CsvRow } from "./csv.ts";

/** Why a row cannot become a play. */
export interface Problem {
  /** Stable code. */
  readonly reason: string;
  /** What is wrong and what was expected. */
  readonly message: string;
}

/**
 * Typed view of one CSV row by column name. Reading never throws: the first value that is not what it should
 * be is kept as `problem`, and the caller makes a dead letter of the row.
 */
export class RowCells {
  readonly #indexOf: ReadonlyMap<string, number>;
  readonly columns: number;
  #fields: readonly string[] = [];
  problem: Problem | undefined;

  constructor(header: readonly string[]) {
    this.#indexOf = new Map(header.map((name, index) => [name.trim(), index]));
    this.columns = header.length;
  }

  set(row: CsvRow): this {
    this.#fields = row.fields;
    this.problem = undefined;
    if (row.fields.length !== this.columns) {
      const found = `${row.fields.length} column(s), expected ${this.columns} as in the header`;
      this.reject("MALFORMED_ROW", `the row has ${found}`);
    }
    return this;
  }

  reject(reason: string, message: string): void {
    this.problem ??= { reason, message };
  }

  text(column: string): string {
    return this.#fields[this.#indexOf.get(column) ?? -1] ?? "";
  }

  /** A whole number, also spelled `4.0`; 0 when blank. */
  int(column: string, max: number): number {
    return this.optionalInt(column, max) ?? 0;
  }

  optionalInt(column: string, max: number): number | undefined {
    const text = this.text(column);
    if (text === "") return undefined;
    const value = Number(text);
    if (Number.isInteger(value) && value >= 0 && value <= max) return value;
    this.reject("BAD_NUMBER", `${column} is "${text}", expected a whole number from 0 to ${max}`);
    return undefined;
  }

  requiredInt(column: string, min: number, max: number): number {
    const value = this.optionalInt(column, max);
    if (value !== undefined && value >= min) return value;
    const found = this.text(column);
    this.reject("BAD_NUMBER", `${column} is "${found}", expected a number from ${min} to ${max}`);
    return min;
  }

  decimal(column: string): number | undefined {
    const text = this.text(column);
    if (text === "") return undefined;
    const value = Number(text);
    if (Number.isFinite(value)) return value;
    this.reject("BAD_NUMBER", `${column} is "${text}", expected a number`);
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
  const match = /^PT(\d{1,2})M(\d{2})(?:\.(\d)\d*)?S$/.exec(text);
  if (match === null) return undefined;
  return (Number(match[1]) * 60 + Number(match[2])) * 10 + Number(match[3] ?? 0);
}

/** Tenths of a second left, from `11:45`; undefined when it is not that. */
export function minuteClockDs(text: string): number | undefined {
  const match = /^(\d{1,2}):(\d{2})$/.exec(text);
  return match === null ? undefined : (Number(match[1]) * 60 + Number(match[2])) * 10;
}

/** The clock as it stands in the row, refused when it is missing, misspelled or longer than the period. */
export function clockDs(
  cells: RowCells,
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
