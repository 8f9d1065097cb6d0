import { randomUUID } from "node:crypto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Insight } from "../proto/gen/courtside/v1/insight_pb.ts";
import { INSIGHTS_STREAM, INSIGHTS_SUBJECTS, insightsSubject } from "../proto/subjects.ts";
import { openEvents } from "../tests/support/events.ts";
import { InsightBuilder, insightBytes } from "../tests/support/insights.ts";
import { startNats, type TestNats } from "../tests/support/nats.ts";
import { BrokerUnreachableError } from "./broker.ts";
import { PortInUseError, startDashboard } from "./server.ts";

let nats: TestNats;
let connection: NatsConnection;
const cleanups: (() => unknown)[] = [];

beforeEach(async () => {
  nats = await startNats();
  connection = await connect({
    servers: nats.url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
  });
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  await connection.close();
  await nats.stop();
});

async function createStream(): Promise<void> {
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: INSIGHTS_STREAM, subjects: [INSIGHTS_SUBJECTS] });
}

/** As a real publisher does: what got no answer is sent again with the same id. */
async function publish(game: InsightBuilder, ...insights: readonly Insight[]): Promise<void> {
  const subject = insightsSubject(game.keyGroup, game.gameId);
  for (const insight of insights) {
    const options = { msgID: randomUUID(), timeout: 1_000 };
    const send = (): Promise<unknown> =>
      jetstream(connection).publish(subject, insightBytes(insight), options);
    await send().catch(send).catch(send);
  }
}

async function start(port = 0): Promise<{ url: string; port: number; close(): Promise<void> }> {
  const dashboard = await startDashboard({ port, natsUrl: nats.url });
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await dashboard.close();
    isOpen = false;
  };
  cleanups.push(close);
  return { url: `http://127.0.0.1:${String(dashboard.port)}`, port: dashboard.port, close };
}

async function events(url: string, lastEventId?: string): ReturnType<typeof openEvents> {
  const reader = await openEvents(url, lastEventId);
  cleanups.push(() => reader.close());
  return reader;
}

const PLAY = { number: 1, period: 1, clockS: 700, homeScore: 2, awayScore: 0, homeWinProb: 0.66 };

test("a page gets a snapshot, then the rows of its game and the lines of all games", async () => {
  await createStream();
  const [one, two] = [new InsightBuilder("SYN1"), new InsightBuilder("SYN2", "DEN", "LAL")];
  await publish(one, one.info(), one.play(PLAY));
  const { url } = await start();
  const page = await events(`${url}/api/events?game=SYN1`);
  const { data: snapshot } = await page.next("snapshot");
  expect(snapshot.games).toMatchObject([{ id: "SYN1", plays: 1, homeScore: 2 }]);
  expect(snapshot.game.plays).toMatchObject([{ number: 1, homeWinProb: 0.66 }]);

  await publish(two, two.info());
  expect((await page.next("games")).data.changed).toMatchObject([{ id: "SYN2" }]);
  await publish(one, one.play({ ...PLAY, number: 2, homeScore: 5 }));
  const { data: change } = await page.next("game");
  expect(change).toMatchObject({ id: "SYN1", plays: [{ number: 2, homeScore: 5 }] });
  expect((await page.next("games")).data.changed).toMatchObject([{ id: "SYN1", homeScore: 5 }]);
});

test("a page that names its last event gets what it missed and nothing else", async () => {
  await createStream();
  const game = new InsightBuilder("SYN1");
  const { url } = await start();
  const first = await events(`${url}/api/events?game=SYN1`);
  await first.next("snapshot");
  await publish(game, game.play(PLAY));
  const { id } = await first.next("games");
  first.close();
  await publish(game, game.play({ ...PLAY, number: 2 }), game.play({ ...PLAY, number: 3 }));
  await expect
    .poll(
      async () => ((await (await fetch(`${url}/api/games/SYN1`)).json()) as Detail).plays.length,
    )
    .toBe(3);

  const again = await events(`${url}/api/events?game=SYN1`, id);
  const missed = await again.next("game");
  expect(missed.data.plays[0].number).toBe(2);
  const stranger = await events(`${url}/api/events?game=SYN1`, "otherstream-1");
  expect((await stranger.next("snapshot")).data.game.plays).toHaveLength(3);
});

test("an event id stays good across a restart of the dashboard", async () => {
  await createStream();
  const game = new InsightBuilder("SYN1");
  const before = await start();
  const page = await events(`${before.url}/api/events?game=SYN1`);
  await page.next("snapshot");
  await publish(game, game.info(), game.play(PLAY));
  let id = "";
  await expect.poll(async () => (id = (await page.next("games")).id)).toMatch(/-2$/u);
  await before.close();
  await page.ended();

  const after = await start(before.port);
  await publish(game, game.play({ ...PLAY, number: 2 }));
  const again = await events(`${after.url}/api/events?game=SYN1`, id);
  expect((await again.next("game")).data.plays.at(-1)).toMatchObject({ number: 2 });
});

test("a broker that is killed and comes back is read on, without loss or doubles", async () => {
  await createStream();
  const game = new InsightBuilder("SYN1");
  const { url } = await start();
  const page = await events(`${url}/api/events?game=SYN1`);
  await page.next("snapshot");
  await publish(game, game.play(PLAY));
  await page.next("game");
  await nats.kill();
  await expect.poll(async () => (await page.next("status")).data.phase).toBe("disconnected");
  await nats.restart();
  await expect.poll(async () => (await page.next("status")).data.phase).toBe("live");
  await publish(game, game.play({ ...PLAY, number: 2 }));
  expect((await page.next("game")).data.plays).toMatchObject([{ number: 2 }]);
  const health = await (await fetch(`${url}/healthz`)).json();
  expect(health).toMatchObject({ phase: "live", insights: 2, refused: 0 });
}, 20_000);

test("insights that a restarted job repeats, and garbage, are counted and not shown", async () => {
  await createStream();
  const game = new InsightBuilder("SYN1");
  const play = game.play(PLAY);
  const { url } = await start();
  await publish(game, play, play);
  await jetstream(connection).publish(
    insightsSubject(game.keyGroup, "SYN1"),
    new Uint8Array([255, 255, 255]),
  );
  await expect
    .poll(async () => (await fetch(`${url}/healthz`)).json())
    .toMatchObject({ insights: 1, refused: 2 });
});

test("the dashboard waits for the stream, and starts anew when it is made again", async () => {
  const { url } = await start();
  const page = await events(`${url}/api/events`);
  expect((await page.next("status")).data.phase).toBe("waiting");
  await createStream();
  expect((await page.next("snapshot")).data.games).toEqual([]);
  const [old, fresh] = [new InsightBuilder("SYN1"), new InsightBuilder("SYN2")];
  await publish(old, old.info());
  await page.next("games");
  await (await jetstreamManager(connection)).streams.delete(INSIGHTS_STREAM);
  await createStream();
  await publish(fresh, fresh.info());
  await expect
    .poll(async () => ((await (await fetch(`${url}/api/games`)).json()) as Games).games, {
      timeout: 10_000,
    })
    .toMatchObject([{ id: "SYN2" }]);
}, 20_000);

test("the page and its parts are served under a strict policy, other paths are not", async () => {
  const { url } = await start();
  const page = await fetch(url);
  expect(page.headers.get("content-security-policy")).toContain("script-src 'self'");
  const text = await page.text();
  const parts = [...text.matchAll(/(?:href|src)="\.(?<path>\/[^"]+)"/gu)];
  expect(parts.length).toBe(3);
  for (const part of parts) {
    const response = await fetch(url + (part.groups?.["path"] ?? ""));
    expect(response.status).toBe(200);
    const isHashed = part.groups?.["path"]?.startsWith("/assets/") ?? false;
    expect(response.headers.get("cache-control")).toContain(isHashed ? "immutable" : "no-cache");
  }
  expect((await fetch(`${url}/../package.json`)).status).toBe(404);
  expect((await fetch(`${url}/api/games/none`)).status).toBe(404);
  expect((await fetch(`${url}/api/games`, { method: "POST" })).status).toBe(405);
});

test("what the browser has already is not sent again, and what is sent is compressed", async () => {
  await createStream();
  const game = new InsightBuilder("SYN1");
  await publish(game, game.info(), game.play(PLAY));
  const { url } = await start();
  await expect.poll(async () => (await fetch(`${url}/api/games/SYN1`)).status).toBe(200);
  for (const path of ["/", "/api/games", "/api/games/SYN1"]) {
    const first = await fetch(url + path);
    const etag = first.headers.get("etag") ?? "";
    expect(etag).toMatch(/^".+"$/u);
    const again = await fetch(url + path, { headers: { "if-none-match": `"other", W/${etag}` } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
  }
  // fetch asks for gzip and takes it apart itself.
  const detail = await fetch(`${url}/api/games/SYN1`);
  expect(detail.headers.get("content-encoding")).toBe("gzip");
  expect(await detail.json()).toMatchObject({ id: "SYN1" });
  await publish(game, game.play({ ...PLAY, number: 2 }));
  const known = { headers: { "if-none-match": detail.headers.get("etag") ?? "" } };
  await expect.poll(async () => (await fetch(`${url}/api/games/SYN1`, known)).status).toBe(200);
});

test("behind a path prefix everything is under it, and the page finds its parts by relative addresses", async () => {
  const dashboard = await startDashboard({ port: 0, natsUrl: nats.url, basePath: "/courtside/" });
  cleanups.push(() => dashboard.close());
  const root = `http://127.0.0.1:${String(dashboard.port)}`;
  const bare = await fetch(`${root}/courtside`, { redirect: "manual" });
  expect([bare.status, bare.headers.get("location")]).toEqual([308, "/courtside/"]);
  const text = await (await fetch(`${root}/courtside/`)).text();
  const script = /src="\.(?<path>\/[^"]+)"/u.exec(text)?.groups?.["path"] ?? "";
  expect((await fetch(`${root}/courtside${script}`)).status).toBe(200);
  expect((await fetch(`${root}/courtside/api/games`)).status).toBe(200);
  expect((await fetch(`${root}/api/games`)).status).toBe(404);
  expect((await fetch(`${root}/healthz`)).status).toBe(200);
});

test("views of a store say that there is none, and statements of other pages are refused", async () => {
  const { url } = await start();
  for (const path of ["season", "models", "traces"]) {
    const response = await fetch(`${url}/api/${path}`);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: "NO_STORE" });
  }
  expect(await (await fetch(`${url}/api/pipeline`)).json()).toMatchObject({ stages: null });
  const ask = async (headers: Record<string, string>, body = "{}"): Promise<number> =>
    (await fetch(`${url}/api/sql`, { method: "POST", headers, body })).status;
  const json = { "content-type": "application/json" };
  expect(await ask({ "content-type": "text/plain" })).toBe(415);
  expect(await ask({ ...json, "sec-fetch-site": "cross-site" })).toBe(403);
  expect(await ask(json)).toBe(503);
  expect((await fetch(`${url}/api/sql`)).status).toBe(405);
});

test("a handler that takes a request answers it before the page's own routes", async () => {
  const dashboard = await startDashboard({
    port: 0,
    natsUrl: nats.url,
    handlers: [
      (request, response) => {
        if (request.url !== "/v1/predict") return false;
        response.end("mine");
        return true;
      },
    ],
  });
  cleanups.push(() => dashboard.close());
  const url = `http://127.0.0.1:${String(dashboard.port)}`;
  expect(await (await fetch(`${url}/v1/predict`, { method: "POST" })).text()).toBe("mine");
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test("a busy port and a missing broker are named with the flag that helps", async () => {
  const { port } = await start();
  await expect(startDashboard({ port, natsUrl: nats.url })).rejects.toThrow(PortInUseError);
  await expect(startDashboard({ port, natsUrl: nats.url })).rejects.toThrow(/--port/u);
  const nowhere = startDashboard({ port: 0, natsUrl: "nats://127.0.0.1:1", brokerWaitMs: 0 });
  await expect(nowhere).rejects.toThrow(BrokerUnreachableError);
  await expect(nowhere).rejects.toThrow(/--nats-url/u);
});

interface Detail {
  readonly plays: readonly unknown[];
}

interface Games {
  readonly games: readonly unknown[];
}
