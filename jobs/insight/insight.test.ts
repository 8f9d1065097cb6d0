import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { silentLog } from "../../base/log.ts";
import { seededRandom } from "../../base/random.ts";
import { noTracing } from "../../base/tracing.ts";
import { disorderly } from "../../data/disorder.ts";
import { syntheticSeason } from "../../data/synthetic/season.ts";
import type { SourceGame } from "../../data/source.ts";
import { directoryStore } from "../../connectors/directory-store.ts";
import { MemorySource } from "../../connectors/memory-source.ts";
import {
  type ImmediateSink,
  type SourceRecord,
  Task,
  type TransactionalSink,
} from "../../operators/mod.ts";
import { type Step, survivesRestart } from "../../testing/survives-restart.ts";
import { type Insight, PredictionSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import type { InsightRecord } from "../../proto/gen/courtside/v1/job_pb.ts";
import {
  type DeadLetter,
  type PlayEvent,
  PlayEventSchema,
  PlayFrameSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { Harness } from "../../testing/harness.ts";
import { analyse, insightGraph, windowed } from "./graph.ts";
import { deadLetterTag, type FrameInput } from "./input.ts";
import { encodeInsight } from "./insights.ts";
import type { Predictor } from "./predict.ts";
import { deadLetterRow, insightRows } from "./rows.ts";

const games = [...syntheticSeason({ seed: 11, games: 3, startTimeMs: 1_700_000_000_000 })];
const [game] = games;
if (game === undefined) throw new Error("the generator gave no game");

function frameOf({ info }: SourceGame, plays: readonly PlayEvent[], withInfo = false): FrameInput {
  const frame = create(PlayFrameSchema, {
    plays: [...plays],
    ...(withInfo ? { gameInfo: info } : {}),
  });
  return { kind: "frame", frame };
}

const steps = (from: SourceGame): Step<FrameInput>[] =>
  from.plays.map((play, i) => ({
    kind: "record",
    key: from.info.gameId,
    value: frameOf(from, [play], i === 0),
  }));

test("game state, player load, features and windows survive a restart after every play", () => {
  survivesRestart<FrameInput>((source, collect) => {
    const { inputs, games: analysed } = analyse(source);
    collect(windowed(analysed));
    collect(inputs.side(deadLetterTag), "unreadable");
    collect(analysed.side(deadLetterTag), "refused");
  }, steps(game));
});

function harness(): Harness<FrameInput> {
  return new Harness<FrameInput>((source, collect) => {
    const { inputs, games: analysed } = analyse(source);
    collect(analysed);
    collect(inputs.side(deadLetterTag), "unreadable");
    collect(analysed.side(deadLetterTag), "refused");
  });
}

test("every play gives one analysed play, and the last one the result", () => {
  const h = harness();
  h.record(game.info.gameId, frameOf(game, game.plays, true));
  const [info, ...plays] = h.take<InsightRecord>().filter(({ body }) => body.case !== "mark");
  expect(info?.body.case).toBe("gameInfo");
  expect(plays).toHaveLength(game.plays.length);
  const last = plays.at(-1)?.body;
  const official = game.plays.at(-1);
  expect(last?.case === "play" ? last.value.result : undefined).toMatchObject({
    homeScore: official?.homeScore,
    awayScore: official?.awayScore,
    plays: game.plays.length,
  });
});

test("plays and information that come again change nothing", () => {
  const h = harness();
  h.record(game.info.gameId, frameOf(game, game.plays.slice(0, 10), true));
  expect(h.take()).toHaveLength(11);
  h.record(game.info.gameId, frameOf(game, game.plays.slice(3, 10), true));
  expect(h.take()).toEqual([]);
  h.record(game.info.gameId, frameOf(game, game.plays.slice(10)));
  h.take();
  h.record(game.info.gameId, frameOf(game, game.plays, true));
  expect(h.take()).toEqual([]);
  expect(h.take("refused")).toEqual([]);
});

test("corrections, stragglers and repetitions survive a restart after every one of them", () => {
  const short = { ...game, plays: game.plays.slice(0, 90) };
  const disorder = {
    seed: 5,
    delay: 0.1,
    reorder: 0.1,
    duplicate: 0.1,
    dropResend: 0.05,
    correct: 0.2,
  };
  survivesRestart<FrameInput>(
    (source, collect) => {
      const { inputs, games: analysed } = analyse(source);
      collect(windowed(analysed));
      collect(inputs.side(deadLetterTag), "unreadable");
      collect(analysed.side(deadLetterTag), "refused");
    },
    disorderly(short, disorder).map(({ play }, i) => ({
      kind: "record",
      key: short.info.gameId,
      value: frameOf(short, [play], i === 0),
    })),
  );
});

test("what cannot be a play of the game is a dead letter that says why", () => {
  const h = harness();
  const nameless = create(PlayEventSchema, { ...game.plays[0], playNumber: 0 } as PlayEvent);
  h.record(game.info.gameId, frameOf(game, [nameless]));
  expect(h.take<DeadLetter>("refused")).toMatchObject([
    { reason: "BAD_PLAY_NUMBER", gameId: game.info.gameId },
  ]);
});

test("a key group keeps its last four finished games open for corrections and closes the others", () => {
  const h = harness();
  const [first] = game.plays;
  const ids = sameGroup(game.info.gameId, 5);
  const whole = (gameId: string): FrameInput => {
    const last = { ...first, gameId, playNumber: 1, gameOver: true } as PlayEvent;
    return frameOf(game, [create(PlayEventSchema, last)]);
  };
  for (const gameId of ids) h.record(gameId, whole(gameId));
  const marks = h
    .take<InsightRecord>()
    .flatMap(({ gameId, body }) => (body.case === "mark" && body.value.closed ? [gameId] : []));
  expect(marks).toEqual([ids[0]]);
  for (const gameId of ids) {
    const mended = { ...first, gameId, playNumber: 1, gameOver: true, revision: 2 } as PlayEvent;
    h.record(gameId, whole(gameId));
    h.record(gameId, frameOf(game, [create(PlayEventSchema, mended)]));
  }
  expect(h.take<DeadLetter>("refused")).toMatchObject([{ reason: "GAME_CLOSED", gameId: ids[0] }]);
});

/** Game ids of one key group. */
function sameGroup(gameId: string, count: number): string[] {
  const ids = [gameId];
  for (let i = 0; ids.length < count; i += 1)
    if (keyGroupOf(`G${String(i)}`) === keyGroupOf(gameId)) ids.push(`G${String(i)}`);
  return ids;
}

/** Says what it is asked in a way that depends on every feature, so that a wrong vector shows. */
const predictor: Predictor = {
  predictBatch: (requests) =>
    Promise.resolve(
      requests.map(({ input }) => {
        const values = input.case === "features" ? input.value.values : [];
        const sum = values.reduce((total, value, i) => total + value * (i + 1), 0);
        return create(PredictionSchema, { homeWinProb: 1 / (1 + Math.exp(-sum / 1000)) });
      }),
    ),
};

/** What the store and the broker hold, over all runs. */
class World {
  readonly rows: string[] = [];
  /** By position, what was published there. */
  readonly insights: { readonly id: string; readonly data: string }[] = [];
  readonly #tokens = new Set<string>();
  readonly #ids = new Set<string>();
  /** Things that may still happen before the next crash. */
  untilCrash = Number.POSITIVE_INFINITY;

  #event(): void {
    this.untilCrash -= 1;
    if (this.untilCrash === 0) throw new Error("crash");
  }

  records(): TransactionalSink<InsightRecord> {
    return this.#table("records", (record, put) => insightRows(record, put));
  }

  deadLetters(): TransactionalSink<DeadLetter> {
    return this.#table("dead-letters", (letter, put) => put("dead_letters", deadLetterRow(letter)));
  }

  stream(): ImmediateSink<Insight> {
    return {
      mode: "immediate",
      uid: "insights",
      open: () => Promise.resolve(),
      write: (insight, { keyGroup, inputSequence, index }) => {
        this.#event();
        const id = `${String(keyGroup)}/${String(inputSequence)}/${String(index)}`;
        const { data } = encodeInsight(insight, { keyGroup, inputSequence, index }, 1);
        if (!this.#ids.has(id)) this.insights.push({ id, data: Buffer.from(data).toString("hex") });
        this.#ids.add(id);
      },
      blocked: () => undefined,
      flush: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  }

  #table<T>(
    uid: string,
    rows: (value: T, put: (table: string, row: object) => void) => void,
  ): TransactionalSink<T> {
    let open: string[] = [];
    return {
      mode: "transactional",
      uid,
      open: () => Promise.resolve(),
      write: (value) => rows(value, (table, row) => void open.push(JSON.stringify([table, row]))),
      full: () => false,
      seal: (checkpointId) => {
        const bytes = Buffer.from(open.join("\n"));
        const block = { table: uid, token: String(checkpointId), rows: open.length, bytes };
        open = [];
        return block.rows === 0 ? [] : [block];
      },
      commit: (blocks) => {
        for (const { token, bytes } of blocks) {
          this.#event();
          if (!this.#tokens.has(uid + token)) this.rows.push(...bytes.toString().split("\n"));
          this.#tokens.add(uid + token);
          this.#event();
        }
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
  }
}

/** All games, interleaved play by play, as messages. */
function* messages(): Iterable<SourceRecord<FrameInput>> {
  let sequence = 0;
  for (let i = 0; i < 700; i += 1)
    for (const each of games) {
      const play = each.plays[i];
      if (play === undefined) continue;
      sequence += 1;
      const keyGroup = keyGroupOf(each.info.gameId);
      yield { value: frameOf(each, [play], i === 0), keyGroup, sequence, traceparent: "" };
    }
}

async function runTask(world: World, directory: string): Promise<void> {
  await new Task<FrameInput>({
    graph: insightGraph({
      predictor,
      clock: { nowMs: () => 0 },
      log: silentLog,
      insights: world.stream(),
      records: world.records(),
      deadLetters: world.deadLetters(),
    }),
    source: new MemorySource(messages()),
    store: directoryStore(directory, "insight", silentLog),
    clock: systemClock,
    tracing: noTracing,
    log: silentLog,
    checkpointIntervalMs: 5,
  }).run(new AbortController().signal);
}

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "courtside-insight-"));
  await use(directory);
  await rm(directory, { recursive: true });
}

test("a job that crashes again and again ends with the rows and insights of an undisturbed one", async () => {
  const seed = Number(process.env["SEED"] ?? 42);
  const random = seededRandom(seed);
  const calm = new World();
  await withDirectory(async (directory) => runTask(calm, directory));
  const stormy = new World();
  let crashes = 0;
  await withDirectory(async (directory) => {
    for (let done = false; !done;) {
      stormy.untilCrash = crashes < 12 ? 1 + random.int(1500) : Number.POSITIVE_INFINITY;
      done = await runTask(stormy, directory).then(
        () => true,
        (error: unknown) => {
          expect(String(error)).toMatch(/crash$/);
          return false;
        },
      );
      if (!done) crashes += 1;
    }
  });
  expect(crashes, `seed ${String(seed)}`).toBeGreaterThan(0);
  expect(stormy.rows.toSorted()).toEqual(calm.rows.toSorted());
  const byId = (world: World): string[] =>
    world.insights.map(({ id, data }) => `${id} ${data}`).toSorted();
  expect(byId(stormy)).toEqual(byId(calm));
}, 60_000);
