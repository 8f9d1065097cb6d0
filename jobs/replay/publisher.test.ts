import { fromBinary } from "@bufbuild/protobuf";
import { jetstreamManager } from "@nats-io/jetstream";
import { type NatsConnection } from "@nats-io/nats-core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { noTracing, type Tracing } from "../../base/tracing.ts";
import { disorderly, freshAccounts } from "../../data/disorder.ts";
import { type SourceGame } from "../../data/source.ts";
import { syntheticSeason } from "../../data/synthetic/season.ts";
import { create } from "@bufbuild/protobuf";
import {
  DeadLetterSchema,
  GameInfoSchema,
  type PlayFrame,
  PlayFrameSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { PLAYS_STREAM, playsSubject } from "../../proto/subjects.ts";
import { createFaultyLink } from "../../tests/support/faulty-link.ts";
import { startNats, type TestNats } from "../../tests/support/nats.ts";
import { openNats } from "../nats.ts";
import { ensureStreams } from "../streams.ts";
import { PublishConflictError, PublishRefusedError } from "./ordered-publisher.ts";
import { publishReplay, type PublishReplayOptions } from "./publisher.ts";
import { ReplayMismatchError } from "./resume-point.ts";

const SEED = 7;
const GAMES = 6;
const START_TIME_MS = Date.UTC(2024, 9, 22, 23);
/** Two hours of play pass in 40 ms: every frame is due at once, one play each, as fast as the broker answers. */
const FAST = 200_000;

// A broker and thousands of acknowledgements take their time on a loaded machine.
vi.setConfig({ testTimeout: 60_000 });

let server: TestNats;
let nc: NatsConnection;

beforeEach(async () => {
  server = await startNats();
  nc = await openNats(server.url, { name: "replay-test" });
  await ensureStreams(nc);
});

afterEach(async () => {
  await nc.close();
  await server.stop();
});

const season = (games = GAMES, seed = SEED): SourceGame[] => [
  ...syntheticSeason({ seed, games, startTimeMs: START_TIME_MS }),
];

function options(changes: Partial<PublishReplayOptions> = {}): PublishReplayOptions {
  const { signal } = new AbortController();
  const base = { nc, games: season(), speed: "max", clock: systemClock } as const;
  return { ...base, tracing: noTracing, signal, ...changes };
}

interface Stored {
  readonly sequence: number;
  readonly subject: string;
  readonly traceparent: string;
  readonly frame: PlayFrame;
}

async function readStream(): Promise<Stored[]> {
  const manager = await jetstreamManager(nc);
  const { state } = await manager.streams.info(PLAYS_STREAM);
  const stored: Stored[] = [];
  for (let sequence = 1; sequence <= state.last_seq; sequence++) {
    const message = await manager.streams.getMessage(PLAYS_STREAM, { seq: sequence });
    if (message === null) throw new Error(`message ${sequence} is missing`);
    const frame = fromBinary(PlayFrameSchema, message.data);
    const traceparent = message.header.get("traceparent");
    stored.push({ sequence, subject: message.subject, traceparent, frame });
  }
  return stored;
}

/** Each game's plays as the stream holds them, in the stream's order; the info must come before all of them. */
function playsByGame(stored: readonly Stored[]): Map<string, number[]> {
  const numbers = new Map<string, number[]>();
  for (const { subject, frame } of stored) {
    if (frame.gameInfo !== undefined) {
      const { gameId } = frame.gameInfo;
      expect(subject).toBe(playsSubject(keyGroupOf(gameId), gameId));
      expect(numbers.has(gameId)).toBe(false);
      numbers.set(gameId, []);
    }
    for (const { gameId, playNumber } of frame.plays) {
      expect(subject).toBe(playsSubject(keyGroupOf(gameId), gameId));
      numbers.get(gameId)?.push(playNumber);
    }
  }
  return numbers;
}

function expectWholeGames(stored: readonly Stored[], games: readonly SourceGame[]): void {
  const expected = new Map(
    games.map(({ info, plays }) => [info.gameId, plays.map((play) => play.playNumber)]),
  );
  const found = playsByGame(stored);
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [gameId, numbers] of expected) expect(found.get(gameId)).toEqual(numbers);
}

test("at full speed every game arrives once, in order, its info first, packed in large frames", async () => {
  const games = season();
  const summary = await publishReplay(options({ games }));
  const stored = await readStream();
  expectWholeGames(stored, games);
  const plays = games.reduce((sum, game) => sum + game.plays.length, 0);
  expect(summary).toEqual({
    games: games.map(({ info }) => info.gameId),
    finished: games.length,
    rows: plays,
    plays,
    accounts: plays,
    deadLetters: 0,
    frames: stored.length,
    published: plays,
    skipped: 0,
    lastSequence: stored.length,
    interrupted: false,
  });
  expect(plays / stored.length).toBeGreaterThan(50);
  const ingested = stored.flatMap(({ frame }) => frame.plays.map((play) => play.ingestTimeMs));
  expect(ingested.every((timeMs) => Math.abs(Number(timeMs) - Date.now()) < 60_000)).toBe(true);
});

test("a second run publishes nothing and says that all was there", async () => {
  const first = await publishReplay(options());
  const second = await publishReplay(options());
  expect(second).toMatchObject({ frames: 0, published: 0, skipped: first.plays });
  expect(second.lastSequence).toBe(first.lastSequence);
});

test("a replay stopped in the middle goes on where it stopped, also with another packing", async () => {
  const games = season(3);
  const stop = new AbortController();
  const first = await publishReplay(
    options({
      games,
      speed: FAST,
      signal: stop.signal,
      onProgress: ({ published }) => {
        if (published >= 400) stop.abort();
      },
    }),
  );
  expect(first.interrupted).toBe(true);
  expect(first.published).toBeLessThan(1000);
  const second = await publishReplay(options({ games: season(3) }));
  expect(first.published + second.published).toBe(second.plays);
  expect(second.skipped).toBe(first.published);
  expectWholeGames(await readStream(), games);
});

const CARELESS = {
  seed: 3,
  delay: 0.1,
  reorder: 0.1,
  duplicate: 0.1,
  dropResend: 0.05,
  correct: 0.1,
};

test("a replay out of order goes on where it stopped, and stores what one without a stop stores", async () => {
  const games = season(2);
  const stop = new AbortController();
  const onProgress = ({ published }: { published: number }): void => {
    if (published >= 300) stop.abort();
  };
  const told = { games, speed: FAST, disorder: CARELESS };
  const first = await publishReplay(options({ ...told, signal: stop.signal, onProgress }));
  expect(first.interrupted).toBe(true);
  const second = await publishReplay(options(told));
  const stored = await readStream();
  for (const game of games) {
    const accounts = stored.flatMap(({ frame }) =>
      frame.plays.filter(({ gameId }) => gameId === game.info.gameId),
    );
    const name = ({ playNumber, revision }: { playNumber: number; revision: number }): string =>
      `${String(playNumber)}/${String(revision)}`;
    expect(accounts.map(name)).toEqual(disorderly(game, CARELESS).map(({ play }) => name(play)));
  }
  const fresh = games.map((game) => freshAccounts(disorderly(game, CARELESS)));
  expect(second).toMatchObject({
    finished: 2,
    plays: games.reduce((sum, { plays }) => sum + plays.length, 0),
    accounts: (fresh[0] ?? 0) + (fresh[1] ?? 0),
  });
  const other = { ...told, disorder: { ...CARELESS, seed: 4 } };
  await expect(publishReplay(options(other))).rejects.toThrow(ReplayMismatchError);
  await expect(publishReplay(options({ games }))).rejects.toThrow("it was told out of order");
});

test("a broker killed and restarted in the middle loses and doubles nothing", async () => {
  const games = season();
  let kills = 0;
  let restarted: Promise<void> = Promise.resolve();
  const summary = await publishReplay(
    options({
      games,
      speed: FAST,
      onProgress: ({ published }) => {
        if (published < 700 * (kills + 1) || kills === 2) return;
        kills += 1;
        restarted = server.restart();
      },
    }),
  );
  await restarted;
  expect(kills).toBe(2);
  expect(summary.published).toBe(summary.plays);
  expectWholeGames(await readStream(), games);
});

test("lost acknowledgements and lost frames are made good without a double, a gap or a change of order", async () => {
  const link = await createFaultyLink(Number(new URL(server.url).port));
  const behindLink = await openNats(`nats://${link.host}`, { name: "behind a faulty link" });
  const games = season();
  let faults = 0;
  const summary = await publishReplay(
    options({
      nc: behindLink,
      games,
      speed: FAST,
      onProgress: ({ published }) => {
        if (published < 250 * (faults + 1) || faults === 8) return;
        faults += 1;
        if (faults % 2 === 0) link.loseRequests();
        else link.loseAnswers();
        // Long enough for the frames that are under way to be stored, or lost, before the connection breaks.
        setTimeout(() => {
          link.cut();
        }, 100);
      },
    }),
  );
  await behindLink.close();
  await link.close();
  expect(faults).toBe(8);
  expect(summary.published).toBe(summary.plays);
  expectWholeGames(await readStream(), games);
});

test("rows that could not be read are published, on the subject of their game when it is known", async () => {
  const [game] = season(1);
  if (game === undefined) throw new Error("no game");
  const { gameId } = game.info;
  const letter = (line: number, ofGame: string) =>
    create(DeadLetterSchema, {
      reason: "MALFORMED_ROW",
      source: "season.csv",
      line: BigInt(line),
      gameId: ofGame,
      raw: "a,b",
    });
  const lost = {
    info: create(GameInfoSchema, {}),
    plays: [],
    deadLetters: [letter(9, "")],
    rows: 1,
  };
  const games = [{ ...game, deadLetters: [letter(2, gameId), letter(3, "")] }, lost];
  const first = await publishReplay(options({ games }));
  expect(first).toMatchObject({ deadLetters: 3, games: [gameId] });
  const second = await publishReplay(options({ games }));
  expect(second).toMatchObject({ frames: 0, deadLetters: 3 });
  const letters = (await readStream()).flatMap(({ subject, frame }) =>
    frame.deadLetters.map(({ line }) => `${subject} line ${line}`),
  );
  const unknown = playsSubject(keyGroupOf("unknown"), "unknown");
  expect(new Set(letters)).toEqual(
    new Set([
      `${playsSubject(keyGroupOf(gameId), gameId)} line 2`,
      `${unknown} line 3`,
      `${unknown} line 9`,
    ]),
  );
});

test("another season in the same stream is refused before anything is published", async () => {
  await publishReplay(options({ games: season(1) }));
  const other = publishReplay(options({ games: season(1, SEED + 1) }));
  await expect(other).rejects.toBeInstanceOf(ReplayMismatchError);
});

test("two publishers of the same games are told apart instead of mixing their plays", async () => {
  const games = season(2);
  const both = await Promise.allSettled([
    publishReplay(options({ games, speed: FAST })),
    publishReplay(options({ games: season(2) })),
  ]);
  const errors = both.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  for (const error of errors) expect(error).toBeInstanceOf(PublishConflictError);
  await publishReplay(options({ games: season(2) }));
  expectWholeGames(await readStream(), games);
});

test("a full stream ends the replay with advice, and what fitted stays whole", async () => {
  const manager = await jetstreamManager(nc);
  await manager.streams.update(PLAYS_STREAM, { max_bytes: 200_000 });
  const full = publishReplay(options());
  await expect(full).rejects.toBeInstanceOf(PublishRefusedError);
  await expect(full).rejects.toThrow(/the stream is full: raise its max_bytes/);
  for (const numbers of playsByGame(await readStream()).values()) {
    expect(numbers).toEqual(Array.from(numbers, (_, index) => index + 1));
  }
});

test("sampled plays carry the traceparent of their publish span", async () => {
  const started: string[] = [];
  let ended = 0;
  const tracing: Tracing = {
    start: (name, { attributes, parent } = {}) => {
      if (name === "feed.queue") {
        // Part of the trace of the play that was begun last.
        expect(parent).toBe(started.at(-1));
        return { traceparent: "", traceId: "", setAttributes() {}, fail() {}, end() {} };
      }
      expect(name).toBe("play");
      const number = Number(attributes?.["courtside.play_number"]);
      const traceId = String(number).padStart(32, "0");
      const traceparent = `00-${traceId}-00000000000000aa-01`;
      started.push(traceparent);
      return { traceparent, traceId, setAttributes() {}, fail() {}, end: () => void ended++ };
    },
    shutdown: () => Promise.resolve(),
  };
  const games = season(1);
  await publishReplay(options({ games, speed: FAST, tracing, traceRate: 0.25 }));
  const carried = (await readStream()).flatMap(({ traceparent }) => traceparent || []);
  expect(carried).toEqual(started);
  expect(ended).toBe(started.length);
  const share = started.length / (games[0]?.plays.length ?? 1);
  expect(share).toBeGreaterThan(0.15);
  expect(share).toBeLessThan(0.35);
});
