import { createHash } from "node:crypto";
import { CourtsideError } from "../base/errors.ts";
import { seededRandom } from "../base/random.ts";

/** One play as training sees it: the job's features, and what slices and the baseline need. */
export interface Row {
  /** Values of the feature schema; read before the next row is asked for. */
  readonly vector: ArrayLike<number>;
  readonly homeScore: number;
  /** Home points minus away points. */
  readonly margin: number;
  /** 1 to 4, from 5 for overtime. */
  readonly period: number;
  readonly clockRemainingS: number;
  readonly gameOver: boolean;
  /** Whether a scoring run of that side follows (`scoring-run.ts`). */
  readonly homeRun: boolean;
  readonly awayRun: boolean;
}

/** All plays of one finished game. */
export interface TrainingGame {
  readonly gameId: string;
  /** Year in which the season starts. */
  readonly season: number;
  readonly homeWon: boolean;
  /** Local date, empty when it is not known, and three-letter names of the teams. */
  readonly date?: string;
  readonly home?: string;
  readonly away?: string;
  readonly rows: Iterable<Row>;
}

/** A game as other sources name it. */
export interface GameName {
  readonly gameId: string;
  readonly date: string;
  readonly home: string;
  readonly away: string;
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
  readonly homeScore: Int16Array;
  readonly period: Uint8Array;
  readonly clockRemainingS: Float32Array;
  readonly gameOver: Uint8Array;
  /** 1 when a scoring run of that side follows. */
  readonly homeRun: Uint8Array;
  readonly awayRun: Uint8Array;
  /** Index in `gameStarts` of the row's game. */
  readonly game: Uint32Array;
  /** By game. */
  readonly gameIds: readonly string[];
  readonly gameNames: readonly GameName[];
  /** Year in which the season of each game starts. */
  readonly gameSeasons: readonly number[];
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
  const gameIds: string[] = [];
  const gameSeasons: number[] = [];
  const gameNames: GameName[] = [];
  for await (const game of games) {
    const start = random.fork(game.gameId).int(every);
    gameStarts.push(rows);
    gameIds.push(game.gameId);
    const { gameId, date = "", home = "", away = "" } = game;
    gameNames.push({ gameId, date, home, away });
    gameSeasons.push(game.season);
    let play = 0;
    for (const row of game.rows) {
      const taken = play % every === start;
      play += 1;
      if (!taken) continue;
      if (rows === columns.margin.length) columns = grown(columns, features);
      store(columns, rows, row, { homeWon: game.homeWon, game: gameStarts.length - 1, features });
      rows += 1;
    }
    onGame?.(gameStarts.length, rows);
  }
  if (rows === 0) {
    throw new EmptyDatasetError(
      "the source has no finished game with plays; check the path and its format",
    );
  }
  return sealed(columns, { features, rows, gameStarts, gameIds, gameNames, gameSeasons });
}

/** Room at the start: about 140 games. */
const FIRST_ROWS = 65_536;

type Columns = Pick<
  Dataset,
  | "values"
  | "homeWon"
  | "margin"
  | "homeScore"
  | "period"
  | "clockRemainingS"
  | "gameOver"
  | "homeRun"
  | "awayRun"
  | "game"
>;

function emptyColumns(features: number, rows: number): Columns {
  return {
    values: new Float32Array(rows * features),
    homeWon: new Uint8Array(rows),
    margin: new Int16Array(rows),
    homeScore: new Int16Array(rows),
    period: new Uint8Array(rows),
    clockRemainingS: new Float32Array(rows),
    gameOver: new Uint8Array(rows),
    homeRun: new Uint8Array(rows),
    awayRun: new Uint8Array(rows),
    game: new Uint32Array(rows),
  };
}

function grown(old: Columns, features: number): Columns {
  const columns = emptyColumns(features, old.margin.length * 2);
  columns.values.set(old.values);
  columns.homeWon.set(old.homeWon);
  columns.margin.set(old.margin);
  columns.homeScore.set(old.homeScore);
  columns.period.set(old.period);
  columns.clockRemainingS.set(old.clockRemainingS);
  columns.gameOver.set(old.gameOver);
  columns.homeRun.set(old.homeRun);
  columns.awayRun.set(old.awayRun);
  columns.game.set(old.game);
  return columns;
}

interface Stored {
  readonly homeWon: boolean;
  readonly game: number;
  readonly features: number;
}

function store(columns: Columns, i: number, row: Row, { homeWon, game, features }: Stored): void {
  columns.values.set(row.vector, i * features);
  columns.homeWon[i] = homeWon ? 1 : 0;
  columns.margin[i] = row.margin;
  columns.homeScore[i] = row.homeScore;
  columns.period[i] = row.period;
  columns.clockRemainingS[i] = row.clockRemainingS;
  columns.gameOver[i] = row.gameOver ? 1 : 0;
  columns.homeRun[i] = row.homeRun ? 1 : 0;
  columns.awayRun[i] = row.awayRun ? 1 : 0;
  columns.game[i] = game;
}

function sealed(
  columns: Columns,
  size: Pick<Dataset, "features" | "rows" | "gameStarts" | "gameIds" | "gameNames" | "gameSeasons">,
): Dataset {
  const { features, rows, gameStarts, gameIds, gameNames, gameSeasons } = size;
  const values = columns.values.subarray(0, rows * features);
  const homeWon = columns.homeWon.subarray(0, rows);
  return {
    features,
    rows,
    games: gameStarts.length,
    values,
    homeWon,
    margin: columns.margin.subarray(0, rows),
    homeScore: columns.homeScore.subarray(0, rows),
    period: columns.period.subarray(0, rows),
    clockRemainingS: columns.clockRemainingS.subarray(0, rows),
    gameOver: columns.gameOver.subarray(0, rows),
    homeRun: columns.homeRun.subarray(0, rows),
    awayRun: columns.awayRun.subarray(0, rows),
    game: columns.game.subarray(0, rows),
    gameIds,
    gameNames,
    gameSeasons,
    gameStarts: [...gameStarts, rows],
    sha256: createHash("sha256").update(values).update(homeWon).digest("hex"),
  };
}
