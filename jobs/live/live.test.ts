import { gunzipSync } from "node:zlib";
import { readFileSync } from "node:fs";
import { fromBinary, toBinary, create } from "@bufbuild/protobuf";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { silentLog } from "../../base/log.ts";
import { noMetrics } from "../../base/metrics.ts";
import { seededRandom } from "../../base/random.ts";
import { noTracing } from "../../base/tracing.ts";
import { Evening } from "../../data/live-server/evening.ts";
import { type FeedServer, serveFeed } from "../../data/live-server/server.ts";
import { readCdnGame } from "../../data/readers/cdn-live.ts";
import { type Json, member, parseJson } from "../../data/readers/json-cells.ts";
import { NO_REFERENCE } from "../../data/readers/reference.ts";
import type { SourceGame } from "../../data/source.ts";
import { createLedger } from "../../data/strength/ledger.ts";
import { CDN_GAMES_FILE, cdnGamesMissing } from "../../features/testing/cdn-games.ts";
import type { InsightRecord } from "../../proto/gen/courtside/v1/job_pb.ts";
import { Feed, type PlayFrame, PlayFrameSchema } from "../../proto/gen/courtside/v1/play_pb.ts";
import { PLAYS_STREAM } from "../../proto/subjects.ts";
import { Harness } from "../../testing/harness.ts";
import { CurrentTables } from "../../tests/support/current-tables.ts";
import { startNats, type TestNats } from "../../tests/support/nats.ts";
import { analyse, windowed } from "../insight/graph.ts";
import { decodeFrame, type FrameInput } from "../insight/input.ts";
import { openNats } from "../nats.ts";
import { ensureStreams } from "../streams.ts";
import { type LiveOptions, runLive, type StaleAlarm } from "./run-live.ts";

const SEED = Number(process.env["SEED"] ?? 1);
const POSTPONED = "0022409999";

// A broker, a feed and hundreds of documents take their time on a loaded machine.
vi.setConfig({ testTimeout: 120_000 });

let broker: TestNats;
let nats: NatsConnection;
let feed: FeedServer | undefined;

beforeEach(async () => {
  broker = await startNats();
  nats = await openNats(broker.url, { name: "live-test" });
  await ensureStreams(nats);
});

afterEach(async () => {
  await feed?.close();
  feed = undefined;
  await nats.close();
  await broker.stop();
});

/** Games of one day, and one of the day before, whose result says nothing to them any more. */
function recordedLines(count: number): Json[] {
  const lines = gunzipSync(readFileSync(CDN_GAMES_FILE)).toString().split("\n");
  const chosen = [...lines.slice(12, 23), ...lines.slice(11, 12)].slice(0, count);
  return chosen.map((line) => parseJson(line));
}

async function serve(
  lines: readonly Json[],
  { speed, errors, stalls }: { speed: number; errors: number; stalls: boolean },
): Promise<FeedServer> {
  const evening = new Evening(lines, {
    date: "2025-02-05",
    seed: SEED,
    edits: 0.5,
    postponed: [POSTPONED],
    stalls,
  });
  feed = await serveFeed({ evening, speed, errors, seed: SEED, port: 0, host: "127.0.0.1" });
  return feed;
}

function options({ url }: FeedServer, changes: Partial<LiveOptions> = {}): LiveOptions {
  return {
    nats,
    feedUrl: url,
    date: "2025-02-05",
    games: undefined,
    reference: NO_REFERENCE,
    rhythm: { pollMs: 250, staleMs: 60_000, settleMs: 700 },
    requestsPerS: 200,
    timeoutMs: 500,
    untilDone: true,
    clock: systemClock,
    random: seededRandom(SEED),
    tracing: noTracing,
    metrics: noMetrics,
    log: silentLog,
    onAlarm: () => {},
    ...changes,
  };
}

async function storedFrames(): Promise<{ gameId: string; data: Uint8Array; frame: PlayFrame }[]> {
  const manager = await jetstreamManager(nats);
  const { state } = await manager.streams.info(PLAYS_STREAM);
  const frames = [];
  for (let seq = 1; seq <= state.last_seq; seq += 1) {
    const message = await manager.streams.getMessage(PLAYS_STREAM, { seq });
    if (message === null) throw new Error(`message ${String(seq)} is missing`);
    const gameId = message.subject.split(".")[2] ?? "";
    const frame = fromBinary(PlayFrameSchema, message.data);
    frames.push({ gameId, data: message.data, frame });
  }
  return frames;
}

function tablesOf(messages: Iterable<{ gameId: string; data: Uint8Array }>): string[] {
  const tables = new CurrentTables();
  const harness = new Harness<FrameInput>((source, collect) => {
    collect(windowed(analyse(source).games));
  });
  for (const { gameId, data } of messages) {
    harness.record(gameId, decodeFrame(data, `plays.${String(keyGroupOf(gameId))}.${gameId}`));
    for (const record of harness.take<InsightRecord>()) tables.take(record);
  }
  return tables.lines();
}

function replayed(lines: readonly Json[]): { gameId: string; data: Uint8Array }[] {
  return lines.map((line) => {
    const game: SourceGame = readCdnGame(
      { playByPlay: member(line, "playbyplay"), boxScore: member(line, "boxscore"), line: 1 },
      { file: "recorded", feed: Feed.CDN_LIVE, reference: NO_REFERENCE },
      [],
    );
    const { info: gameInfo, plays, deadLetters } = game;
    createLedger().prepare(gameInfo);
    const frame = create(PlayFrameSchema, { gameInfo, plays, deadLetters });
    return { gameId: gameInfo.gameId, data: toBinary(PlayFrameSchema, frame) };
  });
}

test.skipIf(cdnGamesMissing !== undefined)(
  "an evening of twelve games with errors, edits and stalls, stopped in the middle, ends as its replay does",
  async () => {
    const lines = recordedLines(12);
    const server = await serve(lines, { speed: 5000, errors: 0.08, stalls: true });
    const stop = new AbortController();
    const first = await runLive(
      options(server, {
        onProgress: ({ accounts }) => {
          if (accounts > 2500) stop.abort();
        },
      }),
      stop.signal,
    );
    expect(first.interrupted).toBe(true);
    const second = await runLive(options(server), new AbortController().signal);
    expect(second).toMatchObject({ finished: 12, postponed: [POSTPONED], deadLetters: 0 });
    for (const outcome of ["fresh", "unchanged", "403", "429", "500", "503", "truncated", "reset"])
      expect(server.counts.get(outcome), `${outcome}, SEED=${String(SEED)}`).toBeGreaterThan(0);

    const frames = await storedFrames();
    const known = new Map<string, number>();
    for (const { gameId, frame } of frames)
      for (const { playNumber, revision } of frame.plays) {
        const id = `${gameId}/${String(playNumber)}`;
        // Nothing twice, and every correction the next revision.
        expect(revision, id).toBe((known.get(id) ?? 0) + 1);
        known.set(id, revision);
      }
    expect([...known.values()].filter((revision) => revision > 1).length).toBeGreaterThan(100);
    expect(tablesOf(frames)).toEqual(tablesOf(replayed(lines)));
  },
);

test.skipIf(cdnGamesMissing !== undefined)(
  "a feed that falls silent in the middle of a game raises the alarm once, and takes it back",
  async () => {
    const server = await serve(recordedLines(1), { speed: 600, errors: 0, stalls: true });
    const alarms: StaleAlarm[] = [];
    const stop = new AbortController();
    const onAlarm = (alarm: StaleAlarm): void => {
      alarms.push(alarm);
      if (!alarm.isStale) stop.abort();
    };
    // Seven minutes of silence are 0.7 s at this speed; a break of the game itself is shorter than seven times 0.4 s.
    const rhythm = { pollMs: 40, staleMs: 400, settleMs: 0 };
    await runLive(options(server, { rhythm, onAlarm }), stop.signal);
    expect(alarms.map(({ gameId, isStale }) => [gameId, isStale])).toEqual([
      ["0022400717", true],
      ["0022400717", false],
    ]);
  },
);
