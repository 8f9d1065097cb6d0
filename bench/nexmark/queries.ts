import {
  type Aggregate,
  type Codec,
  JobGraph,
  listState,
  numberCodec,
  sessionWindows,
  slidingWindows,
  type Stream,
  stringCodec,
  tumblingWindows,
  valueState,
} from "../../operators/mod.ts";
import type { Auction, Bid, Event, Person } from "./events.ts";

/**
 * The queries of Nexmark on the runtime's public operators. A query is a stream of results: tuples of numbers and
 * strings, so that they can be compared with the oracle's.
 * @see https://github.com/nexmark/nexmark, queries q0 to q5, q7, q8, q11, q12.
 */
export type Row = readonly (number | string)[];

/** What a query gives: rows, or bids as they are or nearly so. */
export type Result = Row | Bid;

export const QUERIES = {
  q0: passThrough,
  q1: currency,
  q2: selection,
  q3: localItems,
  q4: averagePrice,
  q5: hotItems,
  q7: highestBid,
  q8: newUsers,
  q11: userSessions,
  q12: processingTimeWindows,
} satisfies Record<string, (events: Stream<Event>) => Stream<Result>>;

export type QueryName = keyof typeof QUERIES;

/** Euros for a dollar, of the paper. */
const EUROS = 0.908;
/** q2 looks for auctions whose number is a multiple. */
const SELECTED = 123;
/** q3: a category, in some states. */
const LOCAL_CATEGORY = 10;
const LOCAL_STATES: ReadonlySet<string> = new Set(["OR", "ID", "CA"]);
/** q5, q7, q8, q11, q12: ten seconds; q5 slides by two. */
export const WINDOW_MS = 10_000;
const SLIDE_MS = 2_000;

/** A job of one query. All keys are of one key group: there is one task, and no second stage. */
export function nexmarkGraph(
  query: QueryName,
  sink: (results: Stream<Result>) => void,
): JobGraph<Event> {
  const graph = new JobGraph<Event>(`nexmark-${query}`, { keyGroups: 1 });
  const timed = graph.source.timestamps("time", { eventTimeMs: ({ timeMs }) => timeMs });
  sink(QUERIES[query](timed));
  return graph;
}

function bidsOf(events: Stream<Event>): Stream<Bid> {
  return events.flatMap<Bid>("bids", (event, emit) => {
    if (event.kind === "bid") emit(event);
  });
}

function passThrough(events: Stream<Event>): Stream<Result> {
  return events.flatMap<Result>("bids", (event, emit) => {
    if (event.kind === "bid") emit(event);
  });
}

/** q1: prices in euros. */
function currency(events: Stream<Event>): Stream<Result> {
  return bidsOf(events).map<Result>("euros", (bid) => ({ ...bid, price: EUROS * bid.price }));
}

/** q2: bids on some auctions. */
function selection(events: Stream<Event>): Stream<Result> {
  return bidsOf(events).flatMap<Result>("selected", ({ auction, price }, emit) => {
    if (auction % SELECTED === 0) emit([auction, price]);
  });
}

/** q3: who sells in a category and lives in some states; person and auction may come in either order. */
function localItems(events: Stream<Event>): Stream<Result> {
  const people = events.flatMap<Person>("people", (event, emit) => {
    if (event.kind === "person" && LOCAL_STATES.has(event.state)) emit(event);
  });
  const auctions = events.flatMap<Auction>("auctions", (event, emit) => {
    if (event.kind === "auction" && event.category === LOCAL_CATEGORY) emit(event);
  });
  return people
    .keyBy(({ id }) => String(id))
    .coProcess<Auction, Result, typeof LOCAL>(
      auctions.keyBy(({ seller }) => String(seller)),
      {
        uid: "local-items",
        state: LOCAL,
        onLeft(context, { name, state }) {
          context.state.person.set([name, state]);
          for (const id of context.state.waiting.get()) context.emit([name, state, id]);
          context.state.waiting.clear();
        },
        onRight(context, { id }) {
          const person = context.state.person.get();
          if (person === undefined) context.state.waiting.add(id);
          else context.emit([...person, id]);
        },
      },
    );
}

/** An auction, or the bids that came before it: ids are known a little ahead. */
interface Trade {
  auction: Auction | undefined;
  readonly early: Bid[];
  best: number;
}

/** Best valid bid of each auction as it closes: category and price. The inner part of q4. */
function closingPrices(events: Stream<Event>): Stream<readonly [number, number]> {
  return events
    .flatMap<Auction | Bid>("trades", (event, emit) => {
      if (event.kind !== "person") emit(event);
    })
    .keyBy((event) => String(event.kind === "auction" ? event.id : event.auction))
    .process<readonly [number, number], typeof TRADE>({
      uid: "closing",
      state: TRADE,
      onRecord({ state, timers }, event) {
        let trade = state.trade.get();
        if (trade === undefined)
          state.trade.set((trade = { auction: undefined, early: [], best: 0 }));
        if (event.kind === "auction") {
          trade.auction = event;
          for (const bid of trade.early.splice(0)) take(trade, bid);
          timers.register(event.expiresMs);
        } else if (trade.auction === undefined) trade.early.push(event);
        else take(trade, event);
      },
      onTimer(context) {
        const { auction, best = 0 } = context.state.trade.get() ?? {};
        if (auction !== undefined && best >= auction.reserve)
          context.emit([auction.category, best]);
      },
    });
}

function take(trade: Trade, { price, timeMs }: Bid): void {
  const { auction } = trade;
  if (auction === undefined || timeMs < auction.timeMs || timeMs > auction.expiresMs) return;
  trade.best = Math.max(trade.best, price);
}

/** q4: average closing price of a category so far. */
function averagePrice(events: Stream<Event>): Stream<Result> {
  return closingPrices(events)
    .keyBy(([category]) => String(category))
    .process<Result, typeof AVERAGE>({
      uid: "average",
      state: AVERAGE,
      onRecord(context, [category, price]) {
        const sum = context.state.sum.get() ?? [0, 0];
        const next: [number, number] = [sum[0] + price, sum[1] + 1];
        context.state.sum.set(next);
        context.emit([category, next[0] / next[1]]);
      },
    });
}

/** q5: the auctions with the most bids of the last ten seconds, every two. */
function hotItems(events: Stream<Event>): Stream<Result> {
  const counts = bidsOf(events)
    .keyBy(({ auction }) => String(auction))
    .window<number, number, Row>({
      uid: "counts",
      assigner: slidingWindows(WINDOW_MS, SLIDE_MS),
      aggregate: COUNT,
      emit: (auction, { endMs }, count) => [[endMs, Number(auction), count]],
    });
  // What fired together has one event time: the window of a slide that ends there takes it all.
  return counts
    .keyBy(() => "")
    .window<Row[], Row[], Result>({
      uid: "hottest",
      assigner: tumblingWindows(SLIDE_MS),
      aggregate: highest(2),
      emit: (_key, _window, rows) => rows,
    });
}

/** q7: the highest bids of every ten seconds. */
function highestBid(events: Stream<Event>): Stream<Result> {
  return bidsOf(events)
    .map<Row>("price", ({ auction, price, bidder }) => [auction, price, bidder])
    .keyBy(() => "")
    .window<Row[], Row[], Result>({
      uid: "highest",
      assigner: tumblingWindows(WINDOW_MS),
      aggregate: highest(1),
      emit: (_key, { endMs }, rows) => rows.map((row) => [endMs, ...row]),
    });
}

/** q8: who came and opened an auction in the same ten seconds. */
function newUsers(events: Stream<Event>): Stream<Result> {
  const people = events.flatMap<Person>("people", (event, emit) => {
    if (event.kind === "person") emit(event);
  });
  const sellers = events.flatMap<Auction>("sellers", (event, emit) => {
    if (event.kind === "auction") emit(event);
  });
  return people
    .keyBy(({ id }) => String(id))
    .windowJoin(
      sellers.keyBy(({ seller }) => String(seller)),
      {
        uid: "new-users",
        assigner: tumblingWindows(WINDOW_MS),
        leftCodec: jsonCodec<Person>(),
        rightCodec: jsonCodec<Auction>(),
        join: ({ id, name, timeMs }): Result => [timeMs - (timeMs % WINDOW_MS), id, name],
      },
    );
}

/** q11: bids of each user in a session. */
function userSessions(events: Stream<Event>): Stream<Result> {
  return bidsOf(events)
    .keyBy(({ bidder }) => String(bidder))
    .window<number, number, Result>({
      uid: "sessions",
      assigner: sessionWindows(WINDOW_MS),
      aggregate: COUNT,
      emit: (bidder, { startMs, endMs }, count) => [[Number(bidder), count, startMs, endMs]],
    });
}

/** q12: bids of each user in ten seconds of processing time. */
function processingTimeWindows(events: Stream<Event>): Stream<Result> {
  return bidsOf(events)
    .keyBy(({ bidder }) => String(bidder))
    .window<number, number, Result>({
      uid: "per-user",
      assigner: tumblingWindows(WINDOW_MS, { time: "processing" }),
      aggregate: COUNT,
      emit: (bidder, _window, count) => [[Number(bidder), count]],
    });
}

const COUNT: Aggregate<unknown, number, number> = {
  codec: numberCodec,
  create: () => 0,
  add: (count) => count + 1,
  result: (count) => count,
  merge: (a, b) => a + b,
};

const AVERAGE = { sum: valueState(jsonCodec<[number, number]>()) };
const LOCAL = {
  person: valueState(jsonCodec<[string, string]>()),
  waiting: listState(numberCodec),
};
const TRADE = { trade: valueState(jsonCodec<Trade>()) };

/** All rows whose column is the largest. */
function highest(column: number): Aggregate<Row, Row[], Row[]> {
  const add = (best: Row[], row: Row): Row[] => {
    const [first] = best;
    const [most, value] = [
      Number(first?.[column] ?? Number.NEGATIVE_INFINITY),
      Number(row[column]),
    ];
    if (value < most) return best;
    if (value > most) best.length = 0;
    best.push(row);
    return best;
  };
  return {
    codec: jsonCodec<Row[]>(),
    create: () => [],
    add,
    result: (rows) => rows,
    merge: (into, from) => {
      for (const row of from) add(into, row);
      return into;
    },
  };
}

/** State of a benchmark may be written as text: no version of it outlives the run. */
function jsonCodec<T>(): Codec<T> {
  return {
    typeName: "json",
    encode: (value) => stringCodec.encode(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(stringCodec.decode(bytes)) as T,
  };
}
