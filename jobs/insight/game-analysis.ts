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
import { type GameResult, GameResultSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { type AnalysedPlay, AnalysedPlaySchema } from "../../proto/gen/courtside/v1/job_pb.ts";
import type { GameInfo, PlayEvent } from "../../proto/gen/courtside/v1/play_pb.ts";
import type { GameFold, PlayersFold } from "../../proto/gen/courtside/v1/state_pb.ts";

/** All that is remembered of a game to go on with it after any of its plays. */
export interface Folds {
  readonly game: GameFold;
  readonly players: PlayersFold;
}

/** The folds before the first play. */
export function createFolds(info: GameInfo | undefined, gameId: string): Folds {
  return { game: createGameFold(info, gameId), players: createPlayersFold(info, gameId) };
}

/**
 * Folds the next play into the game, in place, and says all that follows from it. Plays come by number, each
 * once; what is said depends on them and on `info` alone, never on when or how often they came.
 */
export function foldPlay(
  { game, players }: Folds,
  info: GameInfo | undefined,
  play: PlayEvent,
): AnalysedPlay {
  applyPlay(game, play);
  const changed = applyPlayToPlayers(players, play);
  const gameState = gameStateOf(game);
  const analysed = create(AnalysedPlaySchema, {
    play,
    state: gameState,
    features: toFeatureVector(gameState, play),
    loads: (play.gameOver ? everyone(players) : changed).map((playerId) =>
      playerLoadOf(players, playerId, play),
    ),
    gameTimeMs: BigInt(game.gameTimeDs * 100),
  });
  const run = hasScoringRunGrown(game) ? scoringRunOf(game) : undefined;
  if (run !== undefined) analysed.runGrown = run;
  if (play.gameOver) analysed.result = resultOf(info, game);
  return analysed;
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
