import { type DeadLetter, type Feed } from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { type CsvBatch, type CsvRow } from "./csv.ts";
import { deadLetter, type GameRows } from "./draft.ts";
import { finishGame, type GameOrigin } from "./finish.ts";
import { normalGameId } from "./game-id.ts";
import { type Problem } from "./row-cells.ts";
import { SideVotes } from "./sides.ts";

/** Reads the games of one file in one format. */
export interface CsvReader {
  readonly feed: Feed;
  readGame(game: GameRows<CsvRow>, origin: GameOrigin): SourceGame;
}

/** A CSV format by its columns. */
export interface CsvFormat {
  readonly name: string;
  /** All of them are in the header of a file in this format, in any order. */
  readonly columns: readonly string[];
  readonly gameIdColumn: string;
  create(header: readonly string[]): CsvReader;
}

/**
 * Cuts the rows of a file into games and reads each, one in memory at a time. Each row comes out once: in a
 * game's plays or in its dead letters. Rows without a game go with the game that they stand beside.
 */
export async function* csvGames(
  batches: AsyncIterable<CsvBatch>,
  header: CsvRow,
  format: CsvFormat,
  origin: Omit<GameOrigin, "feed">,
): AsyncIterable<SourceGame> {
  const reader = format.create(header.fields);
  const from: GameOrigin = { ...origin, feed: reader.feed };
  const cutter = new GameCutter(header, format.gameIdColumn, from);
  for await (const batch of batches) {
    for (const row of batch.rows) {
      const game = cutter.add(row);
      if (game !== undefined) yield reader.readGame(game, from);
    }
    if (batch.broken !== undefined) cutter.breakOff(batch.broken);
  }
  const { game, strays } = cutter.end();
  if (game !== undefined) yield reader.readGame(game, from);
  else if (strays.length > 0) {
    yield finishGame(from, { gameId: "", rows: [], strays, broken: true }, [], [], NO_TEAMS);
  }
}

const NO_TEAMS = new SideVotes().teams(undefined);

class GameCutter {
  readonly #gameIdAt: number;
  readonly #columns: number;
  readonly #origin: GameOrigin;
  readonly #finished = new Set<string>();
  #gameId = "";
  #rows: CsvRow[] = [];
  /** Rows of the game by their marks. */
  #marks = new Map<number, CsvRow | CsvRow[]>();
  #strays: DeadLetter[] = [];
  #broken = false;

  constructor(header: CsvRow, gameIdColumn: string, origin: GameOrigin) {
    this.#gameIdAt = header.fields.findIndex((name) => name.trim() === gameIdColumn);
    this.#columns = header.fields.length;
    this.#origin = origin;
  }

  /** @returns the game before, when this row starts another one. */
  add(row: CsvRow): GameRows<CsvRow> | undefined {
    const gameId = this.#gameIdOf(row);
    if (gameId === undefined) {
      this.#stray(row, "", this.#noGame(row));
      return undefined;
    }
    if (this.#finished.has(gameId)) {
      const message = `game ${gameId} has ended further up; the rows of a game must stand together`;
      this.#stray(row, gameId, { reason: "OUT_OF_ORDER", message });
      return undefined;
    }
    const before = gameId === this.#gameId ? undefined : this.#cut();
    this.#gameId = gameId;
    if (this.#isRepeated(row)) {
      const message = "an earlier row of this game is the same, character by character";
      this.#stray(row, gameId, { reason: "DUPLICATE_ROW", message });
    } else {
      this.#rows.push(row);
    }
    return before;
  }

  /** Notes the row. @returns true when an earlier row of the game has the same characters. */
  #isRepeated(row: CsvRow): boolean {
    const { mark } = row;
    const alike = this.#marks.get(mark);
    if (alike === undefined) {
      this.#marks.set(mark, row);
      return false;
    }
    const rows = Array.isArray(alike) ? alike : [alike];
    const { text } = row;
    if (rows.some((other) => other.text === text)) return true;
    rows.push(row);
    this.#marks.set(mark, rows);
    return false;
  }

  breakOff(at: { readonly line: number; readonly message: string; readonly raw: string }): void {
    this.#broken = true;
    const message = `${at.message}; the rows before it are kept, fetch the file again for the rest`;
    const place = { line: at.line, text: at.raw };
    this.#stray(place, this.#gameId, { reason: "TRUNCATED_SOURCE", message });
  }

  end(): { game: GameRows<CsvRow> | undefined; strays: readonly DeadLetter[] } {
    return { game: this.#cut(), strays: this.#strays };
  }

  /** A row of the wrong width belongs to the game around it when its id can still be read. */
  #gameIdOf(row: CsvRow): string | undefined {
    const gameId = normalGameId(row.field(this.#gameIdAt));
    if (gameId !== undefined || row.columns === this.#columns) return gameId;
    return row.text.includes(this.#gameId.replace(/^0+/, "") || "\n") ? this.#gameId : undefined;
  }

  #stray(place: { line: number; text: string }, gameId: string, problem: Problem): void {
    this.#strays.push(deadLetter(problem, this.#origin, place, gameId));
  }

  #cut(): GameRows<CsvRow> | undefined {
    if (this.#gameId === "") return undefined;
    const game: GameRows<CsvRow> = {
      gameId: this.#gameId,
      rows: this.#rows,
      strays: this.#strays,
      broken: this.#broken,
    };
    this.#finished.add(this.#gameId);
    this.#gameId = "";
    this.#rows = [];
    this.#marks.clear();
    this.#strays = [];
    return game;
  }

  #noGame(row: CsvRow): Problem {
    if (row.columns !== this.#columns) {
      const found = `${row.columns} column(s), expected ${this.#columns} as in the header`;
      return { reason: "MALFORMED_ROW", message: `the row has ${found}, and names no game` };
    }
    const found = row.field(this.#gameIdAt).slice(0, 40);
    const message = `the game id is "${found}", expected ten digits such as 0022300001`;
    return { reason: "MISSING_GAME_ID", message };
  }
}
