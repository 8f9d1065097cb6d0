import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { type CsvRow, csvRows, splitQuoted } from "./csv.ts";
import { fileLines } from "./file-lines.ts";

const folder = mkdtempSync(path.join(tmpdir(), "courtside-csv-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function read(content: Buffer | string): Promise<{ rows: CsvRow[]; brokenAt?: number }> {
  const file = path.join(folder, "rows.csv");
  writeFileSync(file, content);
  const rows: CsvRow[] = [];
  for await (const batch of csvRows(fileLines(file))) {
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
