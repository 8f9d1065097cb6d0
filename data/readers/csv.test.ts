import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { parse } from "csv-parse/sync";
import * as fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { type CsvRow, csvRows } from "./csv.ts";
import { NOT_WHOLE, splitQuoted } from "./csv-row.ts";
import { type FileChunk, fileChunks } from "./file-bytes.ts";

const SEED = Number(process.env["SEED"] ?? 20241022);
console.log(`SEED=${SEED}`);
const folder = mkdtempSync(path.join(tmpdir(), "courtside-csv-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function read(content: Buffer | string): Promise<{ rows: CsvRow[]; brokenAt?: number }> {
  const file = path.join(folder, "rows.csv");
  writeFileSync(file, content);
  const rows: CsvRow[] = [];
  for await (const batch of csvRows(fileChunks(file))) {
    rows.push(...batch.rows);
    if (batch.broken !== undefined) return { rows, brokenAt: batch.broken.line };
  }
  return { rows };
}

test("fields in quotes hold commas, doubled quotes and line breaks", async () => {
  expect(splitQuoted('a,"b,c","d""e",')).toEqual(["a", "b,c", 'd"e', ""]);
  const { rows } = await read('a,b\n1,"two\nlines"\n3,4\n');
  expect(rows.map((row) => [row.line, row.fields])).toEqual([
    [1, ["a", "b"]],
    [2, ["1", "two\nlines"]],
    [4, ["3", "4"]],
  ]);
});

test("a quote that is never closed damages only its own row", async () => {
  const { rows } = await read('a,b\n1,"open\n3,4\n5,"six"\n7,8\n9,"open at the end');
  expect(rows.map((row) => [row.line, row.fields])).toEqual([
    [1, ["a", "b"]],
    [2, ['1,"open']],
    [3, ["3", "4"]],
    [4, ["5", "six"]],
    [5, ["7", "8"]],
    [6, ['9,"open at the end']],
  ]);
});

test("byte order mark, carriage returns, empty lines and a missing last line end are no rows", async () => {
  const { rows } = await read("\uFEFFa,b\r\n\r\n1,2\r\n3,4");
  expect(rows.map((row) => row.fields)).toEqual([
    ["a", "b"],
    ["1", "2"],
    ["3", "4"],
  ]);
  expect(rows.map((row) => row.line)).toEqual([1, 3, 4]);
});

test("a gzip file is told by its bytes, and cut anywhere it gives the rows before the cut", async () => {
  const lines = Array.from({ length: 50_000 }, (_, at) => `${at},${(at * 7919) % 104_729}`);
  const packed = gzipSync(lines.join("\n"));
  expect((await read(packed)).rows).toHaveLength(lines.length);
  for (const share of [0.3, 0.7, 0.99]) {
    const { rows, brokenAt } = await read(packed.subarray(0, Math.floor(packed.length * share)));
    expect(rows.length).toBeGreaterThan(lines.length * (share - 0.2));
    expect(rows.map((row) => row.text)).toEqual(lines.slice(0, rows.length));
    expect(brokenAt).toBe(rows.length + 1);
  }
  const damaged = Buffer.from(packed);
  damaged.fill(0xff, packed.length - 2000, packed.length - 1900);
  expect((await read(damaged)).brokenAt).toBeGreaterThan(1);
  expect(readFileSync(path.join(folder, "rows.csv"))).toHaveLength(packed.length);
});

test("any table comes out as csv-parse reads it, wherever the chunks of the file are cut", async () => {
  const field = fc.oneof(
    fc.stringMatching(/^[ -~äčд]{0,12}$/),
    fc.constantFrom("", "-12", "1610612738.0", "PT11M45.00S", "a,b", 'say "no"', "two\nlines"),
  );
  const cases = fc.tuple(
    fc.array(fc.array(field, { minLength: 3, maxLength: 3 }), { minLength: 2, maxLength: 40 }),
    fc.constantFrom("\n", "\r\n"),
    fc.integer({ min: 1, max: 400 }),
  );
  await fc.assert(
    fc.asyncProperty(cases, async ([table, lineEnd, cut]) => {
      const records = [["header", "a", "b", "c"], ...table.map((row, at) => [`row ${at}`, ...row])];
      const text = records
        .map((row) => row.map((each) => quoted(each, lineEnd)).join(","))
        .join(lineEnd);
      const expected = parse(text, { relax_quotes: true, record_delimiter: lineEnd });
      // A line break in a field is one character, whatever ends the lines of the file.
      for (const record of expected)
        for (const [at, value] of record.entries()) record[at] = value.replaceAll("\r\n", "\n");
      const rows: CsvRow[] = [];
      for await (const batch of csvRows(chunksOf(text, cut))) rows.push(...batch.rows);
      expect(rows.map((row) => row.fields)).toEqual(expected);
      for (const row of rows) {
        for (const [column, value] of row.fields.entries()) {
          if (row.whole(column) === NOT_WHOLE) continue;
          expect(row.whole(column)).toBe(Number(value) + 0);
        }
      }
    }),
    { seed: SEED, numRuns: 400 },
  );
});

function quoted(field: string, lineEnd: string): string {
  const text = field.replaceAll("\n", lineEnd);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Whole lines in pieces of about `size` bytes, as a file gives them. */
async function* chunksOf(text: string, size: number): AsyncIterable<FileChunk> {
  const bytes = Buffer.from(text);
  let from = 0;
  while (from < bytes.length) {
    const newline = bytes.indexOf(0x0a, from + size);
    const end = newline < 0 ? bytes.length : newline + 1;
    yield await Promise.resolve({ bytes: bytes.subarray(from, end) });
    from = end;
  }
}
