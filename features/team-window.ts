import { create } from "@bufbuild/protobuf";
import {
  type TeamWindow,
  TeamWindowSchema,
  type TrailingWindow,
} from "../proto/gen/courtside/v1/insight_pb.ts";
import {
  type PlayEvent,
  PlayKind,
  ReboundKind,
  type Side,
} from "../proto/gen/courtside/v1/play_pb.ts";
import {
  type WindowAccumulator,
  WindowAccumulatorSchema,
} from "../proto/gen/courtside/v1/state_pb.ts";
import { REGULATION_S } from "./game-clock.ts";

/** What a play counts as for its team. Kept in checkpoints: values never change their meaning. */
export const NOT_COUNTED = 0;
const MISSED_TWO = 1;
const MADE_TWO = 2;
const MISSED_THREE = 3;
const MADE_THREE = 4;
const MISSED_FREE_THROW = 5;
const MADE_FREE_THROW = 6;
const TURNOVER = 7;
const OFFENSIVE_REBOUND = 8;

/**
 * Share of free throws that end a possession.
 * @see Kubatko, Oliver, Pelton and Rosenbaum, "A Starting Point for Analyzing Basketball Statistics", 2007.
 */
export const FREE_THROW_POSSESSION_SHARE = 0.44;

/** The one place that decides what a play counts as; `NOT_COUNTED` when it changes no team number. */
export function countedAs(play: PlayEvent): number {
  // As a number: the enum is open, and most kinds count as nothing.
  switch (play.kind as number) {
    case PlayKind.SHOT:
      if (play.shotValue === 3) return play.shotMade ? MADE_THREE : MISSED_THREE;
      return play.shotMade ? MADE_TWO : MISSED_TWO;
    case PlayKind.FREE_THROW:
      return play.shotMade ? MADE_FREE_THROW : MISSED_FREE_THROW;
    case PlayKind.TURNOVER:
      return TURNOVER;
    case PlayKind.REBOUND:
      return play.reboundKind === ReboundKind.OFFENSIVE ? OFFENSIVE_REBOUND : NOT_COUNTED;
    default:
      return NOT_COUNTED;
  }
}

/**
 * Adds a counted play to its team's numbers, or takes it out again.
 * @param step - 1 to add, -1 to take out.
 */
export function count(acc: WindowAccumulator, code: number, step: 1 | -1): void {
  switch (code) {
    case MADE_THREE:
      acc.threesMade += step;
      acc.fieldGoalsMade += step;
      acc.fieldGoalsAttempted += step;
      acc.points += 3 * step;
      return;
    case MADE_TWO:
      acc.fieldGoalsMade += step;
      acc.fieldGoalsAttempted += step;
      acc.points += 2 * step;
      return;
    case MISSED_THREE:
    case MISSED_TWO:
      acc.fieldGoalsAttempted += step;
      return;
    case MADE_FREE_THROW:
      acc.freeThrowsMade += step;
      acc.freeThrowsAttempted += step;
      acc.points += step;
      return;
    case MISSED_FREE_THROW:
      acc.freeThrowsAttempted += step;
      return;
    case TURNOVER:
      acc.turnovers += step;
      return;
    case OFFENSIVE_REBOUND:
      acc.offensiveRebounds += step;
      return;
    default: // NOT_COUNTED
  }
}

/** Aggregate of one team's plays, for a window operator; one number each, so windows of any length cost the same. */
export const teamWindowAggregate = {
  create: (): WindowAccumulator => create(WindowAccumulatorSchema),

  /** Counts `play` if it is `teamId`'s; changes `acc` in place. */
  add(acc: WindowAccumulator, play: PlayEvent, teamId: number): void {
    if (play.teamId === teamId) count(acc, countedAs(play), 1);
  },

  /** Takes out what `add` put in; changes `acc` in place. */
  remove(acc: WindowAccumulator, play: PlayEvent, teamId: number): void {
    if (play.teamId === teamId) count(acc, countedAs(play), -1);
  },

  /** Counts of two windows without a play in common; neither argument changes. */
  merge: (a: WindowAccumulator, b: WindowAccumulator): WindowAccumulator =>
    create(WindowAccumulatorSchema, {
      points: a.points + b.points,
      fieldGoalsMade: a.fieldGoalsMade + b.fieldGoalsMade,
      fieldGoalsAttempted: a.fieldGoalsAttempted + b.fieldGoalsAttempted,
      threesMade: a.threesMade + b.threesMade,
      freeThrowsMade: a.freeThrowsMade + b.freeThrowsMade,
      freeThrowsAttempted: a.freeThrowsAttempted + b.freeThrowsAttempted,
      turnovers: a.turnovers + b.turnovers,
      offensiveRebounds: a.offensiveRebounds + b.offensiveRebounds,
    }),

  result(acc: WindowAccumulator): TrailingWindow {
    return {
      $typeName: "courtside.v1.TrailingWindow",
      points: acc.points,
      fieldGoalsMade: acc.fieldGoalsMade,
      fieldGoalsAttempted: acc.fieldGoalsAttempted,
      threesMade: acc.threesMade,
      freeThrowsMade: acc.freeThrowsMade,
      freeThrowsAttempted: acc.freeThrowsAttempted,
      turnovers: acc.turnovers,
      offensiveRebounds: acc.offensiveRebounds,
      possessions: possessionsOf(acc),
    };
  },
};

/** Whose window it is, and which. */
export interface TeamWindowKey {
  readonly gameId: string;
  readonly teamId: number;
  readonly side: Side;
  /** Half-open window of game time, seconds since tip-off; `endS > startS`. */
  readonly startS: number;
  readonly endS: number;
}

/** The window as it is published: counts with effective field goals, pace and free throw rate. */
export function toTeamWindow(key: TeamWindowKey, acc: WindowAccumulator): TeamWindow {
  const sizeS = key.endS - key.startS;
  return create(TeamWindowSchema, {
    gameId: key.gameId,
    teamId: key.teamId,
    side: key.side,
    startS: BigInt(key.startS),
    endS: BigInt(key.endS),
    sizeS,
    totals: teamWindowAggregate.result(acc),
    effectiveFg: effectiveFieldGoals(acc),
    pace: (possessionsOf(acc) * REGULATION_S) / sizeS,
    freeThrowRate: ratio(acc.freeThrowsAttempted, acc.fieldGoalsAttempted),
  });
}

/** What both kinds of window count. */
export type WindowCounts = Omit<WindowAccumulator, "$typeName" | "$unknown">;

/**
 * Possessions by the usual estimate, never below 0: FGA + 0.44 FTA + TOV - OREB. A window may hold the
 * rebound of a shot that came before it.
 */
export function possessionsOf(counts: WindowCounts): number {
  const estimate =
    counts.fieldGoalsAttempted +
    FREE_THROW_POSSESSION_SHARE * counts.freeThrowsAttempted +
    counts.turnovers -
    counts.offensiveRebounds;
  return Math.max(0, estimate);
}

/** (FGM + 0.5 x 3PM) / FGA, 0..1.5; 0 without attempts. @see Oliver, "Basketball on Paper", 2004, chapter 5. */
export function effectiveFieldGoals(counts: WindowCounts): number {
  return ratio(counts.fieldGoalsMade + 0.5 * counts.threesMade, counts.fieldGoalsAttempted);
}

function ratio(numerator: number, denominator: number): number {
  return denominator === 0 ? 0 : numerator / denominator;
}
