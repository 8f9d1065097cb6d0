import { type SourceGame } from "../data/source.ts";
import {
  applyPlay,
  createGameFold,
  featureVectorOf,
  FEATURES,
  gameStateOf,
} from "../operators/features/mod.ts";
import { type Row, type TrainingGame } from "./dataset.ts";

/**
 * The rows that training sees: every play goes through the fold of the insight job, and its features come from
 * the state after it. Games without a winner (broken off, or a source that ends early) are left out.
 */
export async function* trainingGames(
  source: AsyncIterable<SourceGame>,
): AsyncIterable<TrainingGame> {
  for await (const game of source) {
    const last = game.plays.at(-1);
    if (last === undefined || last.homeScore === last.awayScore) continue;
    const { gameId, season } = game.info;
    yield { gameId, season, homeWon: last.homeScore > last.awayScore, rows: rowsOf(game) };
  }
}

function* rowsOf({ info, plays }: SourceGame): Iterable<Row> {
  const fold = createGameFold(info, info.gameId);
  const vector = new Float32Array(FEATURES.length);
  for (const play of plays) {
    applyPlay(fold, play);
    const state = gameStateOf(fold);
    featureVectorOf(state, vector);
    yield {
      vector,
      margin: (state.homeScore ?? 0) - (state.awayScore ?? 0),
      period: state.period ?? 1,
      clockRemainingS: state.clockRemainingS ?? 0,
      gameOver: state.gameOver,
    };
  }
}
