import { create } from "@bufbuild/protobuf";
import {
  applyPlay,
  applyPlayToPlayers,
  createGameFold,
  createPlayersFold,
  eloUpdate,
  gameStateOf,
  hasScoringRunGrown,
  homeAdvantageElo,
  playerLoadOf,
  scoringRunOf,
  toFeatureVector,
} from "../../features/mod.ts";
import {
  type KeyedProcess,
  type ProcessContext,
  protoCodec,
  valueState,
} from "../../operators/mod.ts";
import { type GameResult, GameResultSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import {
  AnalysedPlaySchema,
  type InsightRecord,
  InsightRecordSchema,
  SeenPlaysSchema,
} from "../../proto/gen/courtside/v1/job_pb.ts";
import {
  type GameInfo,
  GameInfoSchema,
  type PlayEvent,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import {
  type GameFold,
  GameFoldSchema,
  type PlayersFold,
  PlayersFoldSchema,
} from "../../proto/gen/courtside/v1/state_pb.ts";
import { deadLetterTag, type GameInput, refusedPlay } from "./input.ts";
import { judge } from "./seen-plays.ts";

const state = {
  seen: valueState(protoCodec(SeenPlaysSchema)),
  info: valueState(protoCodec(GameInfoSchema)),
  game: valueState(protoCodec(GameFoldSchema)),
  players: valueState(protoCodec(PlayersFoldSchema)),
};

type Context = ProcessContext<InsightRecord, typeof state>;

/** Folds the plays of one game, in order and each once, into what is known after each of them. */
export const gameProcess: KeyedProcess<GameInput, InsightRecord, typeof state> = {
  uid: "game",
  state,
  onRecord(context, input) {
    if (input.kind === "info") onInfo(context, input.info);
    else onPlay(context, input.play);
  },
};

/** The first account counts: one that comes again, or after the first play, changes nothing. */
function onInfo(context: Context, info: GameInfo): void {
  const { seen } = context.state;
  if (context.state.info.get() !== undefined || (seen.get()?.lastPlayNumber ?? 0) > 0) return;
  context.state.info.set(info);
  context.emit(
    create(InsightRecordSchema, {
      gameId: info.gameId,
      body: { case: "gameInfo", value: info },
    }),
  );
}

function onPlay(context: Context, play: PlayEvent): void {
  if (play.revision > 1 || play.retracted)
    return context.side(
      deadLetterTag,
      refusedPlay(
        play,
        "CORRECTION",
        `revision ${String(play.revision)} of a play: corrections are not applied yet`,
      ),
    );
  const { seen: seenState } = context.state;
  const seen = seenState.get() ?? create(SeenPlaysSchema);
  seenState.set(seen);
  if (seen.gameOver && play.playNumber > seen.lastPlayNumber)
    return context.side(
      deadLetterTag,
      refusedPlay(play, "AFTER_GAME_OVER", "a play behind the one that ended the game"),
    );
  const verdict = judge(seen, play.playNumber);
  if (verdict.kind === "duplicate") return;
  if (verdict.kind === "out-of-order")
    return context.side(
      deadLetterTag,
      refusedPlay(
        play,
        "OUT_OF_ORDER",
        `play ${String(play.playNumber)} came behind play ${String(verdict.after)}`,
      ),
    );
  analyse(context, play);
  if (!play.gameOver) return;
  seen.gameOver = true;
  context.state.info.clear();
  context.state.game.clear();
  context.state.players.clear();
}

function analyse(context: Context, play: PlayEvent): void {
  const info = context.state.info.get();
  const game = context.state.game.get() ?? createGameFold(info, play.gameId);
  const players = context.state.players.get() ?? createPlayersFold(info, play.gameId);
  applyPlay(game, play);
  const changed = applyPlayToPlayers(players, play);
  context.state.game.set(game);
  context.state.players.set(players);
  const gameState = gameStateOf(game);
  const analysed = create(AnalysedPlaySchema, {
    play,
    state: gameState,
    features: toFeatureVector(gameState, play),
    loads: (play.gameOver ? everyone(players) : changed).map((playerId) =>
      playerLoadOf(players, playerId, play),
    ),
    gameTimeMs: BigInt(game.gameTimeDs * 100),
    traceparent: context.traceparent,
  });
  const run = hasScoringRunGrown(game) ? scoringRunOf(game) : undefined;
  if (run !== undefined) analysed.runGrown = run;
  if (play.gameOver) analysed.result = resultOf(info, game);
  context.emit(
    create(InsightRecordSchema, { gameId: play.gameId, body: { case: "play", value: analysed } }),
  );
}

function everyone(players: PlayersFold): number[] {
  return Object.values(players.players)
    .filter((player) => player.hasPlayed)
    .map((player) => player.playerId);
}

/** Ratings move from what they were before the game; a game without ratings leaves them at zero. */
function resultOf(info: GameInfo | undefined, game: GameFold): GameResult {
  const result = create(GameResultSchema, {
    gameId: game.gameId,
    homeScore: game.homeScore,
    awayScore: game.awayScore,
    periods: game.period,
    plays: game.playNumber,
  });
  if (info?.homeElo === undefined || info.awayElo === undefined) return result;
  const after = eloUpdate({
    homeElo: info.homeElo,
    awayElo: info.awayElo,
    margin: game.homeScore - game.awayScore,
    homeAdvantage: homeAdvantageElo(info.season, info.neutralSite),
  });
  result.homeEloBefore = info.homeElo;
  result.awayEloBefore = info.awayElo;
  result.homeEloAfter = after.homeElo;
  result.awayEloAfter = after.awayElo;
  return result;
}
