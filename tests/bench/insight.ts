/**
 * Plays a second through the whole insight job, in process: `node tests/bench/insight.ts`. Against a bare
 * consumer that only decodes the same messages, in the same run, so that a busy machine slows both. The model
 * answers at once and the sinks encode and forget: what is measured is the job.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { systemClock } from "../../base/clock.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { silentLog } from "../../base/log.ts";
import { noTracing } from "../../base/tracing.ts";
import { syntheticSeason } from "../../data/synthetic/season.ts";
import { insightGraph } from "../../jobs/insight/graph.ts";
import { decodeFrame, type FrameInput } from "../../jobs/insight/input.ts";
import { encodeInsight } from "../../jobs/insight/insights.ts";
import { deadLetterRow, insightRows } from "../../jobs/insight/rows.ts";
import { MemorySource } from "../../connectors/memory-source.ts";
import { MemoryStore, Task, type TransactionalSink } from "../../operators/mod.ts";
import { PredictionSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { PlayFrameSchema } from "../../proto/gen/courtside/v1/play_pb.ts";

const GAMES = 60;
const ROUNDS = 5;

interface Message {
  readonly keyGroup: number;
  readonly bytes: Uint8Array;
}

const games = [...syntheticSeason({ seed: 1, games: GAMES, startTimeMs: 1_700_000_000_000 })];
const plays = games.reduce((sum, game) => sum + game.plays.length, 0);
/** One play a message, as when live; and a whole game a message, as in a back-fill. */
const shapes: Readonly<Record<string, Message[]>> = {
  one_play_a_message: games.flatMap(({ info, plays: each }) =>
    each.map((play, i) =>
      message(info.gameId, { plays: [play], ...(i === 0 && { gameInfo: info }) }),
    ),
  ),
  one_game_a_message: games.map(({ info, plays: each }) =>
    message(info.gameId, { plays: each, gameInfo: info }),
  ),
};

const report: Record<string, number> = { plays };
for (const [shape, messages] of Object.entries(shapes)) {
  const bare: number[] = [];
  const whole: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const bareMs = await timeMs(async () => decodeOnly(messages));
    const wholeMs = await timeMs(async () => runJob(messages));
    // The first round warms the compiler up.
    if (round === 0) continue;
    bare.push((plays / bareMs) * 1000);
    whole.push((plays / wholeMs) * 1000);
  }
  report[`${shape}_decode_only_plays_per_s`] = Math.round(median(bare));
  report[`${shape}_insight_job_plays_per_s`] = Math.round(median(whole));
  report[`${shape}_ratio`] = Math.round((1000 * median(whole)) / median(bare)) / 1000;
}
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);

function message(
  gameId: string,
  frame: Parameters<typeof create<typeof PlayFrameSchema>>[1],
): Message {
  const bytes = toBinary(PlayFrameSchema, create(PlayFrameSchema, frame));
  return { keyGroup: keyGroupOf(gameId), bytes };
}

function decodeOnly(messages: readonly Message[]): Promise<void> {
  for (const { bytes } of messages) fromBinary(PlayFrameSchema, bytes);
  return Promise.resolve();
}

async function runJob(messages: readonly Message[]): Promise<void> {
  const records = messages.values().map(({ keyGroup, bytes }, i) => ({
    value: decodeFrame(bytes, "plays"),
    keyGroup,
    sequence: i + 1,
    traceparent: "",
  }));
  await new Task<FrameInput>({
    graph: insightGraph({
      predictor: {
        predictBatch: (requests) =>
          Promise.resolve(requests.map(() => create(PredictionSchema, { homeWinProb: 0.5 }))),
      },
      clock: systemClock,
      log: silentLog,
      insights: {
        mode: "immediate",
        uid: "insights",
        open: () => Promise.resolve(),
        write: (insight, position) => void encodeInsight(insight, position, 1),
        blocked: () => undefined,
        flush: () => Promise.resolve(),
        close: () => Promise.resolve(),
      },
      records: encoder("records", insightRows),
      deadLetters: encoder("dead-letters", (letter, put) => put("dead", deadLetterRow(letter))),
    }),
    source: new MemorySource(records),
    store: new MemoryStore(),
    clock: systemClock,
    tracing: noTracing,
    log: silentLog,
    checkpointIntervalMs: 1000,
  }).run(new AbortController().signal);
}

function encoder<T>(
  uid: string,
  rows: (value: T, put: (table: string, row: object) => void) => void,
): TransactionalSink<T> {
  let bytes = 0;
  return {
    mode: "transactional",
    uid,
    open: () => Promise.resolve(),
    write: (value) => rows(value, (_table, row) => (bytes += JSON.stringify(row).length)),
    full: () => false,
    seal: () => [],
    commit: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

async function timeMs(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
