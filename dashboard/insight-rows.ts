import {
  type GameState,
  type PlayerLoad,
  type PlayInsight,
  type Prediction,
  type TeamWindow,
  type TrailingWindow,
} from "../proto/gen/courtside/v1/insight_pb.ts";
import {
  type GameInfo,
  type PlayEvent,
  PlayKind,
  PlayKindSchema,
  SeasonTypeSchema,
  Side,
  type Team,
} from "../proto/gen/courtside/v1/play_pb.ts";
import {
  type GameFacts,
  type GameSituation,
  type PlayerLine,
  type PlayRow,
  type ShotPlace,
  type TrendRow,
  type WindowRow,
  type WireSide,
  type WireTeam,
} from "./wire.ts";

/** Regulation and overtime lengths, NBA rule 5. */
const QUARTER_S = 720;
const OVERTIME_S = 300;
const REGULATION_PERIODS = 4;
const GAME_S = REGULATION_PERIODS * QUARTER_S;
/** Less game time than this makes no pace: one possession would be worth hundreds. */
const MIN_PACE_S = 60;

/** Game time since tip-off in seconds; `period` from 1. */
export function elapsedS(period: number, clockS: number): number {
  if (period <= REGULATION_PERIODS)
    return Math.max(0, (period - 1) * QUARTER_S + QUARTER_S - clockS);
  const before = GAME_S + (period - REGULATION_PERIODS - 1) * OVERTIME_S;
  return before + OVERTIME_S - clockS;
}

/** Row of a play; `prediction` may be missing, then the curve has a hole there. */
export function playRow(insight: PlayInsight): PlayRow | undefined {
  const { play, prediction, state } = insight;
  if (play === undefined) return undefined;
  const clockS = play.clockRemainingDs / 10;
  return {
    number: play.playNumber,
    revision: play.revision,
    retracted: play.retracted,
    period: play.period,
    clockS,
    elapsedS: elapsedS(play.period, clockS),
    homeScore: play.homeScore,
    awayScore: play.awayScore,
    kind: kindWord(play.kind),
    side: wireSide(play.side),
    text: play.description,
    points: play.shotMade ? play.shotValue : 0,
    homeWinProb: probability(prediction?.homeWinProb),
    low: probability(prediction?.homeWinProbLow),
    high: probability(prediction?.homeWinProbHigh),
    ingestTimeMs: Number(play.ingestTimeMs),
    actorId: play.actorId,
    shot: shotPlace(play),
    run: state?.currentRun ?? 0,
    possession: wireSide(state?.possession),
  };
}

/** Where a field goal was tried; free throws have no place. */
function shotPlace(play: PlayEvent): ShotPlace | null {
  const { kind, shotXFt, shotYFt, shotValue: value, shotMade: made } = play;
  if (kind !== PlayKind.SHOT || shotXFt === undefined || shotYFt === undefined) return null;
  return { xFt: round(shotXFt, 1), yFt: round(shotYFt, 1), value, made };
}

/** Game seconds that are left in regulation, or in the overtime under way. */
export function secondsLeft(period: number, clockS: number): number {
  return Math.max(0, REGULATION_PERIODS - period) * QUARTER_S + clockS;
}

export function gameSituation(state: GameState, prediction: Prediction | undefined): GameSituation {
  return {
    possession: state.possession === Side.NONE ? "none" : wireSide(state.possession),
    possessionReason: state.possessionReason,
    homeFouls: state.homeTeamFouls ?? null,
    awayFouls: state.awayTeamFouls ?? null,
    homeInBonus: state.homeInBonus ?? null,
    awayInBonus: state.awayInBonus ?? null,
    homeTimeouts: state.homeTimeoutsRemaining ?? null,
    awayTimeouts: state.awayTimeoutsRemaining ?? null,
    currentRun: state.currentRun ?? null,
    leadChanges: state.leadChanges ?? null,
    homeWinProbLow: probability(prediction?.homeWinProbLow),
    homeWinProbHigh: probability(prediction?.homeWinProbHigh),
    homeRunProb: probability(prediction?.homeRunProb),
    awayRunProb: probability(prediction?.awayRunProb),
    model:
      prediction === undefined ? "" : `${prediction.modelName} ${prediction.modelVersion}`.trim(),
  };
}

export function gameFacts(info: GameInfo): GameFacts {
  return {
    venue: info.venue,
    neutralSite: info.neutralSite,
    seasonType: words(SeasonTypeSchema.value[info.seasonType]?.localName ?? ""),
    homeElo: info.homeElo ?? null,
    awayElo: info.awayElo ?? null,
    homePregameWinProb: probability(info.homePregameWinProb),
    closingSpreadHome: info.closingSpreadHome ?? null,
  };
}

export function wireTeam(team: Team | undefined, fallback: string): WireTeam {
  const tricode = team?.tricode || fallback;
  return { teamId: team?.teamId ?? 0, tricode, name: team?.name || tricode };
}

/** Line of a player; undefined when the side is not known, since then it belongs into no table. */
export function playerLine(
  load: PlayerLoad,
  starter: boolean,
  asOfS: number,
): PlayerLine | undefined {
  const side = wireSide(load.side);
  if (side === null) return undefined;
  return {
    id: load.playerId,
    name: load.playerName,
    side,
    starter,
    onCourt: load.onCourt,
    asOfS,
    playedS: round(load.playedS, 1),
    stintS: round(load.stintS, 1),
    stintMaxS: round(load.stintMaxS, 1),
    restS: round(load.restS, 1),
    last12S: round(load.playedLast12MinS, 1),
    points: load.points,
    fieldGoals: [load.fieldGoalsMade, load.fieldGoalsAttempted],
    threes: [load.threesMade, load.threesAttempted],
    freeThrows: [load.freeThrowsMade, load.freeThrowsAttempted],
    rebounds: [load.offensiveRebounds, load.defensiveRebounds],
    assists: load.assists,
    steals: load.steals,
    blocks: load.blocks,
    turnovers: load.turnovers,
    fouls: load.personalFouls,
    plusMinus: load.plusMinus,
    usage: round(load.usage, 3),
    trueShooting: round(load.trueShooting, 3),
  };
}

/** Row of a window that the game's watermark fired; none when corrections left nothing in it. */
export function firedWindow(window: TeamWindow): WindowRow | undefined {
  const side = wireSide(window.side);
  if (side === null || window.totals === undefined || window.retracted) return undefined;
  return windowRow(side, window.sizeS, Number(window.endS), window.totals);
}

/** Length of the windows that make the small multiples: short enough to move, long enough to mean something. */
const TREND_SIZE_S = 300;

export function trendRow(window: WindowRow): TrendRow | undefined {
  const { side, endS, pace, effectiveFg, turnovers, points, sizeS } = window;
  return sizeS === TREND_SIZE_S ? { side, endS, pace, effectiveFg, turnovers, points } : undefined;
}

/** Rows of the trailing windows that a state carries, as of `endS` seconds of game time. */
export function trailingWindows(state: GameState, endS: number): WindowRow[] {
  const candidates: [WireSide, number, TrailingWindow | undefined][] = [
    ["home", 120, state.homeLast2Min],
    ["away", 120, state.awayLast2Min],
    ["home", 300, state.homeLast5Min],
    ["away", 300, state.awayLast5Min],
    ["home", 600, state.homeLast10Min],
    ["away", 600, state.awayLast10Min],
  ];
  return candidates.flatMap(([side, sizeS, totals]) =>
    totals === undefined ? [] : [windowRow(side, sizeS, endS, totals)],
  );
}

export function wireSide(side: Side | undefined): WireSide | null {
  if (side === Side.HOME) return "home";
  return side === Side.AWAY ? "away" : null;
}

/**
 * Four decimals are finer than a pixel; undefined and not-a-number are "unknown". What is not certain is
 * not rounded to certainty.
 */
export function probability(value: number | undefined): number | null {
  if (value === undefined || !Number.isFinite(value)) return null;
  if (value <= 0 || value >= 1) return value <= 0 ? 0 : 1;
  return Math.min(0.9999, Math.max(0.0001, round(value, 4)));
}

function windowRow(side: WireSide, sizeS: number, endS: number, totals: TrailingWindow): WindowRow {
  const { fieldGoalsMade: made, fieldGoalsAttempted: attempted, threesMade } = totals;
  // Early in a game the window is not full yet; pace counts the time that has been played.
  const playedS = Math.min(sizeS, endS);
  return {
    side,
    sizeS,
    endS,
    points: totals.points,
    fieldGoals: [made, attempted],
    threesMade,
    freeThrows: [totals.freeThrowsMade, totals.freeThrowsAttempted],
    turnovers: totals.turnovers,
    offensiveRebounds: totals.offensiveRebounds,
    possessions: round(totals.possessions, 1),
    effectiveFg: attempted === 0 ? null : round((made + 0.5 * threesMade) / attempted, 3),
    pace: playedS < MIN_PACE_S ? null : round((totals.possessions * GAME_S) / playedS, 1),
  };
}

/** Enums are open: a kind that this reader does not know is shown as any other row. */
function kindWord(kind: PlayKind): string {
  return words(PlayKindSchema.value[kind]?.localName ?? "other");
}

function words(enumName: string): string {
  return enumName.toLowerCase().replaceAll("_", " ");
}

function round(value: number, digits: number): number {
  const scale = 10 ** digits;
  return Math.round(value * scale) / scale;
}
