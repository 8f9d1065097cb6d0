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
