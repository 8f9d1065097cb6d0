import { expect, test } from "vitest";
import { Harness } from "../../testing/mod.ts";
import { type Bid, type Event, generate } from "./events.ts";
import { bidRow, expected } from "./oracle.ts";
import { nexmarkGraph, QUERIES, type QueryName, type Result, type Row } from "./queries.ts";

const SEED = Number(process.env["SEED"] ?? 20_261_125);
/** A minute of auctions at a low rate: several windows, sessions that end, auctions that close. */
const events = [...generate({ events: 6_000, seed: SEED, eventsPerSecond: 100 })];

function rowsOf(results: readonly Result[]): Row[] {
  return results.map((result) => ("kind" in result ? bidRow(result) : result));
}

function sorted(rows: readonly Row[]): string[] {
  return rows.map((row) => JSON.stringify(row)).toSorted();
}

test.each(Object.keys(QUERIES) as QueryName[])(
  `%s gives what brute force gives (seed ${String(SEED)})`,
  (query) => {
    const harness = new Harness<Event>(
      (source, collect) => {
        const timed = source.timestamps("time", { eventTimeMs: ({ timeMs }) => timeMs });
        collect(QUERIES[query](timed));
      },
      { keyGroups: 1 },
    );
    for (const event of events) harness.record("", event, event.timeMs);
    harness.watermark(Number.MAX_SAFE_INTEGER);
    harness.processingTime(1_000_000);
    const rows = rowsOf(harness.take<Result>());
    expect(rows.length).toBeGreaterThan(2);
    // The averages move with every auction that closes; the last of each category is the one to compare.
    const compared =
      query === "q4" ? [...new Map(rows.map((row) => [row[0], row])).values()] : rows;
    const round = (row: Row): Row =>
      row.map((cell) => (typeof cell === "number" ? Number(cell.toPrecision(12)) : cell));
    expect(sorted(compared.map(round))).toEqual(sorted(expected(query, events).map(round)));
  },
);

test("the generator keeps the proportions and the hot keys of the benchmark", () => {
  const kinds = Map.groupBy(events, ({ kind }) => kind);
  expect(kinds.get("person")?.length).toBe(120);
  expect(kinds.get("auction")?.length).toBe(360);
  const bids = (kinds.get("bid") ?? []) as Bid[];
  const hot = bids.filter(({ auction }) => auction % 100 === 0).length / bids.length;
  expect(hot).toBeGreaterThan(0.45);
  expect(hot).toBeLessThan(0.6);
});

test("a query without a reader of its results is refused", () => {
  expect(() => nexmarkGraph("q0", () => {}).validate()).toThrow(/nobody reads/);
});
