import type { EngineResult } from "./engine.ts";

/** Rows and bytes of a statement, as `X-ClickHouse-Summary` and the query log tell them. */
export interface Counts {
  readonly readRows: number;
  readonly readBytes: number;
  readonly totalRowsToRead: number;
  readonly writtenRows: number;
  readonly writtenBytes: number;
  readonly resultRows: number;
  readonly resultBytes: number;
  readonly elapsedNs: number;
}

export const NO_COUNTS: Counts = {
  readRows: 0,
  readBytes: 0,
  totalRowsToRead: 0,
  writtenRows: 0,
  writtenBytes: 0,
  resultRows: 0,
  resultBytes: 0,
  elapsedNs: 0,
};

/** Of a statement that wrote the rows that it was sent. */
export function insertCounts({ rows, sizeBytes, elapsedS }: EngineResult): Counts {
  return {
    ...NO_COUNTS,
    readRows: rows,
    readBytes: sizeBytes,
    writtenRows: rows,
    writtenBytes: sizeBytes,
    resultRows: rows,
    resultBytes: sizeBytes,
    elapsedNs: Math.round(elapsedS * 1e9),
  };
}

/** The statistics of a JSON result stand within its last bytes. */
const TAIL_BYTES = 300;

/**
 * Of a statement that returned rows. What was read to make them only the JSON formats tell; for the others it is
 * what progress told last, or else the rows of the result.
 */
export function readCounts(
  { bytes, rows, sizeBytes, elapsedS }: EngineResult,
  format: string,
  seen: Counts = NO_COUNTS,
): Counts {
  const tail = format.startsWith("JSON")
    ? Buffer.from(bytes.subarray(-TAIL_BYTES)).toString("latin1")
    : "";
  const told = /"rows_read": ?(\d+),\s*"bytes_read": ?(\d+)/.exec(tail);
  return {
    ...NO_COUNTS,
    totalRowsToRead: seen.totalRowsToRead,
    readRows: Number(told?.[1] ?? Math.max(seen.readRows, rows)),
    readBytes: Number(told?.[2] ?? Math.max(seen.readBytes, sizeBytes)),
    resultRows: rows,
    resultBytes: sizeBytes,
    elapsedNs: Math.round(elapsedS * 1e9),
  };
}

/** Value of `X-ClickHouse-Summary` and `X-ClickHouse-Progress`; counts are strings there. */
export function summaryText(counts: Counts): string {
  return JSON.stringify({
    read_rows: String(counts.readRows),
    read_bytes: String(counts.readBytes),
    written_rows: String(counts.writtenRows),
    written_bytes: String(counts.writtenBytes),
    total_rows_to_read: String(counts.totalRowsToRead),
    result_rows: String(counts.resultRows),
    result_bytes: String(counts.resultBytes),
    elapsed_ns: String(counts.elapsedNs),
    real_time_microseconds: String(Math.round(counts.elapsedNs / 1000)),
  });
}
