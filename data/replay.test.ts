import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  DeadLetterSchema,
  GameInfoSchema,
  PlayEventSchema,
  PlayFrameSchema,
} from "../proto/gen/courtside/v1/play_pb.ts";
import { replaySchedule, type ReplayItem, type ReplayOptions } from "./replay.ts";
import { type SourceGame } from "./source.ts";
import { syntheticSeason } from "./synthetic/season.ts";

interface Timed {
  readonly gameId: string;
  /** Seconds after midnight of the first day. */
  readonly tipoffS: number;
  /** Seconds after tip-off. */
  readonly playsS: readonly number[];
  readonly date?: string;
  readonly home?: number;
}

let team = 1;

function game({ gameId, tipoffS, playsS, date = "2024-10-22", home = team++ }: Timed): SourceGame {
  const tipoffTimeMs = BigInt(tipoffS * 1000);
  const info = create(GameInfoSchema, {
    gameId,
    gameDate: date,
    tipoffTimeMs,
    home: { teamId: home },
    away: { teamId: 10_000 + team++ },
  });
  const plays = playsS.map((afterS, index) =>
    create(PlayEventSchema, {
      gameId,
      playNumber: index + 1,
      revision: 1,
      eventTimeMs: tipoffTimeMs + BigInt(afterS * 1000),
    }),
  );
  return { info, plays, deadLetters: [], rows: plays.length };
}

async function schedule(
  games: Iterable<SourceGame> | AsyncIterable<SourceGame>,
  options: ReplayOptions,
): Promise<ReplayItem[]> {
  const items: ReplayItem[] = [];
  for await (const item of replaySchedule(games, options)) items.push(item);
  return items;
}

/** `A1@20` = play 1 of game A, 20 ms after the start; `Ai` its info, `A!` its dead letters. */
function spell({ gameId, frame, dueMs }: ReplayItem): string {
  const numbers = frame.plays.map((play) => play.playNumber).join("+");
  const what = numbers || (frame.gameInfo === undefined ? "!" : "i");
  return `${gameId}${what}@${dueMs}`;
}

const spelled = async (...args: Parameters<typeof schedule>): Promise<string> =>
  (await schedule(...args)).map(spell).join(" ");

test("gaps between plays are divided by the speed, and the info goes first", async () => {
  const games = [game({ gameId: "A", tipoffS: 1000, playsS: [0, 30, 90] })];
  expect(await spelled(games, { speed: 30 })).toBe("Ai@0 A1@0 A2@1000 A3@3000");
});

test("games of a date run side by side in the order of the wall clock", async () => {
  // A  tip-off 0 s   10 s                     40 s
  // B           5 s        15 s       25 s
  const games = [
    game({ gameId: "A", tipoffS: 0, playsS: [0, 10, 40] }),
    game({ gameId: "B", tipoffS: 5, playsS: [0, 10, 20] }),
  ];
  expect(await spelled(games, { speed: 1000 })).toBe("Ai@0 A1@0 Bi@5 B1@5 A2@10 B2@15 B3@25 A3@40");
});

test("the next date begins when a place is free, without the night between", async () => {
  const games = [
    game({ gameId: "A", tipoffS: 0, playsS: [0, 10] }),
    game({ gameId: "B", tipoffS: 86_400, playsS: [0, 10], date: "2024-10-23" }),
  ];
  expect(await spelled(games, { speed: 1000, concurrent: 1 })).toBe(
    "Ai@0 A1@0 A2@10 Bi@10 B1@10 B2@20",
  );
});

test("hours in which nobody plays are left out, a half-time is not", async () => {
  const games = [
    game({ gameId: "A", tipoffS: 0, playsS: [0, 900] }),
    game({ gameId: "B", tipoffS: 10_000, playsS: [0, 10] }),
  ];
  expect(await spelled(games, { speed: 1000 })).toBe("Ai@0 A1@0 A2@900 Bi@900 B1@900 B2@910");
});

test("a team's next game waits for its last one", async () => {
  const games = [
    game({ gameId: "A", tipoffS: 0, playsS: [0, 10], home: 77 }),
    game({ gameId: "B", tipoffS: 0, playsS: [0], date: "2024-10-23", home: 77 }),
  ];
  expect(await spelled(games, { speed: 1000 })).toBe("Ai@0 A1@0 A2@10 Bi@10 B1@10");
});

test("rows of no game at all wait for nobody", async () => {
  const deadLetters = [create(DeadLetterSchema, {})];
  const lost = { info: create(GameInfoSchema, {}), plays: [], deadLetters, rows: 1 };
  const games = [lost, lost, game({ gameId: "A", tipoffS: 0, playsS: [0, 10] }), lost];
  expect(await spelled(games, { speed: 1000 })).toBe(
    "unknown!@0 unknown!@0 Ai@0 A1@0 unknown!@0 A2@10",
  );
});

test("a feed whose times go back is replayed in its own order", async () => {
  const games = [game({ gameId: "A", tipoffS: 0, playsS: [0, 20, 15, 25] })];
  expect(await spelled(games, { speed: 1000 })).toBe("Ai@0 A1@0 A2@20 A3@20 A4@30");
});

test("rejected rows come after the info, and without a game under the unknown one", async () => {
  const plain = game({ gameId: "A", tipoffS: 0, playsS: [0] });
  const deadLetters = ["A", "A", ""].map((gameId) => create(DeadLetterSchema, { gameId }));
  const items = await schedule([{ ...plain, deadLetters }], { speed: 1 });
  expect(items.map(spell).join(" ")).toBe("Ai@0 A!@0 unknown!@0 A1@0");
  expect(items.map(({ frame }) => frame.deadLetters.length)).toEqual([0, 2, 1, 0]);
});

test("at full speed plays are packed in frames of 16 to 64 KB, and nothing waits", async () => {
  const games = [...syntheticSeason({ seed: 3, games: 4, startTimeMs: 0 })];
  const items = await schedule(games, { speed: "max" });
  expect(items.every(({ dueMs }) => dueMs === 0)).toBe(true);
  const sizes = items
    .filter(({ frame, isLast }) => frame.plays.length > 0 && !isLast)
    .map(({ frame }) => toBinary(PlayFrameSchema, frame).length / 1024);
  expect(Math.min(...sizes)).toBeGreaterThan(16);
  expect(Math.max(...sizes)).toBeLessThan(64);
  for (const { info, plays } of games) {
    const own = items.filter(({ gameId }) => gameId === info.gameId);
    expect(own.flatMap(({ frame }) => frame.plays)).toEqual(plays);
    expect(own.map(({ isLast }) => isLast).lastIndexOf(true)).toBe(own.length - 1);
    expect(own.filter(({ isLast }) => isLast)).toHaveLength(1);
  }
  const firstGames = items.slice(0, 12).map(({ gameId }) => gameId);
  expect(new Set(firstGames).size).toBe(4);
});

test("games are read only when there is a place for them", async () => {
  let read = 0;
  let finished = 0;
  let mostOpen = 0;
  function* source(): Generator<SourceGame> {
    for (const each of syntheticSeason({ seed: 1, games: 30, concurrent: 15, startTimeMs: 0 })) {
      read += 1;
      yield each;
    }
  }
  for await (const { isLast } of replaySchedule(source(), { speed: "max", concurrent: 5 })) {
    mostOpen = Math.max(mostOpen, read - finished);
    if (isLast) finished += 1;
  }
  expect(finished).toBe(30);
  // Five in play and the one that waits for a place.
  expect(mostOpen).toBeLessThanOrEqual(6);
});

test("a speed that is not positive is refused", async () => {
  await expect(schedule([], { speed: 0 })).rejects.toThrow("speed is positive");
});
