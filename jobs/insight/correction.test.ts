import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { disorderly, type Disorder, inOrder } from "../../data/disorder.ts";
import type { SourceGame } from "../../data/source.ts";
import { syntheticSeason } from "../../data/synthetic/season.ts";
import { Harness } from "../../testing/harness.ts";
import type { InsightRecord } from "../../proto/gen/courtside/v1/job_pb.ts";
import {
  type GameInfo,
  type PlayEvent,
  PlayEventSchema,
  PlayFrameSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { CurrentTables } from "../../tests/support/current-tables.ts";
import { analyse, windowed } from "./graph.ts";
import { deadLetterTag, decodeFrame, type FrameInput } from "./input.ts";

const SEED = Number(process.env["SEED"] ?? 7);
const games = [...syntheticSeason({ seed: 3, games: 2, startTimeMs: 1_700_000_000_000 })];
const [game] = games;
if (game === undefined) throw new Error("the generator gave no game");

/** The job's operators, and the views on what they write. */
class Job {
  readonly tables = new CurrentTables();
  readonly #harness = new Harness<FrameInput>((source, collect) => {
    const { inputs, games: analysed } = analyse(source);
    collect(windowed(analysed));
    collect(inputs.side(deadLetterTag), "refused");
    collect(analysed.side(deadLetterTag), "refused-plays");
  });

  feed(info: GameInfo, plays: readonly PlayEvent[], withInfo = false): InsightRecord[] {
    const frame = create(PlayFrameSchema, {
      plays: [...plays],
      ...(withInfo && { gameInfo: info }),
    });
    this.#harness.record(info.gameId, decodeFrame(toBinary(PlayFrameSchema, frame), "plays"));
    expect(this.#harness.take("refused-plays")).toEqual([]);
    const records = this.#harness.take<InsightRecord>();
    for (const record of records) this.tables.take(record);
    return records;
  }
}

function clean(from: SourceGame, plays: readonly PlayEvent[] = from.plays): string[] {
  const job = new Job();
  job.feed(from.info, plays, true);
  return job.tables.lines();
}

function revised(play: PlayEvent | undefined, changes: Partial<PlayEvent>): PlayEvent {
  if (play === undefined) throw new Error("no such play");
  return create(PlayEventSchema, { ...play, revision: 2, ...changes });
}

const made = game.plays.find((play) => play.shotMade && play.shotValue === 2);
if (made === undefined) throw new Error("no made shot");

test("a correction gives what the corrected game gives from the start, and tells only what differs", () => {
  const three = revised(made, { shotValue: 3 });
  const job = new Job();
  job.feed(game.info, game.plays.slice(0, 300), true);
  const records = job.feed(game.info, [three]);
  const corrected = game.plays.map((play) => (play === made ? three : play));
  expect(job.tables.lines()).toEqual(clean(game, corrected.slice(0, 300)));
  const told = records.flatMap(({ body }) => (body.case === "play" ? [body.value] : []));
  expect(told[0]?.play).toEqual(three);
  expect(told.every(({ corrects, edition }) => corrects && edition === 1)).toBe(true);
  // Nothing before it is told again.
  expect(Math.min(...told.map(({ play }) => play?.playNumber ?? 0))).toBe(made.playNumber);
  job.feed(game.info, game.plays.slice(300));
  expect(job.tables.lines()).toEqual(clean(game, corrected));
});

test("an edit of a text tells of one play", () => {
  const job = new Job();
  job.feed(game.info, game.plays, true);
  const records = job.feed(game.info, [revised(made, { description: "mended" })]);
  expect(records.map(({ body }) => body.case)).toEqual(["play", "mark"]);
});

test("a play that is taken back is gone, from every table, and can be given again", () => {
  const job = new Job();
  job.feed(game.info, game.plays, true);
  job.feed(game.info, [revised(made, { retracted: true })]);
  const without = game.plays.filter((play) => play !== made);
  expect(job.tables.lines()).toEqual(clean(game, without));
  job.feed(game.info, [revised(made, { revision: 3 })]);
  expect(job.tables.lines()).toEqual(clean(game));
});

test("the newest play is taken back while the game goes on", () => {
  const job = new Job();
  job.feed(game.info, game.plays.slice(0, 200), true);
  const records = job.feed(game.info, [revised(game.plays[199], { retracted: true })]);
  expect(job.tables.lines()).toEqual(clean(game, game.plays.slice(0, 199)));
  const heads = records.flatMap(({ body }) => (body.case === "play" ? [body.value] : []));
  // The page is told where the game stands now.
  expect(heads.at(-1)?.play?.playNumber).toBe(199);
  job.feed(game.info, game.plays.slice(200));
  const without = game.plays.filter((play) => play !== game.plays[199]);
  expect(job.tables.lines()).toEqual(clean(game, without));
});

test("a play put in between moves all numbers behind it, also over the end of the game", () => {
  const { plays, info } = game;
  const job = new Job();
  const shifted = [...plays.slice(0, 250), ...plays.slice(251)].map((play, i, all) =>
    create(PlayEventSchema, {
      ...play,
      playNumber: i + 1,
      gameOver: i + 1 === all.length,
    }),
  );
  job.feed(info, shifted, true);
  const moved = plays.slice(250);
  const accounts = moved.map((play) =>
    revised(play, { revision: play.playNumber === plays.length ? 1 : 2 }),
  );
  job.feed(info, accounts);
  expect(job.tables.lines()).toEqual(clean(game));
  // And the other way about: the play goes again, and with it the last number.
  const back = [...shifted.slice(250), plays.at(-1)].map((play, i, all) =>
    revised(play, { revision: 3, retracted: i + 1 === all.length }),
  );
  job.feed(info, back);
  expect(job.tables.lines()).toEqual(clean(game, shifted));
});

test("information that comes behind plays counts from tip-off on", () => {
  const job = new Job();
  job.feed(game.info, game.plays.slice(0, 100));
  job.feed(game.info, [], true);
  job.feed(game.info, game.plays.slice(100));
  expect(job.tables.lines()).toEqual(clean(game));
});

test("an older account and a repeated one change nothing", () => {
  const job = new Job();
  job.feed(game.info, game.plays, true);
  const mended = revised(made, { shotValue: 3, revision: 4 });
  job.feed(game.info, [mended]);
  expect(job.feed(game.info, [mended])).toEqual([]);
  expect(job.feed(game.info, [revised(made, { revision: 3 })])).toEqual([]);
  expect(job.feed(game.info, game.plays, true)).toEqual([]);
});

test("of two accounts in one message both are kept, and the newer one counts", () => {
  const job = new Job();
  job.feed(game.info, game.plays, true);
  const records = job.feed(game.info, [
    revised(made, { retracted: true }),
    revised(made, { revision: 3 }),
  ]);
  const revisions = records.flatMap(({ body }) =>
    body.case === "play" && !body.value.isDerived ? [body.value.play?.revision] : [],
  );
  expect(revisions).toEqual([2, 3]);
  expect(job.tables.lines()).toEqual(clean(game));
});

test.each([1, 7, 250])(
  "plays that come in any order, %i to a frame, give what they give in order",
  (size) => {
    const disorder: Disorder = {
      seed: SEED,
      delay: 0.05,
      reorder: 0.05,
      duplicate: 0.05,
      dropResend: 0.02,
      correct: 0.05,
    };
    const job = new Job();
    const arrivals = disorderly(game, disorder).map(({ play }) => play);
    for (let at = 0; at < arrivals.length; at += size)
      job.feed(game.info, arrivals.slice(at, at + size), at === 0);
    expect(job.tables.lines(), `SEED=${String(SEED)}`).toEqual(clean(game));
  },
);

test("a clean game in order has nothing corrected", () => {
  const job = new Job();
  for (const { play } of inOrder(game)) job.feed(game.info, [play], play.playNumber === 1);
  expect(job.tables.lines()).toEqual(clean(game));
});
