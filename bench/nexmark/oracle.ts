import type { Auction, Bid, Event, Person } from "./events.ts";
import type { QueryName, Row } from "./queries.ts";

/**
 * What the queries must give, by brute force over all events at once: written after the SQL of the benchmark, with
 * loops over everything and none of the runtime's ideas.
 */
export function expected(query: QueryName, events: readonly Event[]): Row[] {
  const people = events.filter((event): event is Person => event.kind === "person");
  const auctions = events.filter((event): event is Auction => event.kind === "auction");
  const bids = events.filter((event): event is Bid => event.kind === "bid");
  switch (query) {
    case "q0":
      return bids.map(bidRow);
    case "q1":
      return bids.map((bid) => bidRow({ ...bid, price: 0.908 * bid.price }));
    case "q2":
      return bids
        .filter(({ auction }) => auction % 123 === 0)
        .map(({ auction, price }) => [auction, price]);
    case "q3":
      return auctions
        .filter(({ category }) => category === 10)
        .flatMap(({ seller, id }) =>
          people
            .filter((person) => person.id === seller && ["OR", "ID", "CA"].includes(person.state))
            .map(({ name, state }) => [name, state, id]),
        );
    case "q4":
      return averages(auctions, bids);
    case "q5":
      return hotItems(bids);
    case "q7":
      return groups(bids, ({ timeMs }) => Math.floor(timeMs / 10_000)).flatMap(
        ([window, inside]) => {
          const most = Math.max(...inside.map(({ price }) => price));
          return inside
            .filter(({ price }) => price === most)
            .map(({ auction, price, bidder }) => [(window + 1) * 10_000, auction, price, bidder]);
        },
      );
    case "q8":
      return people.flatMap(({ id, name, timeMs }) => {
        const startMs = Math.floor(timeMs / 10_000) * 10_000;
        return auctions
          .filter(
            ({ seller, timeMs: at }) =>
              seller === id && Math.floor(at / 10_000) * 10_000 === startMs,
          )
          .map(() => [startMs, id, name]);
      });
    case "q11":
      return groups(bids, ({ bidder }) => bidder).flatMap(([bidder, own]) => sessions(bidder, own));
    case "q12":
      return groups(bids, ({ bidder }) => bidder).map(([bidder, own]) => [bidder, own.length]);
    default:
      return query satisfies never;
  }
}

/** A bid as a row, to compare events with. */
export function bidRow({ auction, bidder, price, timeMs }: Bid): Row {
  return [auction, bidder, price, timeMs];
}

function groups<T>(values: readonly T[], keyOf: (value: T) => number): [number, T[]][] {
  return [...Map.groupBy(values, keyOf)];
}

/** Every closing price moves the average of its category; they close in the order of time. */
function averages(auctions: readonly Auction[], bids: readonly Bid[]): Row[] {
  const closed = auctions.flatMap((auction) => {
    const prices = bids
      .filter((bid) => bid.auction === auction.id)
      .filter(({ timeMs }) => timeMs >= auction.timeMs && timeMs <= auction.expiresMs)
      .map(({ price }) => price);
    const best = Math.max(0, ...prices);
    return best >= auction.reserve ? [{ ...auction, best }] : [];
  });
  // Auctions that close in the same millisecond may do so in any order: only the last average of it is certain.
  return groups(closed, ({ category }) => category).map(([category, own]) => [
    category,
    own.reduce((sum, { best }) => sum + best, 0) / own.length,
  ]);
}

function hotItems(bids: readonly Bid[]): Row[] {
  const lastMs = Math.max(...bids.map(({ timeMs }) => timeMs));
  const rows: Row[] = [];
  for (let endMs = 2_000; endMs <= lastMs + 10_000; endMs += 2_000) {
    const inside = bids.filter(({ timeMs }) => timeMs >= endMs - 10_000 && timeMs < endMs);
    const counts = groups(inside, ({ auction }) => auction).map(
      ([id, own]) => [id, own.length] as const,
    );
    const most = Math.max(...counts.map(([, count]) => count));
    for (const [auction, count] of counts) if (count === most) rows.push([endMs, auction, count]);
  }
  return rows;
}

function sessions(bidder: number, bids: readonly Bid[]): Row[] {
  const rows: [number, number, number, number][] = [];
  for (const { timeMs } of bids.toSorted((a, b) => a.timeMs - b.timeMs)) {
    const last = rows.at(-1);
    // Touching sessions are one.
    if (last !== undefined && timeMs <= last[3]) {
      last[1] += 1;
      last[3] = timeMs + 10_000;
    } else rows.push([bidder, 1, timeMs, timeMs + 10_000]);
  }
  return rows;
}
