import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type Disorder, disorderly } from "../../data/disorder.ts";
import { replaySchedule } from "../../data/replay.ts";
import type { SourceGame } from "../../data/source.ts";
import { syntheticSeason } from "../../data/synthetic/season.ts";
import { Harness } from "../../testing/harness.ts";
import type { InsightRecord } from "../../proto/gen/courtside/v1/job_pb.ts";
import {
  type PlayEvent,
  PlayEventSchema,
  PlayFrameSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { CurrentTables } from "../../tests/support/current-tables.ts";
import { analyse, windowed } from "./graph.ts";
import { decodeFrame, type FrameInput } from "./input.ts";

const GAMES = 50;
const SEEDS = 20;
const FIRST_SEED = Number(process.env["SEED"] ?? 1);

/**
 * Plays of each game: its beginning and its end. Fifty whole games under twenty seeds take minutes; what can
 * go wrong at a distance is in the tests of whole games beside this one.
 */
const HEAD_PLAYS = 40;
const TAIL_PLAYS = 12;

function shortened({ info, plays, deadLetters }: SourceGame): SourceGame {
  const kept = [...plays.slice(0, HEAD_PLAYS), ...plays.slice(-TAIL_PLAYS)];
  for (const [i, play] of kept.entries()) play.playNumber = i + 1;
  return { info, plays: kept, deadLetters, rows: kept.length };
}

const games = Array.from(
  syntheticSeason({ seed: 8, games: GAMES, startTimeMs: 1_700_000_000_000 }),
  shortened,
);

/** All games side by side through the job's own operators, as the replay sends them. */
async function tablesOf(disorder?: Disorder): Promise<CurrentTables> {
  const tables = new CurrentTables();
  const harness = new Harness<FrameInput>((source, collect) => {
    const { games: analysed } = analyse(source);
    collect(windowed(analysed));
  });
  const options = { speed: 1, concurrent: GAMES, ...(disorder && { disorder }) };
  for await (const { gameId, frame } of replaySchedule(games, options)) {
    harness.record(gameId, decodeFrame(toBinary(PlayFrameSchema, frame), "plays"));
    for (const record of harness.take<InsightRecord>()) tables.take(record);
  }
  return tables;
}

test(`${String(GAMES)} games end the same under ${String(SEEDS)} seeds of disorder`, async () => {
  const clean = await tablesOf();
  const lines = clean.lines();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
    const disorder = {
      seed,
      delay: 0.05,
      reorder: 0.05,
      duplicate: 0.05,
      dropResend: 0.02,
      correct: 0.05,
    };
    const tables = await tablesOf(disorder);
    expect(tables.lines(), `SEED=${String(seed)}`).toEqual(lines);
    // It was no clean run: what was told in between is still there.
    expect(tables.written).toBeGreaterThan(clean.written * 1.05);
  }
}, 300_000);

test("the same seed gives the same arrivals, another one others, and every play arrives", () => {
  const [game] = games;
  if (game === undefined) throw new Error("no game");
  const knobs = { delay: 0.2, reorder: 0.2, duplicate: 0.2, dropResend: 0.1, correct: 0.3 };
  const told = (seed: number): string[] =>
    disorderly(game, { seed, ...knobs }).map(
      ({ play, atMs }) => `${String(play.playNumber)}/${String(play.revision)} ${String(atMs)}`,
    );
  expect(told(1)).toEqual(told(1));
  expect(told(1)).not.toEqual(told(2));
  const latest = new Map<number, PlayEvent>();
  for (const { play } of disorderly(game, { seed: 3, ...knobs }))
    if (play.revision > (latest.get(play.playNumber)?.revision ?? 0))
      latest.set(play.playNumber, play);
  const ended = [...latest.values()].sort((a, b) => a.playNumber - b.playNumber);
  expect(ended.map((play) => create(PlayEventSchema, { ...play, revision: 1 }))).toEqual(
    game.plays,
  );
});
