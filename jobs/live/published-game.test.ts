import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { SourceGame } from "../../data/source.ts";
import { syntheticSeason } from "../../data/synthetic/season.ts";
import {
  DeadLetterSchema,
  type PlayEvent,
  PlayEventSchema,
  type PlayFrame,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import type { OrderedPublisher } from "../replay/ordered-publisher.ts";
import { PublishedGame } from "./published-game.ts";

const [season] = syntheticSeason({ seed: 2, games: 1, startTimeMs: 1_700_000_000_000 });
if (season === undefined) throw new Error("the generator gave no game");
const game = season;

function told(plays: readonly PlayEvent[], changes: Partial<SourceGame> = {}): SourceGame {
  const numbered = plays.map((play, i) =>
    create(PlayEventSchema, { ...play, playNumber: i + 1, gameOver: false }),
  );
  return { ...game, plays: numbered, ...changes };
}

/** Stores what is missing, as the broker would. */
async function bring(published: PublishedGame, source: SourceGame): Promise<string[]> {
  const names: string[] = [];
  for (const frame of published.missing(source)) {
    const publisher = {
      publish: (_subject: string, after: number) => Promise.resolve(after + 1),
    } as unknown as OrderedPublisher;
    await published.publish(publisher, frame, { ingestTimeMs: 5, traceparent: "" });
    names.push(nameOf(frame));
  }
  return names;
}

function nameOf({ gameInfo, plays, deadLetters }: PlayFrame): string {
  if (gameInfo !== undefined) return `info r${String(gameInfo.revision)}`;
  if (deadLetters.length > 0) return `${String(deadLetters.length)} letters`;
  return plays
    .map(
      ({ playNumber, revision, retracted }) =>
        `${String(playNumber)}r${String(revision)}${retracted ? "-" : ""}`,
    )
    .join(" ");
}

test("new plays go out one by one, and what is known is not sent again", async () => {
  const published = new PublishedGame(game.info.gameId);
  expect(await bring(published, told(game.plays.slice(0, 3)))).toEqual([
    "info r1",
    "1r1",
    "2r1",
    "3r1",
  ]);
  expect(await bring(published, told(game.plays.slice(0, 3)))).toEqual([]);
  expect(await bring(published, told(game.plays.slice(0, 4)))).toEqual(["4r1"]);
});

test("a game that is joined in the middle comes in large frames", async () => {
  const published = new PublishedGame(game.info.gameId);
  const frames = await bring(published, told(game.plays.slice(0, 300)));
  expect(frames.length).toBeLessThan(6);
  expect(published).toMatchObject({ plays: 300, accounts: 300 });
});

test("an insertion renumbers what is behind it in one frame, and a deletion takes the last number back", async () => {
  const published = new PublishedGame(game.info.gameId);
  const [a, b, c, d, e] = game.plays as [PlayEvent, PlayEvent, PlayEvent, PlayEvent, PlayEvent];
  await bring(published, told([a, b, d, e]));
  expect(await bring(published, told([a, b, c, d, e]))).toEqual(["3r2 4r2", "5r1"]);
  expect(await bring(published, told([a, b, d, e]))).toEqual(["3r3 4r3 5r2-"]);
  expect(published.plays).toBe(4);
  expect(await bring(published, told([a, b, d, e, c]))).toEqual(["5r3"]);
});

test("an edit, changed information and a row that cannot be read are told once", async () => {
  const published = new PublishedGame(game.info.gameId);
  const plays = game.plays.slice(0, 3);
  await bring(published, told(plays));
  const deadLetters = [create(DeadLetterSchema, { reason: "UNKNOWN_KIND", raw: "x" })];
  const info = { ...game.info, venue: "elsewhere" };
  const [first, ...others] = plays as [PlayEvent, PlayEvent, PlayEvent];
  const edited = { ...first, description: "mended" };
  const changed = told([edited, ...others], { info, deadLetters });
  expect(await bring(published, changed)).toEqual(["info r2", "1 letters", "1r2"]);
  expect(await bring(published, changed)).toEqual([]);
});
