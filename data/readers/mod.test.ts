import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { toBinary } from "@bufbuild/protobuf";
import { afterAll, expect, test } from "vitest";
import { Feed, PlayEventSchema } from "../../proto/gen/courtside/v1/play_pb.ts";
import { NoGamesError, openSource, SourceNotFoundError, UnknownFeedError } from "./mod.ts";
import { type SourceGame } from "../source.ts";

const FIXTURES = path.join(import.meta.dirname, "../fixtures");
const folder = mkdtempSync(path.join(tmpdir(), "courtside-readers-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function gamesOf(source: string, games?: number): Promise<SourceGame[]> {
  const found: SourceGame[] = [];
  for await (const game of openSource(source, { games })) found.push(game);
  return found;
}

function fixture(name: string): string {
  return path.join(FIXTURES, "pbp", name);
}

test.each(["stats_v3.csv", "stats_v2.csv", "cdn_archive.csv", "processed.csv"])(
  "every row of %s comes out once, as a play or as a dead letter",
  async (name) => {
    const text = readFileSync(fixture(name), "utf8");
    const rows = text.trimEnd().split("\n").length - 1;
    const games = await gamesOf(fixture(name));
    expect(games.reduce((sum, game) => sum + game.rows, 0)).toBe(rows);
    for (const { plays, deadLetters, rows: own } of games) {
      expect(plays.length + deadLetters.length).toBe(own);
      expect(plays.map((play) => play.playNumber)).toEqual(plays.map((_, index) => index + 1));
      for (const letter of deadLetters) {
        expect(letter.source).toBe(fixture(name));
        expect(text.split("\n")[Number(letter.line) - 1]).toBe(letter.raw);
      }
      for (const play of plays) expect(toBinary(PlayEventSchema, play).length).toBeGreaterThan(20);
    }
  },
);

test("the format is told by the content, plain or packed, whatever the name", async () => {
  const file = path.join(folder, "season.dat");
  writeFileSync(file, gzipSync(readFileSync(fixture("stats_v2.csv"))));
  const [game] = await gamesOf(file);
  expect(game?.info.feed).toBe(Feed.STATS_V2);
  expect(game?.info.homeElo).toBeUndefined();
  expect(game?.info.home?.name).toBe("Harbor Herons");
});

test("gzip, zstd, xz and a tar archive in them hold the same games as the plain file", async () => {
  const plain = readFileSync(fixture("stats_v3.csv"));
  const archive = path.join(FIXTURES, "packed/stats_v3.tar.xz");
  // Without the tables beside it a file has no dates: what is said and the score must be the same.
  const told = (games: readonly SourceGame[]): unknown[] =>
    games.flatMap(({ plays }) => plays.map((play) => [play.description, play.homeScore]));
  const expected = told(await gamesOf(fixture("stats_v3.csv")));
  const packed = {
    gzip: gzipSync(plain),
    zstd: zstdCompressSync(plain),
    "tar.xz": readFileSync(archive),
  };
  for (const [name, bytes] of Object.entries(packed)) {
    const file = path.join(folder, `packed-${name}`);
    writeFileSync(file, bytes);
    const found = told(await gamesOf(file));
    expect(found, name).toEqual(expected);
    writeFileSync(file, bytes.subarray(0, Math.floor(bytes.length / 2)));
    const cut = await gamesOf(file).catch((error: unknown) => error);
    const letters = Array.isArray(cut)
      ? (cut as SourceGame[]).flatMap((game) => game.deadLetters)
      : [];
    const says = letters.map((letter) => letter.message).join() + String(cut);
    expect(says, name).toMatch(/the compressed data ends or is damaged here/);
  }
});

test("a packed season that breaks off gives the games before the break and one dead letter", async () => {
  const header = readFileSync(fixture("stats_v3.csv"), "utf8").split("\n")[0] ?? "";
  const rows = Array.from({ length: 40_000 }, (_, at) => {
    const id = `00231${String(10_000 + Math.floor(at / 400)).slice(-5)}`;
    const made = `${at % 400},PT05M00.00S,1,1600000001,HAR,12,Boone,B. Boone,${at % 97},20,2,Made,1,,,0,h`;
    return `${id},${made},Boone 2' Layup (${at} PTS),Made Shot,Layup Shot,1,2,${at}`;
  });
  const packed = gzipSync([header, ...rows].join("\n"));
  const file = path.join(folder, "cut.csv.gz");
  writeFileSync(file, packed.subarray(0, Math.floor(packed.length / 2)));
  const games = await gamesOf(file);
  const letters = games.flatMap((game) => game.deadLetters);
  expect(games.length).toBeGreaterThan(20);
  expect(letters.map((letter) => letter.reason)).toEqual(["TRUNCATED_SOURCE"]);
  const plays = games.reduce((sum, game) => sum + game.plays.length, 0);
  expect(Number(letters[0]?.line)).toBe(plays + 2);
  expect(games.at(-1)?.plays.at(-1)?.gameOver).toBe(false);
});

test("a folder is read file by file, what is no play-by-play is passed over, no game comes twice", async () => {
  const mixed = path.join(folder, "mixed");
  mkdirSync(mixed);
  cpSync(fixture("stats_v3.csv"), path.join(mixed, "a.csv"));
  cpSync(fixture("cdn_archive.csv"), path.join(mixed, "b.csv"));
  writeFileSync(path.join(mixed, "notes.txt"), "nothing to read\n");
  const games = await gamesOf(mixed);
  expect(games.map((game) => game.info.gameId)).toEqual(["0023100002", "0023100003"]);
  expect(await gamesOf(mixed, 1)).toHaveLength(1);
});

test("a path that is not there, an empty folder and an unknown header are told apart", async () => {
  const missing = path.join(folder, "missing.csv");
  await expect(gamesOf(missing)).rejects.toThrow(SourceNotFoundError);
  await expect(gamesOf(missing)).rejects.toThrow(/missing\.csv: no such file or folder/);
  const empty = path.join(folder, "empty");
  mkdirSync(empty);
  await expect(gamesOf(empty)).rejects.toThrow(NoGamesError);
  const unknown = path.join(folder, "unknown.csv");
  writeFileSync(unknown, "game,what\n1,2\n");
  await expect(gamesOf(unknown)).rejects.toThrow(UnknownFeedError);
  await expect(gamesOf(unknown)).rejects.toThrow(/found game, what; known are .*playbyplayv3/);
  const json = path.join(folder, "unknown.json");
  writeFileSync(json, '{\n"events": []\n}\n');
  await expect(gamesOf(json)).rejects.toThrow(/found events/);
  const headerOnly = path.join(folder, "header.csv");
  writeFileSync(headerOnly, `${readFileSync(fixture("stats_v3.csv"), "utf8").split("\n")[0]}\n`);
  await expect(gamesOf(headerOnly)).rejects.toThrow(/there is no game in it/);
  const blank = path.join(folder, "blank.csv");
  writeFileSync(blank, "");
  await expect(gamesOf(blank)).rejects.toThrow(/the file is empty/);
});

test("rows of a game that has already ended are dead letters, not a second game", async () => {
  const [header = "", ...rows] = readFileSync(fixture("processed.csv"), "utf8").trim().split("\n");
  const other = rows.map((row) => row.replace("0023100002", "0023100003"));
  const file = path.join(folder, "mixed-up.csv");
  writeFileSync(file, [header, ...rows.slice(0, 3), ...other, ...rows.slice(3)].join("\n"));
  const games = await gamesOf(file);
  expect(games.map((game) => game.info.gameId)).toEqual(["0023100002", "0023100003"]);
  const reasons = games[1]?.deadLetters.map((letter) => letter.reason);
  expect(reasons?.filter((reason) => reason === "OUT_OF_ORDER")).toHaveLength(3);
});

test("a season file whose rows name no game still accounts for them", async () => {
  const [header = "", row = ""] = readFileSync(fixture("processed.csv"), "utf8").split("\n");
  const file = path.join(folder, "nameless.csv");
  writeFileSync(file, `${header}\n${row.replace("0023100002", "")}\n`);
  const [game] = await gamesOf(file);
  expect(game?.info.gameId).toBe("");
  expect(game?.deadLetters.map((letter) => letter.reason)).toEqual(["MISSING_GAME_ID"]);
});
