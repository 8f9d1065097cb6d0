/** Basketball as pure folds: plays in, states, loads, windows and model inputs out. */
export {
  carryOver,
  ELO_AVERAGE,
  type EloGame,
  type EloRatings,
  eloUpdate,
  eloWinProb,
  HOME_ADVANTAGE_ELO,
  homeAdvantageElo,
  spreadWinProb,
} from "./elo.ts";
export {
  gameTimeDs,
  OVERTIME_S,
  periodLengthS,
  periodStartS,
  QUARTER_S,
  REGULATION_S,
  secondsRemaining,
} from "./game-clock.ts";
export {
  applyGameInfo,
  applyPlay,
  createGameFold,
  gameStateOf,
  hasScoringRunGrown,
  pregameWinProbOf,
  SCORING_RUN_POINTS,
  scoringRunOf,
} from "./game-state.ts";
export { applyPlayToPlayers, createPlayersFold, playerLoadOf } from "./player-load.ts";
export {
  countedAs,
  effectiveFieldGoals,
  possessionsOf,
  type TeamWindowKey,
  teamWindowAggregate,
  toTeamWindow,
} from "./team-window.ts";
export {
  FEATURE_SCHEMA_HASH,
  type FeatureDescription,
  FEATURES,
  featureSchemaHash,
  featureVectorOf,
  holdsOdds,
  toFeatureVector,
} from "./vector.ts";
