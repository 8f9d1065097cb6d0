import { type SourceGame } from "../data/source.ts";
import { backfill } from "../jobs/backfill/mod.ts";
import { type AnalysedPlay } from "../proto/gen/courtside/v1/job_pb.ts";
import { type Row, type TrainingGame } from "./dataset.ts";
import { runLabels } from "./scoring-run.ts";

/**
 * The rows that training sees: every game goes through the operators of the insight job, so its features are the
 * ones that the job sends to the model. Games without a winner (broken off, or a source that ends early) are
 * left out.
 */
export async function* trainingGames(
  source: AsyncIterable<SourceGame>,
): AsyncIterable<TrainingGame> {
  for await (const { info, plays, homeWon } of backfill(source)) {
    if (homeWon === undefined) continue;
    yield {
      gameId: info.gameId,
      season: info.season,
      homeWon,
      date: info.gameDate,
      home: info.home?.tricode ?? "",
      away: info.away?.tricode ?? "",
      rows: rowsOf(plays),
    };
  }
}

function* rowsOf(plays: readonly AnalysedPlay[]): Iterable<Row> {
  const runs = runLabels(
    plays.map(({ state, gameTimeMs }) => ({
      homeScore: state?.homeScore ?? 0,
      awayScore: state?.awayScore ?? 0,
      gameTimeS: Number(gameTimeMs) / 1000,
    })),
  );
  for (const [i, { state, features }] of plays.entries()) {
    if (state === undefined || features === undefined) continue;
    yield {
      vector: features.values,
      homeScore: state.homeScore ?? 0,
      margin: (state.homeScore ?? 0) - (state.awayScore ?? 0),
      period: state.period ?? 1,
      clockRemainingS: state.clockRemainingS ?? 0,
      gameOver: state.gameOver,
      homeRun: runs.home[i] === 1,
      awayRun: runs.away[i] === 1,
    };
  }
}
