import { CourtsideError } from "../../base/errors.ts";
import { type GameState, type TrailingWindow } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../../proto/gen/courtside/v1/play_pb.ts";

/** One thing that is wrong with an input. */
export interface Violation {
  /** In the spelling of the contract, for example `home_score`. */
  readonly field: string;
  /** What came, as JSON, cut to {@link MAX_VALUE_CHARS}; `absent` when nothing came. */
  readonly value: string;
  /** What was expected. */
  readonly rule: string;
}

/** The input breaks the contract; all violations are listed, the first ones in the message. */
export class InvalidInputError extends CourtsideError {
  override readonly code = "INVALID_INPUT";
  override readonly retryable = false;
  readonly violations: readonly Violation[];

  constructor(violations: readonly Violation[], options?: ErrorOptions) {
    const shown = violations.slice(0, MAX_SHOWN_VIOLATIONS).map(violationText);
    const more = violations.length - shown.length;
    super(shown.join("; ") + (more > 0 ? `; and ${more} more` : ""), options);
    this.violations = violations;
  }
}

/** Violations in one message: enough to mend a request in one go, and it still fits a gRPC trailer. */
const MAX_SHOWN_VIOLATIONS = 8;
/** Characters of a value that an error repeats. */
const MAX_VALUE_CHARS = 100;

/** Latest period that is believed; the longest NBA game had six overtimes (period 10). */
const MAX_PERIOD = 20;
const REGULATION_PERIODS = 4;
const REGULATION_PERIOD_S = 720;
const OVERTIME_PERIOD_S = 300;
/** Points of one side; the record is 186. */
const MAX_SCORE = 400;
const MAX_GAME_ID_CHARS = 64;
/** Three letters mostly; a name is understood as well, since the model does not look at it. */
const MAX_TEAM_CHARS = 64;

/** @param prefix - put before each field, for example `requests[3].state.`. */
export function gameStateViolations(state: GameState, prefix = ""): Violation[] {
  const found: Violation[] = [];
  const check: Check = (field, value, ok, rule) => {
    if (ok) return;
    const isAbsent = value === undefined || value === "";
    const fitting = isAbsent ? rule : rule.replace(/^is required: /u, "must be ");
    found.push({ field: prefix + field, value: valueText(value), rule: fitting });
  };
  checkNames(state, check);
  checkClock(state, check);
  const score = `is required: whole points, 0 to ${MAX_SCORE}`;
  check("home_score", state.homeScore, isCount(state.homeScore, MAX_SCORE), score);
  check("away_score", state.awayScore, isCount(state.awayScore, MAX_SCORE), score);
  check(
    "possession",
    state.possession,
    isOneOf(state.possession, [Side.HOME, Side.AWAY, Side.NONE]),
    "is required: HOME, AWAY or NONE (loose or dead ball)",
  );
  checkOptional(state, check);
  for (const [field, window] of windowsOf(state)) checkWindow(field, window, check);
  return found;
}

/** @returns JSON of `value`, cut; `absent` for undefined. Always whole characters, so that it fits a gRPC trailer. */
export function valueText(value: unknown): string {
  if (value === undefined) return "absent";
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? typeof value);
  return text.length > MAX_VALUE_CHARS
    ? `${text.slice(0, MAX_VALUE_CHARS).toWellFormed()}…`
    : text.toWellFormed();
}

/** A vector need not say which game it is of; when it does, the id has the length of an id. */
export function gameIdViolation(gameId: string, prefix: string): Violation[] {
  if (gameId.length <= MAX_GAME_ID_CHARS) return [];
  const rule = `must be at most ${MAX_GAME_ID_CHARS} characters`;
  return [{ field: `${prefix}game_id`, value: valueText(gameId), rule }];
}

type Check = (field: string, value: unknown, ok: boolean, rule: string) => void;

function checkNames(state: GameState, check: Check): void {
  const { gameId, homeTeam, awayTeam } = state;
  const idLength = gameId.length;
  const idRule = `is required: 1 to ${MAX_GAME_ID_CHARS} characters`;
  check("game_id", gameId, idLength > 0 && idLength <= MAX_GAME_ID_CHARS, idRule);
  const teamRule = `is required: 1 to ${MAX_TEAM_CHARS} characters, for example BOS`;
  for (const [field, team] of [
    ["home_team", homeTeam],
    ["away_team", awayTeam],
  ] as const)
    check(field, team, team.length > 0 && team.length <= MAX_TEAM_CHARS, teamRule);
  const same = homeTeam !== "" && homeTeam === awayTeam;
  check("away_team", awayTeam, !same, "must differ from home_team");
}

function checkClock({ period, clockRemainingS }: GameState, check: Check): void {
  const periodFits = isCount(period, MAX_PERIOD) && period !== 0;
  const rule = `is required: 1 to 4, from 5 for overtime, at most ${MAX_PERIOD}`;
  check("period", period, periodFits, rule);
  const overtime = period !== undefined && period > REGULATION_PERIODS;
  const lengthS = overtime ? OVERTIME_PERIOD_S : REGULATION_PERIOD_S;
  check(
    "clock_remaining_s",
    clockRemainingS,
    isBetween(clockRemainingS, 0, lengthS),
    `is required: seconds left in the period, 0 to ${lengthS}${overtime ? " in overtime" : ""}`,
  );
}

function checkOptional(state: GameState, check: Check): void {
  const range = (field: string, value: number | undefined, min: number, max: number): void =>
    check(
      field,
      value,
      value === undefined || isBetween(value, min, max),
      `must be ${min} to ${max}`,
    );
  range("home_pregame_win_prob", state.homePregameWinProb, 0, 1);
  range("closing_spread_home", state.closingSpreadHome, -60, 60);
  range("home_elo", state.homeElo, 0, 4000);
  range("away_elo", state.awayElo, 0, 4000);
  range("home_team_fouls", state.homeTeamFouls, 0, 50);
  range("away_team_fouls", state.awayTeamFouls, 0, 50);
  range("home_timeouts_remaining", state.homeTimeoutsRemaining, 0, 10);
  range("away_timeouts_remaining", state.awayTimeoutsRemaining, 0, 10);
  range("current_run", state.currentRun, -MAX_SCORE, MAX_SCORE);
  range("lead_changes", state.leadChanges, 0, 1000);
  range("times_tied", state.timesTied, 0, 1000);
  range("home_points_per_possession", state.homePointsPerPossession, 0, 5);
  range("away_points_per_possession", state.awayPointsPerPossession, 0, 5);
}

function windowsOf(state: GameState): readonly [string, TrailingWindow | undefined][] {
  return [
    ["home_last_2_min", state.homeLast2Min],
    ["away_last_2_min", state.awayLast2Min],
    ["home_last_5_min", state.homeLast5Min],
    ["away_last_5_min", state.awayLast5Min],
    ["home_last_10_min", state.homeLast10Min],
    ["away_last_10_min", state.awayLast10Min],
  ];
}

function checkWindow(field: string, window: TrailingWindow | undefined, check: Check): void {
  if (window === undefined) return;
  const counts: readonly [string, number][] = [
    ["points", window.points],
    ["field_goals_made", window.fieldGoalsMade],
    ["field_goals_attempted", window.fieldGoalsAttempted],
    ["threes_made", window.threesMade],
    ["free_throws_made", window.freeThrowsMade],
    ["free_throws_attempted", window.freeThrowsAttempted],
    ["turnovers", window.turnovers],
    ["offensive_rebounds", window.offensiveRebounds],
  ];
  for (const [name, value] of counts) {
    check(`${field}.${name}`, value, isCount(value, MAX_SCORE), `must be 0 to ${MAX_SCORE}`);
  }
  // The usual estimate can be below zero for a few plays: a rebound whose shot is outside of the window.
  const fits = isBetween(window.possessions, -MAX_SCORE, MAX_SCORE);
  check(`${field}.possessions`, window.possessions, fits, `must be within ±${MAX_SCORE}`);
}

function isCount(value: number | undefined, max: number): boolean {
  return value !== undefined && Number.isInteger(value) && value >= 0 && value <= max;
}

/** False for NaN. */
function isBetween(value: number | undefined, min: number, max: number): boolean {
  return value !== undefined && value >= min && value <= max;
}

function isOneOf(value: Side | undefined, sides: readonly Side[]): boolean {
  return value !== undefined && sides.includes(value);
}

function violationText({ field, value, rule }: Violation): string {
  return `${field} ${rule}; got ${value}`;
}
