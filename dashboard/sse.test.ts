import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type EventReader, openEvents } from "../tests/support/events.ts";
import { InsightBuilder } from "../tests/support/insights.ts";
import { GameBook } from "./games.ts";
import { EventHub, MAX_CLIENT_BACKLOG_BYTES, REPLAY_FLUSHES, type SnapshotSource } from "./sse.ts";
import { type FeedStatus } from "./wire.ts";

const STATUS: FeedStatus = {
  phase: "live",
  insights: 0,
  refused: 0,
  backlog: 0,
  notShown: 0,
  waitingPlays: 0,
};
let bulk = "";
let book: GameBook;
let game: InsightBuilder;
let hub: EventHub;
let url = "";
const server = createServer((request, response) => {
  hub.connect(request, response, new URL(request.url ?? "/", url));
});
const readers: EventReader[] = [];

beforeEach(async () => {
  bulk = "";
  book = new GameBook();
  game = new InsightBuilder("SYN1");
  const source: SnapshotSource = {
    summaries: () => {
      const summaries = book.summaries();
      for (const summary of summaries) summary.date = bulk;
      return summaries;
    },
    detail: (id) => book.detail(id),
    status: () => STATUS,
  };
  hub = new EventHub(source, 50);
  hub.restart({ stream: "s", sequence: 0 });
  hub.open();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close();
  hub.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function open(path: string, last?: string): Promise<EventReader> {
  const reader = await openEvents(url + path, last);
  readers.push(reader);
  return reader;
}

/** Folds play `number` and sends it as the message of that number. */
function send(number: number): void {
  const play = { number, period: 1, clockS: 600, homeScore: number, awayScore: 0 };
  book.apply(game.play({ ...play, homeWinProb: 0.5 }));
  hub.publish(book.takeChanges(), { stream: "s", sequence: number });
}

test("a resume repeats exactly the flushes behind the named event", async () => {
  for (const number of [1, 2, 3, 4]) send(number);
  const page = await open("/?game=SYN1", "s-2");
  expect((await page.next("game")).data.plays[0].number).toBe(3);
  expect((await page.next("game")).data.plays[0].number).toBe(4);
  expect((await page.next("resume")).id).toBe("s-4");
});

test("a page that is up to date resumes with nothing", async () => {
  send(1);
  expect((await (await open("/", "s-1")).next("resume")).id).toBe("s-1");
});

test.each(["", "s-999", "t-1", "s-x", "nonsense"])(
  "the unknown event id %j leads to a snapshot",
  async (last) => {
    send(1);
    expect((await (await open("/?game=SYN1", last)).next("snapshot")).data.game.plays).toHaveLength(
      1,
    );
  },
);

test("an event that has left the replay buffer leads to a snapshot", async () => {
  for (let number = 1; number <= REPLAY_FLUSHES + 2; number += 1) send(number);
  await (await open("/", "s-1")).next("snapshot");
  await (await open("/", "s-2")).next("resume");
});

test("before the stored insights are read a page is told so and gets its snapshot afterwards", async () => {
  hub.close();
  hub = new EventHub({ ...emptySource(), detail: (id) => book.detail(id) });
  const page = await open("/?game=SYN1", "s-0");
  await page.next("status");
  hub.restart({ stream: "s", sequence: 0 });
  send(1);
  hub.open();
  expect((await page.next("game")).data.plays).toHaveLength(1);
});

test("heartbeats come without any change", async () => {
  const page = await open("/");
  expect((await page.next("beat")).data.serverTimeMs).toBeGreaterThan(1_700_000_000_000);
});

test("a client that does not read is dropped, finds a notice at the end, and the others go on", async () => {
  send(1);
  bulk = "x".repeat(MAX_CLIENT_BACKLOG_BYTES / 4);
  const socket = connectTcp((server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => {});
  socket.pause();
  socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await expect.poll(() => hub.clients).toBe(1);
  const reader = await open("/");
  await reader.next("snapshot");
  for (let round = 1; round < 40 && hub.droppedClients === 0; round += 1) {
    hub.restart({ stream: "s", sequence: round });
    await reader.next("snapshot");
  }
  expect(hub.droppedClients).toBe(1);
  expect(hub.clients).toBe(1);
  let last = "";
  socket.on("data", (chunk: Buffer) => (last = (last + chunk.toString("latin1")).slice(-200)));
  const ended = once(socket, "end");
  socket.resume();
  await ended;
  expect(last).toMatch(/event: dropped\ndata: \{"waitingBytes":\d+\}\n\n$/u);
  socket.destroy();
});

test("closing the hub ends the streams", async () => {
  const page = await open("/");
  await page.next("snapshot");
  hub.close();
  await page.ended();
});

function emptySource(): SnapshotSource {
  return { summaries: () => [], detail: () => undefined, status: () => STATUS };
}
