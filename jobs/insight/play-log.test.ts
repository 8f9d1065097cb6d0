import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { seededRandom } from "../../base/random.ts";
import { GameLogSchema } from "../../proto/gen/courtside/v1/job_pb.ts";
import { type PlayEvent, PlayEventSchema } from "../../proto/gen/courtside/v1/play_pb.ts";
import {
  compact,
  createLog,
  currentPlays,
  knownPlays,
  lastNumberOf,
  remember,
  revisionOf,
} from "./play-log.ts";

const SEED = Number(process.env["SEED"] ?? 1);

function play(playNumber: number, revision: number, retracted = false): PlayEvent {
  const description = `${String(playNumber)} as of ${String(revision)}`;
  return create(PlayEventSchema, { playNumber, revision, retracted, description });
}

test("numbers, revisions and plays are those of a plain map, in whatever order accounts come", () => {
  for (let seed = SEED; seed < SEED + 30; seed += 1) {
    const random = seededRandom(seed);
    let log = createLog();
    const model = new Map<number, PlayEvent>();
    for (let step = 0; step < 400; step += 1) {
      const playNumber = 1 + random.int(200);
      const revision = (model.get(playNumber)?.revision ?? 0) + 1 + random.int(2);
      const account = play(playNumber, revision, random.next() < 0.2);
      model.set(playNumber, account);
      remember(log, { play: account, bytes: toBinary(PlayEventSchema, account) });
      if (random.next() < 0.1) compact(log);
      // As over a checkpoint.
      if (random.next() < 0.05) log = fromBinary(GameLogSchema, toBinary(GameLogSchema, log));
    }
    const note = `SEED=${String(seed)}`;
    for (let number = 0; number <= 202; number += 1)
      expect(revisionOf(log, number), note).toBe(model.get(number)?.revision ?? 0);
    expect(knownPlays(log), note).toBe(model.size);
    expect(lastNumberOf(log), note).toBe(Math.max(...model.keys()));
    const after = random.int(150);
    const expected = [...model.values()]
      .filter(({ playNumber, retracted }) => playNumber > after && !retracted)
      .sort((a, b) => a.playNumber - b.playNumber);
    expect(currentPlays(log, after), note).toEqual(expected);
  }
});

test("a play that is corrected for ever leaves a log of the game's size", () => {
  const log = createLog();
  for (let number = 1; number <= 100; number += 1)
    remember(log, { play: play(number, 1), bytes: undefined });
  for (let revision = 2; revision < 3000; revision += 1) {
    remember(log, { play: play(50, revision), bytes: undefined });
    compact(log);
  }
  expect(log.accounts).toBeLessThanOrEqual(2 * 100 + 256);
  expect(toBinary(GameLogSchema, log).length).toBeLessThan(20_000);
  expect(currentPlays(log, 49)[0]?.revision).toBe(2999);
});
