import { createHash } from "node:crypto";
import { CourtsideError } from "../base/errors.ts";
import { seededRandom } from "../base/random.ts";

/** One play as training sees it: the job's features, and what slices and the baseline need. */
export interface Row {
  /** Values of the feature schema; read before the next row is asked for. */
  readonly vector: ArrayLike<number>;
  /** Home points minus away points. */
  readonly margin: number;
  /** 1 to 4, from 5 for overtime. */
  readonly period: number;
  readonly clockRemainingS: number;
  readonly gameOver: boolean;
}

/** All plays of one finished game. */
export interface TrainingGame {
  readonly gameId: string;
  /** Year in which the season starts. */
  readonly season: number;
  readonly homeWon: boolean;
  readonly rows: Iterable<Row>;
}

/** Rows of many games, column by column; row `i` has its features at `i * features`. */
export interface Dataset {
  readonly features: number;
  readonly games: number;
  readonly rows: number;
  readonly values: Float32Array;
  /** 1 when the home team won. */
  readonly homeWon: Uint8Array;
  readonly margin: Int16Array;
  readonly period: Uint8Array;
  readonly clockRemainingS: Float32Array;
  readonly gameOver: Uint8Array;
  /** First row of each game, and the number of rows at the end. */
  readonly gameStarts: readonly number[];
  /** SHA-256 over features and outcomes in order, hex. */
  readonly sha256: string;
}

/** There is nothing to train on or to evaluate. */
export class EmptyDatasetError extends CourtsideError {
  override readonly code = "EMPTY_DATASET";
  override readonly retryable = false;
}

export interface DatasetOptions {
  /** Length of a feature vector. */
  readonly features: number;
  /** Takes every n-th play of a game; default 1, all. */
  readonly every?: number;
  /** Decides which play of each game is the first that is taken. */
  readonly seed?: number;
  /** Called after each game. */
  readonly onGame?: (games: number, rows: number) => void;
}

/**
 * Collects the rows of games. Neighbouring plays hardly differ, so a fit loses nothing by taking every n-th.
 * @throws EmptyDatasetError when no game has a row.
 */
export async function collect(
  games: AsyncIterable<TrainingGame>,
  { features, every = 1, seed = 0, onGame }: DatasetOptions,
): Promise<Dataset> {
  const random = seededRandom(seed);
  let columns = emptyColumns(features, FIRST_ROWS);
  let rows = 0;
  const gameStarts: number[] = [];
  for await (const game of games) {
    const start = random.fork(game.gameId).int(every);
    gameStarts.push(rows);
    let play = 0;
    for (const row of game.rows) {
      const taken = play % every === start;
      play += 1;
      if (!taken) continue;
      if (rows === columns.margin.length) columns = grown(columns, features);
      store(columns, rows, row, game.homeWon, features);
      rows += 1;
    }
    onGame?.(gameStarts.length, rows);
  }
  if (rows === 0) {
    throw new EmptyDatasetError(
      "the source has no finished game with plays; check the path and its format",
    );
  }
  return sealed(columns, { features, rows, gameStarts });
}

/** Room at the start: about 140 games. */
const FIRST_ROWS = 65_536;

type Columns = Pick<
  Dataset,
  "values" | "homeWon" | "margin" | "period" | "clockRemainingS" | "gameOver"
>;

function emptyColumns(features: number, rows: number): Columns {
  return {
    values: new Float32Array(rows * features),
    homeWon: new Uint8Array(rows),
    margin: new Int16Array(rows),
    period: new Uint8Array(rows),
    clockRemainingS: new Float32Array(rows),
    gameOver: new Uint8Array(rows),
  };
}

function grown(old: Columns, features: number): Columns {
  const columns = emptyColumns(features, old.margin.length * 2);
  columns.values.set(old.values);
  columns.homeWon.set(old.homeWon);
  columns.margin.set(old.margin);
  columns.period.set(old.period);
  columns.clockRemainingS.set(old.clockRemainingS);
  columns.gameOver.set(old.gameOver);
  return columns;
}

function store(columns: Columns, i: number, row: Row, homeWon: boolean, features: number): void {
  columns.values.set(row.vector, i * features);
  columns.homeWon[i] = homeWon ? 1 : 0;
  columns.margin[i] = row.margin;
  columns.period[i] = row.period;
  columns.clockRemainingS[i] = row.clockRemainingS;
  columns.gameOver[i] = row.gameOver ? 1 : 0;
}

function sealed(
  columns: Columns,
  size: { readonly features: number; readonly rows: number; readonly gameStarts: number[] },
): Dataset {
  const { features, rows, gameStarts } = size;
  const values = columns.values.subarray(0, rows * features);
  const homeWon = columns.homeWon.subarray(0, rows);
  return {
    features,
    rows,
    games: gameStarts.length,
    values,
    homeWon,
    margin: columns.margin.subarray(0, rows),
    period: columns.period.subarray(0, rows),
    clockRemainingS: columns.clockRemainingS.subarray(0, rows),
    gameOver: columns.gameOver.subarray(0, rows),
    gameStarts: [...gameStarts, rows],
    sha256: createHash("sha256").update(values).update(homeWon).digest("hex"),
  };
}
