import { type Random, seededRandom } from "../../base/random.ts";

/**
 * The events of Nexmark, an online auction, with the proportions and hot keys of the published generator.
 * @see Tucker et al., "NEXMark: A Benchmark for Queries over Data Streams", 2002; Apache Beam, `GeneratorConfig`.
 */
export interface Person {
  readonly kind: "person";
  readonly id: number;
  readonly name: string;
  readonly state: string;
  readonly timeMs: number;
}

export interface Auction {
  readonly kind: "auction";
  readonly id: number;
  readonly seller: number;
  readonly category: number;
  readonly reserve: number;
  readonly expiresMs: number;
  readonly timeMs: number;
}

export interface Bid {
  readonly kind: "bid";
  readonly auction: number;
  readonly bidder: number;
  /** Cents. */
  readonly price: number;
  readonly timeMs: number;
}

export type Event = Person | Auction | Bid;

export interface GeneratorOptions {
  readonly events: number;
  readonly seed: number;
  /** Events in a second of event time; default 10,000, as in Beam's default configuration. */
  readonly eventsPerSecond?: number;
}

/** Of fifty events one is a person, three are auctions, the others bids. */
const EPOCH = 50;
const PERSONS = 1;
const AUCTIONS = 3;
const FIRST_ID = 1000;
const FIRST_CATEGORY = 10;
const CATEGORIES = 5;
/** Bids go to an auction among the last so many, or to a few that come later. */
const IN_FLIGHT_AUCTIONS = 100;
const ACTIVE_PEOPLE = 1000;
const ID_LEAD = 10;
/** One in so many goes to a key that is not hot. */
const HOT_AUCTION_RATIO = 2;
const HOT_SELLER_RATIO = 4;
const HOT_BIDDER_RATIO = 4;
/** Of so many neighbouring ids one is the hot one. */
const HOT_EVERY = 100;
const STATES = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const FIRST_NAMES = ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah"];

/** The same options give the same events. Times ascend, from 0. */
export function* generate({
  events,
  seed,
  eventsPerSecond = 10_000,
}: GeneratorOptions): Generator<Event> {
  const random = seededRandom(seed);
  for (let i = 0; i < events; i += 1) {
    const timeMs = Math.floor((i * 1000) / eventsPerSecond);
    const place = i % EPOCH;
    if (place < PERSONS) yield person(random, personsBefore(i), timeMs);
    else if (place < PERSONS + AUCTIONS) yield auction(random, i, timeMs, eventsPerSecond);
    else yield bid(random, i, timeMs);
  }
}

/** Persons that the first `i` events have, and so the number of the next one. */
function personsBefore(i: number): number {
  return Math.floor(i / EPOCH) * PERSONS + Math.min(i % EPOCH, PERSONS);
}

function auctionsBefore(i: number): number {
  return Math.floor(i / EPOCH) * AUCTIONS + Math.min(Math.max((i % EPOCH) - PERSONS, 0), AUCTIONS);
}

function person(random: Random, number: number, timeMs: number): Person {
  const name = FIRST_NAMES[random.int(FIRST_NAMES.length)] ?? "";
  const state = STATES[random.int(STATES.length)] ?? "";
  return { kind: "person", id: FIRST_ID + number, name, state, timeMs };
}

function auction(random: Random, i: number, timeMs: number, eventsPerSecond: number): Auction {
  const people = personsBefore(i);
  const seller = pick(random, people, HOT_SELLER_RATIO, ACTIVE_PEOPLE, 0);
  // An auction lives about as long as it takes until the others in flight have come.
  const horizonMs = (IN_FLIGHT_AUCTIONS * EPOCH * 1000) / (AUCTIONS * eventsPerSecond);
  const expiresMs = timeMs + 1 + random.int(Math.max(1, Math.floor(2 * horizonMs)));
  return {
    kind: "auction",
    id: FIRST_ID + auctionsBefore(i),
    seller: FIRST_ID + seller,
    category: FIRST_CATEGORY + random.int(CATEGORIES),
    reserve: price(random),
    expiresMs,
    timeMs,
  };
}

function bid(random: Random, i: number, timeMs: number): Bid {
  const [auctions, people] = [auctionsBefore(i), personsBefore(i)];
  return {
    kind: "bid",
    auction: FIRST_ID + pick(random, auctions, HOT_AUCTION_RATIO, IN_FLIGHT_AUCTIONS, 0),
    bidder: FIRST_ID + pick(random, people, HOT_BIDDER_RATIO, ACTIVE_PEOPLE, 1),
    price: price(random),
    timeMs,
  };
}

/** A hot id most of the time, else one of the last `active`, or of those soon to come. */
function pick(
  random: Random,
  known: number,
  hotRatio: number,
  active: number,
  hotAt: number,
): number {
  const last = Math.max(known - 1, 0);
  if (random.int(hotRatio) > 0) return Math.floor(last / HOT_EVERY) * HOT_EVERY + hotAt;
  const from = Math.max(last - active, 0);
  return from + random.int(last - from + 1 + ID_LEAD);
}

/** Log-uniform from one to a hundred thousand dollars, in cents. */
function price(random: Random): number {
  return Math.round(10 ** (random.next() * 6) * 100);
}
