import { FoulKind, type PlayEvent, PlayKind, Side } from "../proto/gen/courtside/v1/play_pb.ts";
import type { GameFold, TeamFold } from "../proto/gen/courtside/v1/state_pb.ts";
import { QUARTERS } from "./game-clock.ts";

/** Team fouls that cost nothing: four in a quarter, three in an overtime (rule 12, part B, section V). */
const FREE_TEAM_FOULS = 4;
const FREE_TEAM_FOULS_OVERTIME = 3;
const LAST_2_MIN_DS = 1200;

/** Time-outs since 2017-18 (rule 5, section VI); feeds of earlier seasons are folded by the same rule. */
const TIMEOUTS = 7;
const TIMEOUTS_FOURTH = 4;
const TIMEOUTS_LAST_3_MIN = 2;
const TIMEOUTS_OVERTIME = 2;
const MANDATORY_TIMEOUTS = 2;
const LAST_3_MIN_DS = 1800;

export function timeoutsAtTipOff(): number {
  return TIMEOUTS;
}

/** New period: team fouls start again; no more than four time-outs go into the fourth, two into an overtime. */
export function startTeamPeriod(team: TeamFold, period: number): void {
  team.teamFouls = 0;
  team.teamFoulsLast2Min = 0;
  if (period > QUARTERS) team.timeoutsRemaining = TIMEOUTS_OVERTIME;
  else if (period === QUARTERS) {
    team.timeoutsRemaining = Math.min(team.timeoutsRemaining, TIMEOUTS_FOURTH);
  }
}

/**
 * A team time-out. Those of a coach's challenge are left out: feeds list them so while the challenge is
 * heard, and the box scores of the 60 recorded games of February 2025 have not one of them charged.
 */
export function isChargedTimeout(play: PlayEvent): boolean {
  if (play.kind !== PlayKind.TIMEOUT) return false;
  return (
    (play.side === Side.HOME || play.side === Side.AWAY) &&
    !play.subtype.toLowerCase().includes("challenge")
  );
}

/**
 * In the fourth period a team has no more than two time-outs after the later of the three minute mark and
 * the end of the second mandatory time-out, which is in nearly all games the period's second one.
 */
export function limitLateTimeouts(fold: GameFold, team: TeamFold): void {
  if (fold.period !== QUARTERS || fold.clockRemainingDs > LAST_3_MIN_DS) return;
  if (fold.timeoutsInPeriod < MANDATORY_TIMEOUTS) return;
  team.timeoutsRemaining = Math.min(team.timeoutsRemaining, TIMEOUTS_LAST_3_MIN);
}

/**
 * Fouls that count towards the penalty (rule 12, part B, section V). Offensive fouls, technicals and double
 * fouls do not; a foul whose kind the feed keeps to itself does, as most fouls do.
 */
export function isTeamFoul(kind: FoulKind): boolean {
  return (
    kind !== FoulKind.OFFENSIVE &&
    kind !== FoulKind.TECHNICAL &&
    kind !== FoulKind.NON_PERSONAL &&
    kind !== FoulKind.DOUBLE
  );
}

export function countTeamFoul(team: TeamFold, clockRemainingDs: number): void {
  team.teamFouls++;
  if (clockRemainingDs <= LAST_2_MIN_DS) team.teamFoulsLast2Min++;
}

/**
 * True when the next foul of `fouling` sends the other side to the line: its free fouls are used up, or it
 * has fouled once in the last two minutes, in which a team has one free foul at most.
 */
export function isInPenalty(fouling: TeamFold, period: number): boolean {
  const free = period > QUARTERS ? FREE_TEAM_FOULS_OVERTIME : FREE_TEAM_FOULS;
  return fouling.teamFouls >= free || fouling.teamFoulsLast2Min >= 1;
}
