import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { seededRandom } from "../../base/random.ts";
import { FeedClient } from "./feed-client.ts";
import { BackOff, Pace } from "./pace.ts";
import { scheduledGames, scoreboardDate, scoreboardGames } from "./schedule.ts";

interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Gives the answers one after the other, `undefined` for none at all. */
async function client(
  answers: (Answer | undefined)[],
): Promise<{ client: FeedClient; asked: IncomingHttpHeaders[] }> {
  const asked: IncomingHttpHeaders[] = [];
  server = createServer((request, response) => {
    asked.push(request.headers);
    const answer = answers.shift();
    if (answer === undefined) return;
    response.writeHead(answer.status ?? 200, answer.headers).end(answer.body ?? "{}");
  });
  const listening = server;
  await new Promise<void>((resolve) => {
    listening.listen(0, "127.0.0.1", resolve);
  });
  const { port } = listening.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${String(port)}`;
  const { signal } = new AbortController();
  return { client: new FeedClient({ baseUrl, timeoutMs: 300, signal }), asked };
}

test("a document is asked for again only if it has changed, and what was cut short is not taken for known", async () => {
  const modified = "Wed, 05 Feb 2025 23:00:00 GMT";
  const { client: feed, asked } = await client([
    { headers: { etag: '"a"', "last-modified": modified }, body: '{"a":1}' },
    { status: 304 },
    { headers: { etag: '"b"' }, body: '{"a":' },
    { headers: { etag: '"b"' }, body: '{"a":2}' },
  ]);
  const asOfMs = Date.parse(modified);
  expect(await feed.get("/x")).toEqual({ kind: "fresh", document: { a: 1 }, asOfMs });
  expect(await feed.get("/x")).toEqual({ kind: "unchanged" });
  expect(asked[1]).toMatchObject({ "if-none-match": '"a"', "if-modified-since": modified });
  expect(await feed.get("/x")).toMatchObject({ kind: "failed", why: "no whole JSON" });
  expect(await feed.get("/x")).toMatchObject({ kind: "fresh", document: { a: 2 } });
  expect(asked[3]).toMatchObject({ "if-none-match": '"a"' });
});

test("failures say what they are and how long to wait", async () => {
  const { client: feed } = await client([
    { status: 403 },
    { status: 404 },
    { status: 429, headers: { "retry-after": "2" } },
    { status: 503, headers: { "retry-after": new Date(Date.now() + 60_000).toUTCString() } },
    { status: 500 },
    { body: Buffer.from([0xff, 0xfe]).toString("latin1") },
    undefined,
  ]);
  expect(await feed.get("/x")).toEqual({ kind: "absent", status: 403 });
  expect(await feed.get("/x")).toEqual({ kind: "absent", status: 404 });
  expect(await feed.get("/x")).toEqual({ kind: "failed", why: "status 429", retryAfterMs: 2000 });
  const busy = await feed.get("/x");
  expect(busy.kind === "failed" && (busy.retryAfterMs ?? 0) > 50_000).toBe(true);
  expect(await feed.get("/x")).toMatchObject({ why: "status 500", retryAfterMs: undefined });
  expect(await feed.get("/x")).toMatchObject({ kind: "failed" });
  expect(await feed.get("/x")).toMatchObject({ kind: "failed", why: "timed out" });
});

test("a feed that is not there is a failure, not an exception", async () => {
  const { signal } = new AbortController();
  const feed = new FeedClient({ baseUrl: "http://127.0.0.1:1", timeoutMs: 1000, signal });
  expect(await feed.get("/x")).toMatchObject({ kind: "failed" });
});

test("waits between failures grow to their limit, each within half and whole, and begin anew", () => {
  const backOff = new BackOff(100, 1000, seededRandom(1));
  for (const fullMs of [100, 200, 400, 800, 1000, 1000]) {
    const waitMs = backOff.failed();
    expect(waitMs).toBeGreaterThanOrEqual(fullMs / 2);
    expect(waitMs).toBeLessThanOrEqual(fullMs);
  }
  backOff.succeeded();
  expect(backOff.failed()).toBeLessThanOrEqual(100);
});

test("requests keep their distance, also after a pause that the server asked for", async () => {
  const pace = new Pace(50);
  const { signal } = new AbortController();
  const startMs = performance.now();
  await Promise.all(Array.from({ length: 6 }, async () => pace.turn(signal)));
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(95);
  pace.pause(80);
  const pausedMs = performance.now();
  await pace.turn(signal);
  expect(performance.now() - pausedMs).toBeGreaterThanOrEqual(75);
});

test("scoreboard and schedule tell who plays when, and who does not", () => {
  const game = { gameId: "0022400710", gameStatusText: "7:00 pm ET" };
  const off = { gameId: "0022400711", gameStatusText: "PPD" };
  const scoreboard = {
    scoreboard: {
      gameDate: "2025-02-05",
      games: [{ ...game, gameTimeUTC: "2025-02-06T00:00:00Z" }, off, { gameId: "x" }],
    },
  };
  expect(scoreboardDate(scoreboard)).toBe("2025-02-05");
  const tipoffMs = Date.parse("2025-02-06T00:00:00Z");
  const expected = [
    { gameId: "0022400710", tipoffMs, isPostponed: false },
    { gameId: "0022400711", tipoffMs: undefined, isPostponed: true },
  ];
  expect(scoreboardGames(scoreboard)).toEqual(expected);
  const gameDates = [
    { gameDate: "02/04/2025 00:00:00", games: [{ gameId: "0022400700" }] },
    {
      gameDate: "02/05/2025 00:00:00",
      games: [
        { ...game, gameDateTimeUTC: "2025-02-06T00:00:00Z" },
        { gameId: "0022400711", postponedStatus: "Y" },
      ],
    },
  ];
  expect(scheduledGames({ leagueSchedule: { gameDates } }, "2025-02-05")).toEqual(expected);
  expect(scoreboardGames({ scoreboard: { games: "none" } })).toEqual([]);
});
