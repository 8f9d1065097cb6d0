import { create } from "@bufbuild/protobuf";
import type { Row } from "../../connectors/clickhouse-sink.ts";
import { featureVectorOf, secondsRemaining } from "../../features/mod.ts";
import {
  JobGraph,
  type KeyedProcess,
  type ProcessContext,
  protoCodec,
  type TransactionalSink,
  valueState,
} from "../../operators/mod.ts";
import type {
  GameResult,
  Insight,
  PlayInsight,
  Prediction,
} from "../../proto/gen/courtside/v1/insight_pb.ts";
import {
  type GameScores,
  GameScoresSchema,
  type ScoredGames,
  ScoredGamesSchema,
  ScoredModelSchema,
  ScoredPlaySchema,
} from "../../proto/gen/courtside/v1/scorecard_pb.ts";
import { binOf, type DriftReference } from "./reference.ts";
import { DRIFT_TABLE, driftRows, SCORES_TABLE, scoreRows } from "./score-rows.ts";

export const SCORECARD_JOB = "scorecard";

/** A row with its table. */
export interface ScoreRow {
  readonly table: string;
  readonly row: Row;
}

/** Ended games of a key group that still take another result; the insight job corrects as many. */
const MAX_FINISHED_GAMES = 4;
/** More than any game has; beyond it plays are not scored. */
const MAX_PLAYS = 2_000;
/** Served model, challenger, and what else runs in the shadow. */
const MAX_MODELS = 8;
/** Key of what a key group remembers as a whole; no game has it. */
const GROUP_KEY = "";

const state = {
  scores: valueState(protoCodec(GameScoresSchema)),
  finished: valueState(protoCodec(ScoredGamesSchema)),
};
type Context = ProcessContext<ScoreRow, typeof state>;

/**
 * Insights → predictions of a game wait for its result → rows of scores and of drift.
 *
 * Keyed by game from the broker on, so that the job needs no stage of its own for the league: rows are sums over one
 * game, and views add them up.
 *
 * @param reference - what drift is measured against; without it there are no rows of drift.
 */
export function scorecardGraph(
  reference: DriftReference | undefined,
  rows: TransactionalSink<ScoreRow>,
): JobGraph<Insight | undefined> {
  const graph = new JobGraph<Insight | undefined>(SCORECARD_JOB);
  graph.source
    .flatMap<Insight>("readable", (insight, emit) => {
      if (insight !== undefined) emit(insight);
    })
    .keyBy(({ gameId }) => gameId)
    .process(scoreProcess(reference))
    .sinkTo(rows);
  return graph;
}

/** Collects the predictions of a game and scores them when its result comes. */
export function scoreProcess(
  reference: DriftReference | undefined,
): KeyedProcess<Insight, ScoreRow, typeof state> {
  return {
    uid: "score",
    state,
    onRecord(context, insight) {
      const scores = context.state.scores.get() ?? create(GameScoresSchema);
      if (!isNew(scores, insight)) return;
      const { body } = insight;
      if (body.case === "gameInfo") {
        scores.season = body.value.season;
        scores.gameDate = body.value.gameDate;
      } else if (body.case === "play" && !scores.closed) notePlay(scores, body.value, reference);
      context.state.scores.set(scores);
      if (body.case === "result" && !scores.closed)
        onResult(context, scores, body.value, reference);
    },
  };
}

/** Positions of a game only grow: what is not beyond the last one came again after a crash of the insight job. */
function isNew(scores: GameScores, { position }: Insight): boolean {
  if (position === undefined) return true;
  const { inputSequence, index } = position;
  const { lastSequence, lastIndex } = scores;
  const isBeyond =
    inputSequence > lastSequence || (inputSequence === lastSequence && index > lastIndex);
  const isFirst = lastSequence === 0n;
  if (!isBeyond && !isFirst) return false;
  scores.lastSequence = inputSequence;
  scores.lastIndex = index;
  return true;
}

function notePlay(
  scores: GameScores,
  { play, state: gameState, prediction, edition, corrects }: PlayInsight,
  reference: DriftReference | undefined,
): void {
  if (play === undefined) return;
  const at = scores.plays.findLastIndex((each) => each.playNumber === play.playNumber);
  if (at >= 0 && (scores.plays[at]?.edition ?? 0) > edition) return;
  // The last play has nothing left to predict; one that was taken back never was.
  const counts = prediction !== undefined && !play.retracted && gameState?.gameOver !== true;
  if (!counts || gameState === undefined) {
    if (at >= 0) scores.plays.splice(at, 1);
    return;
  }
  const period = gameState.period ?? 1;
  const { modelIndexes, homeWinProbs } = opinions(scores, prediction);
  const scored = create(ScoredPlaySchema, {
    playNumber: play.playNumber,
    edition,
    secondsRemaining: secondsRemaining(period, gameState.clockRemainingS ?? 0),
    margin: (gameState.homeScore ?? 0) - (gameState.awayScore ?? 0),
    period,
    modelIndexes,
    homeWinProbs,
  });
  if (at >= 0) scores.plays[at] = scored;
  else if (scores.plays.length < MAX_PLAYS) scores.plays.push(scored);
  if (reference !== undefined && !corrects && reference.schemaHash === prediction.schemaHash)
    countFeatures(scores, featureVectorOf(gameState), reference);
}

/** The served model and those in the shadow, by their index among the models of the game. */
function opinions(
  scores: GameScores,
  prediction: Prediction,
): { modelIndexes: number[]; homeWinProbs: number[] } {
  const all = [
    { ...prediction, role: "served" },
    ...prediction.shadows.map((shadow) => ({ ...shadow, role: shadow.alias || "shadow" })),
  ];
  const modelIndexes: number[] = [];
  const homeWinProbs: number[] = [];
  for (const { modelName, modelVersion, role, homeWinProb } of all) {
    let index = scores.models.findIndex(
      (each) => each.modelVersion === modelVersion && each.role === role,
    );
    if (index < 0) {
      if (scores.models.length >= MAX_MODELS) continue;
      index = scores.models.push(create(ScoredModelSchema, { modelName, modelVersion, role })) - 1;
    }
    modelIndexes.push(index);
    homeWinProbs.push(homeWinProb);
  }
  return { modelIndexes, homeWinProbs };
}

function countFeatures(
  scores: GameScores,
  vector: Float32Array,
  { histograms }: DriftReference,
): void {
  const { featureCounts } = scores;
  let from = 0;
  for (const { index, edges, shares } of histograms) {
    const at = from + binOf(vector[index] ?? 0, edges);
    from += shares.length;
    while (featureCounts.length < from) featureCounts.push(0);
    featureCounts[at] = (featureCounts[at] ?? 0) + 1;
  }
}

function onResult(
  context: Context,
  scores: GameScores,
  { homeScore, awayScore }: GameResult,
  reference: DriftReference | undefined,
): void {
  // A tie is no result: the feed broke off.
  if (homeScore === awayScore) return;
  scores.results += 1;
  for (const row of scoreRows(context.key, scores, homeScore > awayScore))
    context.emit({ table: SCORES_TABLE, row });
  if (reference !== undefined)
    for (const row of driftRows(context.key, scores, reference))
      context.emit({ table: DRIFT_TABLE, row });
  forgetOldest(context);
}

/** The game that ended longest ago leaves only the position that keeps it from being counted again. */
function forgetOldest(context: Context): void {
  const { key } = context;
  const oldest = context.withKey(GROUP_KEY, () => {
    const finished: ScoredGames = context.state.finished.get() ?? create(ScoredGamesSchema);
    if (!finished.gameIds.includes(key)) finished.gameIds.push(key);
    context.state.finished.set(finished);
    return finished.gameIds.length > MAX_FINISHED_GAMES ? finished.gameIds.shift() : undefined;
  });
  if (oldest === undefined) return;
  context.withKey(oldest, () => {
    const { lastSequence = 0n, lastIndex = 0 } = context.state.scores.get() ?? {};
    const closed = create(GameScoresSchema, { lastSequence, lastIndex, closed: true });
    context.state.scores.set(closed);
  });
}
