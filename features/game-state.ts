import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  type GameState,
  type ScoringRun,
  type TrailingWindow,
} from "../proto/gen/courtside/v1/insight_pb.ts";
import {
  type GameInfo,
  type PlayEvent,
  PlayKind,
  Side,
} from "../proto/gen/courtside/v1/play_pb.ts";
import {
  type GameFold,
  type PossessionFold,
  PossessionFoldSchema,
  type TeamFold,
  TeamFoldSchema,
  type TrailingFold,
  type WindowAccumulator,
} from "../proto/gen/courtside/v1/state_pb.ts";
import { eloWinProb, homeAdvantageElo, spreadWinProb } from "./elo.ts";
import { gameTimeDs } from "./game-clock.ts";
import { applyPossession, otherSide, showsOffense } from "./possession.ts";
import {
  countTeamFoul,
  isChargedTimeout,
  isInPenalty,
  isTeamFoul,
  limitLateTimeouts,
  startTeamPeriod,
  timeoutsAtTipOff,
} from "./team-rules.ts";
import { teamWindowAggregate } from "./team-window.ts";
import { applyTrailing, createTrailingFold } from "./trailing.ts";

/** Unanswered points from which on a run is a scoring run. */
export const SCORING_RUN_POINTS = 8;

/** Plays that a state tells of. */
export const LAST_PLAYS = 5;

/** Points per official possession in the regular seasons 2016-17 to 2024-25, where every average starts. */
const LEAGUE_POINTS_PER_POSSESSION = 1.11;

/** Possessions after which a possession weighs half. */
const HALF_LIFE_POSSESSIONS = 10;
const POSSESSION_WEIGHT = 1 - 2 ** (-1 / HALF_LIFE_POSSESSIONS);

/**
 * State before the first play.
 * @param info - what was published before it; without it the teams are learnt from the plays.
 */
export function createGameFold(info: GameInfo | undefined, gameId: string): GameFold {
  // A literal, as in `gameStateOf`: an object that `create` made of so many fields is slow to read, too.
  const fold: GameFold = {
    $typeName: "courtside.v1.GameFold",
    gameId,
    homeTeam: "",
    awayTeam: "",
    homeTeamId: 0,
    awayTeamId: 0,
    homePregameWinProb: undefined,
    closingSpreadHome: undefined,
    homeElo: undefined,
    awayElo: undefined,
    playNumber: 0,
    homeScore: 0,
    awayScore: 0,
    period: 0,
    clockRemainingDs: 0,
    gameTimeDs: 0,
    gameOver: false,
    home: createTeamFold(),
    away: createTeamFold(),
    possession: create(PossessionFoldSchema, {
      side: Side.NONE,
      reason: "unknown",
      openingTip: Side.NONE,
      countedSide: Side.NONE,
    }),
    currentRun: 0,
    runStartPlayNumber: 0,
    runStartDs: 0,
    runLastPlayNumber: 0,
    runLastDs: 0,
    leadChanges: 0,
    timesTied: 0,
    lastLeader: Side.NONE,
    lastPlays: [],
    trailing: createTrailingFold(),
    timeoutsInPeriod: 0,
  };
  if (info !== undefined) applyGameInfo(fold, info);
  return fold;
}

/** Takes over what is known of a game apart from its plays; later information replaces earlier. */
export function applyGameInfo(fold: GameFold, info: GameInfo): void {
  fold.homeTeam = info.home?.tricode ?? "";
  fold.awayTeam = info.away?.tricode ?? "";
  fold.homeTeamId = info.home?.teamId ?? 0;
  fold.awayTeamId = info.away?.teamId ?? 0;
  fold.homeElo = info.homeElo;
  fold.awayElo = info.awayElo;
  fold.homePregameWinProb = pregameWinProbOf(info);
  fold.closingSpreadHome = info.closingSpreadHome;
}

/**
 * Probability before tip-off that the home team wins: as given (readers give what earlier results say), else from
 * the ratings with the home court of that season and floor, else from the closing spread; undefined when nothing tells.
 */
export function pregameWinProbOf(info: GameInfo): number | undefined {
  if (info.homePregameWinProb !== undefined) return info.homePregameWinProb;
  if (info.homeElo !== undefined && info.awayElo !== undefined) {
    return eloWinProb(info.homeElo, info.awayElo, homeAdvantageElo(info.season, info.neutralSite));
  }
  return info.closingSpreadHome === undefined ? undefined : spreadWinProb(info.closingSpreadHome);
}

/**
 * Folds the next play into the state, in place. Plays come in `play_number` order, each once; a play that
 * was taken back is not applied. Constant time but for trailing windows, which are amortised constant.
 */
export function applyPlay(fold: GameFold, play: PlayEvent): void {
  const { home, away, possession, trailing } = partsOf(fold);
  learnTeam(fold, play);
  const isTechnicalFreeThrow = applyPossession(fold, play);
  if (play.period !== fold.period) {
    startTeamPeriod(home, play.period);
    startTeamPeriod(away, play.period);
    fold.timeoutsInPeriod = 0;
    finishPossession(possession, home, away);
  }
  fold.period = play.period;
  fold.clockRemainingDs = play.clockRemainingDs;
  fold.gameTimeDs = Math.max(fold.gameTimeDs, gameTimeDs(play.period, play.clockRemainingDs));
  fold.playNumber = play.playNumber;
  fold.gameOver = play.gameOver;
  limitLateTimeouts(fold, home);
  limitLateTimeouts(fold, away);
  const team = teamOf(play.side, home, away);
  if (team !== undefined) applyTeamRow(fold, team, play);
  if (!isTechnicalFreeThrow) applyEfficiency(possession, home, away, play);
  const points = applyScore(fold, play);
  applyTrailing(trailing, play, fold.gameTimeDs);
  rememberPlay(fold, play, points);
}

/**
 * The state as it is told outside. Shares nothing with the fold that a later play changes.
 *
 * Messages of the hot path are written as literals here: `create` sets field by field, which costs more
 * than the fold itself (2.3 µs for a message of 29 fields).
 */
export function gameStateOf(fold: GameFold): GameState {
  const { home, away, possession, trailing } = partsOf(fold);
  const hasBegun = fold.period > 0;
  return {
    $typeName: "courtside.v1.GameState",
    gameId: fold.gameId,
    homeTeam: fold.homeTeam,
    awayTeam: fold.awayTeam,
    homeScore: fold.homeScore,
    awayScore: fold.awayScore,
    period: hasBegun ? fold.period : undefined,
    clockRemainingS: hasBegun ? fold.clockRemainingDs / 10 : undefined,
    possession: possession.side,
    homePregameWinProb: fold.homePregameWinProb,
    closingSpreadHome: fold.closingSpreadHome,
    homeElo: fold.homeElo,
    awayElo: fold.awayElo,
    homeTeamFouls: home.teamFouls,
    awayTeamFouls: away.teamFouls,
    homeInBonus: isInPenalty(away, fold.period),
    awayInBonus: isInPenalty(home, fold.period),
    homeTimeoutsRemaining: home.timeoutsRemaining,
    awayTimeoutsRemaining: away.timeoutsRemaining,
    possessionReason: possession.reason,
    currentRun: fold.currentRun,
    leadChanges: fold.leadChanges,
    gameOver: fold.gameOver,
    homeLast2Min: told(trailing.home2Min),
    awayLast2Min: told(trailing.away2Min),
    homeLast5Min: told(trailing.home5Min),
    awayLast5Min: told(trailing.away5Min),
    homeLast10Min: told(trailing.home10Min),
    awayLast10Min: told(trailing.away10Min),
    timesTied: fold.timesTied,
    lastPlays: fold.lastPlays.slice(),
    homePointsPerPossession: home.pointsPerPossession,
    awayPointsPerPossession: away.pointsPerPossession,
    scoringRun: scoringRunOf(fold),
  };
}

/** The scoring run under way, if the current run is long enough to be one. */
export function scoringRunOf(fold: GameFold): ScoringRun | undefined {
  const points = Math.abs(fold.currentRun);
  if (points < SCORING_RUN_POINTS) return undefined;
  return {
    $typeName: "courtside.v1.ScoringRun",
    side: fold.currentRun > 0 ? Side.HOME : Side.AWAY,
    points,
    startPlayNumber: fold.runStartPlayNumber,
    lastPlayNumber: fold.runLastPlayNumber,
    startS: fold.runStartDs / 10,
    lastS: fold.runLastDs / 10,
  };
}

/** True when the last play made or lengthened a scoring run: once for each row that tells of runs. */
export function hasScoringRunGrown(fold: GameFold): boolean {
  return (
    Math.abs(fold.currentRun) >= SCORING_RUN_POINTS && fold.runLastPlayNumber === fold.playNumber
  );
}

interface FoldParts {
  readonly home: TeamFold;
  readonly away: TeamFold;
  readonly possession: PossessionFold;
  readonly trailing: TrailingFold;
}

/** Protobuf cannot say that a message field is always there; a fold made by `createGameFold` has them all. */
function partsOf(fold: GameFold): FoldParts {
  const { home, away, possession, trailing } = fold;
  assert(home !== undefined && away !== undefined, "a game fold has both teams");
  assert(possession !== undefined && trailing !== undefined, "a game fold has all its parts");
  return { home, away, possession, trailing };
}

function createTeamFold(): TeamFold {
  return create(TeamFoldSchema, {
    timeoutsRemaining: timeoutsAtTipOff(),
    pointsPerPossession: LEAGUE_POINTS_PER_POSSESSION,
  });
}

function learnTeam(fold: GameFold, play: PlayEvent): void {
  if (play.side === Side.HOME && fold.homeTeamId === 0) fold.homeTeamId = play.teamId;
  if (play.side === Side.AWAY && fold.awayTeamId === 0) fold.awayTeamId = play.teamId;
}

function teamOf(side: Side, home: TeamFold, away: TeamFold): TeamFold | undefined {
  if (side === Side.HOME) return home;
  return side === Side.AWAY ? away : undefined;
}

function applyTeamRow(fold: GameFold, team: TeamFold, play: PlayEvent): void {
  if (play.kind === PlayKind.FOUL && isTeamFoul(play.foulKind)) {
    countTeamFoul(team, play.clockRemainingDs);
  }
  if (!isChargedTimeout(play)) return;
  fold.timeoutsInPeriod++;
  if (team.timeoutsRemaining > 0) team.timeoutsRemaining--;
}

/**
 * Moving average of points per possession. A possession is over when the other side next shows that it has
 * the ball, so that an and-one still belongs to it; technical free throws belong to none.
 */
function applyEfficiency(
  possession: PossessionFold,
  home: TeamFold,
  away: TeamFold,
  play: PlayEvent,
): void {
  if (!showsOffense(play)) return;
  if (play.side !== possession.countedSide) {
    finishPossession(possession, home, away);
    possession.countedSide = play.side;
  }
  if (play.shotMade) possession.countedPoints += play.kind === PlayKind.SHOT ? play.shotValue : 1;
}

function finishPossession(possession: PossessionFold, home: TeamFold, away: TeamFold): void {
  const team = teamOf(possession.countedSide, home, away);
  if (team !== undefined) {
    const surprise = possession.countedPoints - team.pointsPerPossession;
    team.pointsPerPossession += POSSESSION_WEIGHT * surprise;
  }
  possession.countedSide = Side.NONE;
  possession.countedPoints = 0;
}

/** @returns the points that the play brought, by the feed's score. */
function applyScore(fold: GameFold, play: PlayEvent): number {
  const homePoints = play.homeScore - fold.homeScore;
  const awayPoints = play.awayScore - fold.awayScore;
  if (homePoints === 0 && awayPoints === 0) return 0;
  fold.homeScore = play.homeScore;
  fold.awayScore = play.awayScore;
  if (homePoints > 0) extendRun(fold, homePoints, play);
  if (awayPoints > 0) extendRun(fold, -awayPoints, play);

  const margin = fold.homeScore - fold.awayScore;
  if (margin === 0) fold.timesTied++;
  else {
    const leader = margin > 0 ? Side.HOME : Side.AWAY;
    if (fold.lastLeader === otherSide(leader)) fold.leadChanges++;
    fold.lastLeader = leader;
  }
  return Math.max(0, homePoints) + Math.max(0, awayPoints);
}

/** @param points - positive for the home side, negative for the away side. */
function extendRun(fold: GameFold, points: number, play: PlayEvent): void {
  if (Math.sign(fold.currentRun) === Math.sign(points)) fold.currentRun += points;
  else {
    fold.currentRun = points;
    fold.runStartPlayNumber = play.playNumber;
    fold.runStartDs = fold.gameTimeDs;
  }
  fold.runLastPlayNumber = play.playNumber;
  fold.runLastDs = fold.gameTimeDs;
}

/** Recent plays are shared with the states that tell of them, so they are made once and never changed. */
function rememberPlay(fold: GameFold, play: PlayEvent, points: number): void {
  const { playNumber, kind, side } = play;
  if (fold.lastPlays.length === LAST_PLAYS) fold.lastPlays.shift();
  fold.lastPlays.push({ $typeName: "courtside.v1.RecentPlay", playNumber, kind, side, points });
}

function told(acc: WindowAccumulator | undefined): TrailingWindow {
  return teamWindowAggregate.result(acc ?? teamWindowAggregate.create());
}
