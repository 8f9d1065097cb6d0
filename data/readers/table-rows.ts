import { csvRows } from "./csv.ts";
import { fileChunks } from "./file-bytes.ts";
import { RowCells } from "./row-cells.ts";

/** Gives each whole row of a CSV table; rows of another width than the header are left out. */
export async function eachTableRow<Column extends string>(
  file: string,
  columns: readonly Column[],
  take: (cells: RowCells<Column>) => void,
): Promise<void> {
  let cells: RowCells<Column> | undefined;
  for await (const batch of csvRows(fileChunks(file))) {
    for (const row of batch.rows) {
      if (cells === undefined) cells = new RowCells(row.fields, columns);
      else if (cells.set(row).problem === undefined) take(cells);
    }
  }
}

/** Names of the columns; none for a file that is empty or cannot be unpacked. */
export async function tableColumns(file: string): Promise<ReadonlySet<string>> {
  for await (const batch of csvRows(fileChunks(file))) {
    const [header] = batch.rows;
    if (header !== undefined) return new Set(header.fields.map((name) => name.trim()));
    if (batch.broken !== undefined) return new Set();
  }
  return new Set();
}
