import { readFile } from "node:fs/promises";
import path from "node:path";
import { type DeadLetter, Feed } from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { isCdnPlayByPlay, readCdnGame } from "./cdn-live.ts";
import { CsvRow } from "./csv.ts";
import { isDataNba } from "./data-nba.ts";
import { deadLetter } from "./draft.ts";
import { isEspnSummary } from "./espn.ts";
import { fileLines } from "./file-lines.ts";
import { type GameOrigin } from "./finish.ts";
import { normalGameId } from "./game-id.ts";
import { type Json, list, member, parseJson, record, text } from "./json-cells.ts";
import { type Problem } from "./row-cells.ts";

/** What a JSON file turned out to be. */
export type JsonContent =
  | { readonly kind: "cdn-lines" }
  | { readonly kind: "cdn"; readonly playByPlay: Json }
  | { readonly kind: "data-nba"; readonly document: Json }
  | { readonly kind: "espn"; readonly document: Json }
  | { readonly kind: "table"; readonly header: CsvRow; readonly rows: readonly CsvRow[] }
  | { readonly kind: "unknown"; readonly members: readonly string[] };

/**
 * Tells what JSON play-by-play a file holds: one game of cdn.nba.com, a game a line, or an answer of
 * stats.nba.com (v2 or v3), whose actions are the rows of the CSV formats.
 * @param firstLine - first line of the file.
 */
export async function jsonContent(file: string, firstLine: string): Promise<JsonContent> {
  const first = parseJson(firstLine);
  if (member(first, "playbyplay") !== undefined) return { kind: "cdn-lines" };
  let whole = first;
  if (whole === undefined) {
    const lines: string[] = [];
    for await (const batch of fileLines(file)) {
      lines.push(...batch.lines);
      // A damaged first line does not hide the games behind it.
      if (batch.lines.some((line) => line.startsWith('{"gameId"'))) return { kind: "cdn-lines" };
    }
    whole = parseJson(lines.join("\n"));
  }
  if (member(whole, "playbyplay") !== undefined) return { kind: "cdn-lines" };
  if (isCdnPlayByPlay(whole)) return { kind: "cdn", playByPlay: whole };
  if (isDataNba(whole)) return { kind: "data-nba", document: whole };
  if (isEspnSummary(whole)) return { kind: "espn", document: whole };
  return statsTable(whole) ?? { kind: "unknown", members: Object.keys(record(whole) ?? {}) };
}

/** One game of a document of its own; its box score stands beside it under the matching name. */
export async function cdnGame(
  file: string,
  playByPlay: Json,
  origin: Omit<GameOrigin, "feed">,
): Promise<SourceGame> {
  const boxScore = await boxScoreBeside(file);
  return readCdnGame({ playByPlay, boxScore, line: 1 }, { ...origin, feed: Feed.CDN_LIVE }, []);
}

/** Games of a file with one `{gameId, playbyplay, boxscore}` a line. */
export async function* cdnLines(
  file: string,
  origin: Omit<GameOrigin, "feed">,
): AsyncIterable<SourceGame> {
  const from = { ...origin, feed: Feed.CDN_LIVE };
  const finished = new Set<string>();
  let strays: DeadLetter[] = [];
  let held: SourceGame | undefined;
  const stray = (line: number, raw: string, gameId: string, problem: Problem): void => {
    strays.push(deadLetter(problem, from, { line, text: raw }, gameId));
  };
  for await (const batch of fileLines(file)) {
    for (const [index, line] of batch.lines.entries()) {
      if (line.trim() === "") continue;
      const at = batch.firstLine + index;
      const game = parseJson(line);
      const playByPlay = member(game, "playbyplay");
      const gameId = normalGameId(text(member(member(playByPlay, "game"), "gameId")));
      if (gameId === undefined) {
        const message = "the line is no JSON object with playbyplay.game.gameId of ten digits";
        stray(at, line, "", { reason: "MALFORMED_ROW", message });
      } else if (finished.has(gameId)) {
        const message = `game ${gameId} is also on a line further up`;
        stray(at, line, gameId, { reason: "DUPLICATE_ROW", message });
      } else {
        finished.add(gameId);
        if (held !== undefined) yield held;
        const documents = { playByPlay, boxScore: member(game, "boxscore"), line: at };
        held = readCdnGame(documents, from, strays);
        strays = [];
      }
    }
    if (batch.broken !== undefined) {
      const { message, raw } = batch.broken;
      stray(batch.firstLine + batch.lines.length, raw, "", { reason: "TRUNCATED_SOURCE", message });
    }
  }
  if (held === undefined) return;
  held.deadLetters.push(...strays);
  yield { ...held, rows: held.rows + strays.length };
}

async function boxScoreBeside(file: string): Promise<Json> {
  const name = path.basename(file);
  if (!name.includes("playbyplay")) return undefined;
  const beside = path.join(path.dirname(file), name.replace("playbyplay", "boxscore"));
  try {
    return parseJson(await readFile(beside, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Answers of stats.nba.com as the CSV rows that others make of them; one line per row, 0 for the header. */
function statsTable(document: Json): JsonContent | undefined {
  const set = list(member(document, "resultSets")).find(
    (s) => text(member(s, "name")) === "PlayByPlay",
  );
  if (set !== undefined) {
    return table(
      list(member(set, "headers")).map(text),
      list(member(set, "rowSet")).map((row) => list(row)),
    );
  }
  const game = member(document, "game");
  const actions = list(member(game, "actions"));
  const columns = Object.keys(record(actions[0]) ?? {});
  if (!columns.includes("actionId")) return undefined;
  const gameId = member(game, "gameId");
  return table(
    ["gameId", ...columns],
    actions.map((action) => [gameId].concat(columns.map((column) => member(action, column)))),
  );
}

function table(header: readonly string[], rows: readonly (readonly Json[])[]): JsonContent {
  return {
    kind: "table",
    header: CsvRow.of(0, header.join(","), header),
    rows: rows.map((row, index) => CsvRow.of(index + 1, JSON.stringify(row), row.map(text))),
  };
}
