import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { type Log, silentLog } from "../../base/log.ts";
import { Feed } from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { createLedger, type StrengthLedger } from "../strength/ledger.ts";
import { BASKETBALL_REFERENCE_COLUMNS, readBasketballReference } from "./basketball-reference.ts";
import { CDN_ARCHIVE_COLUMNS, CdnArchiveReader } from "./cdn-archive.ts";
import { type CsvBatch, csvRows, type CsvRow } from "./csv.ts";
import { type CsvFormat, csvGames } from "./csv-games.ts";
import { readDataNba } from "./data-nba.ts";
import { NoGamesError, SourceNotFoundError, UnknownFeedError } from "./errors.ts";
import { readEspnSummary } from "./espn.ts";
import { fileChunks } from "./file-bytes.ts";
import { fileLines } from "./file-lines.ts";
import { cdnGame, cdnLines, jsonContent } from "./json-games.ts";
import { PROCESSED_COLUMNS, ProcessedReader } from "./processed.ts";
import { readReference, type Reference } from "./reference.ts";
import { STATS_V2_COLUMNS, StatsV2Reader } from "./stats-v2.ts";
import { STATS_V3_COLUMNS, StatsV3Reader } from "./stats-v3.ts";

export { NoGamesError, SourceNotFoundError, UnknownFeedError } from "./errors.ts";
export { type SourceGame } from "../source.ts";

export interface SourceOptions {
  /** Stop after this many games; all when absent. */
  readonly games?: number | undefined;
  readonly log?: Log | undefined;
  /** Tells each game of the results before it; one that knows the committed starts of seasons when absent. */
  readonly strength?: StrengthLedger | undefined;
}

/** CSV formats, told apart by their columns. */
const CSV_FORMATS: readonly CsvFormat[] = [
  {
    name: "stats.nba.com playbyplayv3",
    columns: STATS_V3_COLUMNS,
    gameIdColumn: "gameId",
    create: (header) => new StatsV3Reader(header),
  },
  {
    name: "stats.nba.com playbyplayv2",
    columns: STATS_V2_COLUMNS,
    gameIdColumn: "GAME_ID",
    create: (header) => new StatsV2Reader(header),
  },
  {
    name: "cdn.nba.com season archive",
    columns: CDN_ARCHIVE_COLUMNS,
    gameIdColumn: "game_id",
    create: (header) => new CdnArchiveReader(header),
  },
  {
    name: "processed archive of the 2019-20 restart",
    columns: PROCESSED_COLUMNS,
    gameIdColumn: "game_id",
    create: (header) => new ProcessedReader(header),
  },
];

const KNOWN_FORMATS = [
  ...CSV_FORMATS.map(({ name, columns }) => `${name} (${columns.slice(0, 6).join(", ")}, ...)`),
  "cdn.nba.com liveData JSON (meta, game.actions; or a game a line: gameId, playbyplay, boxscore)",
  "stats.nba.com JSON answers (resultSets or game.actions)",
  "data.nba.com JSON (g.gid, g.pd)",
  "espn.com summary JSON (plays, header)",
  `basketball-reference.com CSV (${BASKETBALL_REFERENCE_COLUMNS.slice(0, 6).join(", ")}, ...)`,
];

/**
 * Games of a season file (plain or gzip) or of a folder of game files, one in memory at a time. The format
 * is told by the content. Every row comes out exactly once, as a play or as a dead letter. Results and odds
 * are taken from tables beside the file when they are there (`readReference`).
 * @throws SourceNotFoundError, NoGamesError, UnknownFeedError, at the first game that is asked for.
 */
export async function* openSource(
  source: string,
  options: SourceOptions = {},
): AsyncGenerator<SourceGame, void, undefined> {
  const { games = Number.POSITIVE_INFINITY, log = silentLog } = options;
  const { strength = createLedger() } = options;
  if (games <= 0) return;
  const isFolder = await isFolderAt(source);
  const folder = isFolder ? await folderOfPlays(source) : path.dirname(source);
  const reference = await readReference(folder);
  let given = 0;
  for await (const game of isFolder
    ? folderGames(folder, reference, log)
    : fileGames(source, reference)) {
    strength.prepare(game.info);
    yield game;
    strength.add(game);
    given++;
    if (given >= games) return;
  }
  if (given === 0) throw new NoGamesError(source, "there is no game in it");
}

async function isFolderAt(source: string): Promise<boolean> {
  try {
    return (await stat(source)).isDirectory();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    throw new SourceNotFoundError(source, { cause: error });
  }
}

/** A data folder keeps its play-by-play in `pbp`, beside `games` and `odds`. */
async function folderOfPlays(folder: string): Promise<string> {
  const inside = path.join(folder, "pbp");
  const isThere = await isFolderAt(inside).catch(() => false);
  return isThere ? inside : folder;
}

/** Games of all files of a folder that are play-by-play, by name; a game that came before is not repeated. */
async function* folderGames(
  folder: string,
  reference: Reference,
  log: Log,
): AsyncIterable<SourceGame> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  const seen = new Set<string>();
  let readable = 0;
  // Play-offs last, so that they are told of the season before them.
  const isLate = (name: string): boolean => name.includes("playoffs");
  names.sort((a, b) => Number(isLate(a)) - Number(isLate(b)) || (a < b ? -1 : 1));
  for (const name of names) {
    try {
      for await (const game of fileGames(path.join(folder, name), reference)) {
        if (seen.has(game.info.gameId)) {
          log.warn("game_skipped", { file: name, gameId: game.info.gameId, why: "read before" });
          continue;
        }
        seen.add(game.info.gameId);
        yield game;
      }
      readable++;
    } catch (error) {
      if (!(error instanceof UnknownFeedError) && !(error instanceof NoGamesError)) throw error;
      log.warn("file_skipped", { file: name, why: error.message });
    }
  }
  if (readable === 0) {
    const shown = names.slice(0, 5).join(", ") || "no files";
    throw new NoGamesError(folder, `no file of the folder is play-by-play (found ${shown})`);
  }
}

async function* fileGames(file: string, reference: Reference): AsyncIterable<SourceGame> {
  const origin = { file, reference };
  const firstLine = await firstLineOf(file);
  if (/^\s*[[{]/.test(firstLine)) {
    const content = await jsonContent(file, firstLine);
    switch (content.kind) {
      case "cdn-lines":
        yield* cdnLines(file, origin);
        return;
      case "cdn":
        yield await cdnGame(file, content.playByPlay, origin);
        return;
      case "data-nba":
        yield readDataNba(content.document, { ...origin, feed: Feed.DATA_NBA });
        return;
      case "espn":
        yield readEspnSummary(content.document, { ...origin, feed: Feed.ESPN });
        return;
      case "table": {
        const format = formatOf(file, content.header);
        yield* csvGames(oneBatch(content.rows), content.header, format, origin);
        return;
      }
      case "unknown":
        throw new UnknownFeedError(file, content.members, KNOWN_FORMATS);
      default:
        content satisfies never;
    }
    return;
  }
  const batches = csvRows(fileChunks(file))[Symbol.asyncIterator]();
  const first = await firstRow(batches, file);
  if (hasColumns(first.header, BASKETBALL_REFERENCE_COLUMNS)) {
    yield await readBasketballReference(first.rest, first.header, origin);
    return;
  }
  yield* csvGames(first.rest, first.header, formatOf(file, first.header), origin);
}

/** First line with something in it; what a file broke off with before its end is not asked here. */
async function firstLineOf(file: string): Promise<string> {
  for await (const batch of fileLines(file)) {
    const line = batch.lines.find((text) => text.trim() !== "");
    if (line !== undefined) return line.replace(/^\uFEFF/, "");
    if (batch.broken !== undefined) throw new NoGamesError(file, batch.broken.message);
  }
  throw new NoGamesError(file, "the file is empty");
}

function formatOf(file: string, header: CsvRow): CsvFormat {
  const format = CSV_FORMATS.find((known) => hasColumns(header, known.columns));
  if (format !== undefined) return format;
  throw new UnknownFeedError(file, header.fields.slice(0, COLUMNS_SHOWN_MAX), KNOWN_FORMATS);
}

/** Columns of an unknown header that the error keeps. */
const COLUMNS_SHOWN_MAX = 100;

function hasColumns(header: CsvRow, columns: readonly string[]): boolean {
  const found = new Set(header.fields.map((name) => name.trim()));
  return columns.every((name) => found.has(name));
}

async function firstRow(
  batches: AsyncIterator<CsvBatch>,
  file: string,
): Promise<{ header: CsvRow; rest: AsyncIterable<CsvBatch> }> {
  for (;;) {
    const next = await batches.next();
    if (next.done === true) throw new NoGamesError(file, "the file is empty");
    const [header, ...rows] = next.value.rows;
    if (header === undefined) continue;
    return { header, rest: resume({ ...next.value, rows }, batches) };
  }
}

async function* resume(first: CsvBatch, batches: AsyncIterator<CsvBatch>): AsyncIterable<CsvBatch> {
  yield first;
  try {
    for (;;) {
      const next = await batches.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await batches.return?.();
  }
}

async function* oneBatch(rows: readonly CsvRow[]): AsyncIterable<CsvBatch> {
  yield await Promise.resolve({ rows });
}
