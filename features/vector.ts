import { createHash } from "node:crypto";
import type {
  FeatureVector,
  GameState,
  TrailingWindow,
} from "../proto/gen/courtside/v1/insight_pb.ts";
import { type PlayEvent, Side } from "../proto/gen/courtside/v1/play_pb.ts";
import { eloWinProb } from "./elo.ts";
import {
  gameTimeDs,
  periodLengthS,
  QUARTERS,
  REGULATION_S,
  secondsRemaining,
} from "./game-clock.ts";
import { possessionsOf } from "./team-window.ts";

/** One input of a model, in the order of the vector. */
export interface FeatureDescription {
  readonly name: string;
  readonly unit: string;
  /** What it means, and the value it has when the state does not tell. */
  readonly description: string;
}

/**
 * The inputs of every win probability model, in order. Differences are home minus away, so that swapping
 * the sides flips their sign. Names and units are the schema: changing one changes its hash.
 */
export const FEATURES: readonly FeatureDescription[] = [
  feature("margin", "points", "Home score minus away score; 0 without scores."),
  feature(
    "seconds_remaining",
    "s",
    "Seconds left in regulation, or in the overtime under way; 0 once the game is over.",
  ),
  feature("regulation_share_left", "1", "Share of regulation that is left; 0 in overtime."),
  feature("sqrt_share_left", "1", "Square root of seconds_remaining / 2880, overtime included."),
  feature(
    "margin_per_sqrt_second",
    "points/s^0.5",
    "margin / sqrt(seconds_remaining + 10): the score as a Brownian motion (Stern 1994). A lead with no time left gets an extreme value of the leader's sign.",
  ),
  feature("margin_per_second", "points/s", "margin / (seconds_remaining + 10)."),
  feature("margin_by_share_left", "points", "margin x regulation_share_left."),
  feature("possession", "side", "+1 home has the ball, -1 away, 0 neither or not known."),
  feature(
    "possession_per_sqrt_second",
    "side/s^0.5",
    "possession / sqrt(seconds_remaining + 10): worth more when little is left.",
  ),
  feature(
    "pregame_logit",
    "logit",
    "Log odds of the home team before tip-off: home_pregame_win_prob, else Elo difference plus home court, else the home win rate of 2016-2025.",
  ),
  feature(
    "pregame_logit_by_sqrt_share_left",
    "logit",
    "pregame_logit x sqrt_share_left: strength counts for the time that is left.",
  ),
  feature("quarter_2", "flag", "1 in the second period."),
  feature("quarter_3", "flag", "1 in the third period."),
  feature("quarter_4", "flag", "1 in the fourth period."),
  feature("overtime", "flag", "1 in any overtime."),
  feature("team_fouls_diff", "fouls", "Team fouls in this period; 0 when not told."),
  feature("bonus_diff", "flag", "In the bonus: +1 only home, -1 only away, 0 both or neither."),
  feature("timeouts_diff", "timeouts", "Time-outs remaining; 0 unless both are told."),
  feature("current_run", "points", "Unanswered points, home positive; 0 when not told."),
  feature(
    "points_diff_last_2_min",
    "points",
    "Points in the last 2 game minutes; 0 when not told.",
  ),
  feature(
    "points_diff_last_5_min",
    "points",
    "Points in the last 5 game minutes; 0 when not told.",
  ),
  feature(
    "points_diff_last_10_min",
    "points",
    "Points in the last 10 game minutes; 0 when not told.",
  ),
  feature(
    "effective_fg_diff_last_10_min",
    "1",
    "Effective field goal share in the last 10 game minutes, each drawn to 0.533 by 10 attempts; 0 when not told.",
  ),
  feature(
    "turnovers_diff_last_10_min",
    "turnovers",
    "Turnovers in the last 10 game minutes; 0 when not told.",
  ),
  feature(
    "pace_last_10_min",
    "possessions/48min",
    "Possessions of a team per 48 minutes over the last 10 game minutes, drawn to 101 by 4 minutes; 101 when not told.",
  ),
  feature(
    "efficiency_diff",
    "points/possession",
    "Moving average of points per possession; 0 unless both are told.",
  ),
  feature("lead_changes", "changes", "Lead changes so far; 0 when not told."),
  feature(
    "pregame_logit_by_share_left",
    "logit",
    "pregame_logit x seconds_remaining / 2880: what the score has told already of the teams' strength.",
  ),
  feature("has_closing_spread", "flag", "1 when the closing spread is told."),
  feature(
    "closing_spread",
    "points",
    "Points by which the home team was favoured at closing; 0 when not told.",
  ),
  feature(
    "closing_spread_by_sqrt_share_left",
    "points",
    "closing_spread x sqrt_share_left: strength counts for the time that is left.",
  ),
  feature(
    "closing_spread_by_share_left",
    "points",
    "closing_spread x seconds_remaining / 2880, as for pregame_logit.",
  ),
  feature(
    "next_3_min_share_left",
    "1",
    "Share of the next three minutes that will be played unless the score is level then.",
  ),
];

/** Identifies the schema in vectors, model cards and servers: 16 hex digits. */
export const FEATURE_SCHEMA_HASH: string = featureSchemaHash(FEATURES);

/** First 16 hex digits of the SHA-256 over the lines `name|unit`, in order. */
export function featureSchemaHash(
  features: readonly Pick<FeatureDescription, "name" | "unit">[],
): string {
  const text = features.map(({ name, unit }) => `${name}|${unit}\n`).join("");
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Added to the seconds left, so that the last seconds do not blow a margin up to infinity. */
const SOFTENING_S = 10;

/** Points added to a margin that no time is left to turn: 40 / sqrt(10) is over any value that play goes on with. */
const GAME_OVER_POINTS = 40;

/** Home wins in the regular seasons 2016-17 to 2024-25 (10,749 games). */
const HOME_WIN_RATE = 0.563;

/** Pre-game probabilities are read as no surer than this. */
const PREGAME_PROB_MIN = 0.01;

/** Horizon of the scoring-run model: three minutes. */
const NEXT_S = 180;

const WINDOW_S = 600;
/**
 * League averages of 2016-17 to 2024-25 that short windows are drawn to, and the weight of the league in
 * them. Pace is that of the estimate FGA + 0.44 FTA + TOV - OREB, which runs 2 % above the official count.
 */
const LEAGUE_PACE = 101;
const LEAGUE_PACE_S = 240;
const LEAGUE_EFFECTIVE_FG = 0.533;
const LEAGUE_ATTEMPTS = 10;

/**
 * Model inputs of a state. Reads nothing but the state, so that the job, the trainer and the server
 * compute the same numbers; whatever the state does not tell gets the neutral value of its description.
 * @param out - filled and returned when given; its length is at least `FEATURES.length`.
 * @returns finite numbers only, for any state within the ranges of the contract.
 */
export function featureVectorOf(
  state: GameState,
  out: Float32Array = new Float32Array(FEATURES.length),
): Float32Array {
  const period = Math.max(1, state.period ?? 1);
  const clockS = state.clockRemainingS ?? periodLengthS(period);
  const leftS = state.gameOver ? 0 : secondsRemaining(period, clockS);
  const margin = (state.homeScore ?? 0) - (state.awayScore ?? 0);
  const regulationShareLeft = period > QUARTERS ? 0 : leftS / REGULATION_S;
  const sqrtShareLeft = Math.sqrt(leftS / REGULATION_S);
  const rootS = Math.sqrt(leftS + SOFTENING_S);
  const extremeMargin = leftS === 0 ? margin + Math.sign(margin) * GAME_OVER_POINTS : margin;
  const possession = signOf(state.possession);
  const pregame = pregameLogit(state);
  let i = 0;
  out[i++] = margin;
  out[i++] = leftS;
  out[i++] = regulationShareLeft;
  out[i++] = sqrtShareLeft;
  out[i++] = extremeMargin / rootS;
  out[i++] = margin / (leftS + SOFTENING_S);
  out[i++] = margin * regulationShareLeft;
  out[i++] = possession;
  out[i++] = possession / rootS;
  out[i++] = pregame;
  out[i++] = pregame * sqrtShareLeft;
  out[i++] = Number(period === 2);
  out[i++] = Number(period === 3);
  out[i++] = Number(period === QUARTERS);
  out[i++] = Number(period > QUARTERS);
  out[i++] = (state.homeTeamFouls ?? 0) - (state.awayTeamFouls ?? 0);
  out[i++] = Number(state.homeInBonus ?? false) - Number(state.awayInBonus ?? false);
  out[i++] = difference(state.homeTimeoutsRemaining, state.awayTimeoutsRemaining);
  out[i++] = state.currentRun ?? 0;
  out[i++] = difference(state.homeLast2Min?.points, state.awayLast2Min?.points);
  out[i++] = difference(state.homeLast5Min?.points, state.awayLast5Min?.points);
  out[i++] = difference(state.homeLast10Min?.points, state.awayLast10Min?.points);
  out[i++] = drawnEffectiveFg(state.homeLast10Min) - drawnEffectiveFg(state.awayLast10Min);
  out[i++] = difference(state.homeLast10Min?.turnovers, state.awayLast10Min?.turnovers);
  out[i++] = drawnPace(state, gameTimeDs(period, clockS * 10) / 10);
  out[i++] = difference(state.homePointsPerPossession, state.awayPointsPerPossession);
  out[i++] = state.leadChanges ?? 0;
  const shareLeft = leftS / REGULATION_S;
  const spread = state.closingSpreadHome ?? 0;
  out[i++] = pregame * shareLeft;
  out[i++] = Number(state.closingSpreadHome !== undefined);
  out[i++] = spread;
  out[i++] = spread * sqrtShareLeft;
  out[i++] = spread * shareLeft;
  out[i++] = Math.min(1, leftS / NEXT_S);
  return out;
}

const HAS_SPREAD = FEATURES.findIndex(({ name }) => name === "has_closing_spread");

/** True when the row at `offset` knows the closing spread, so that a model with odds may score it. */
export function holdsOdds(values: ArrayLike<number>, offset = 0): boolean {
  return values[offset + HAS_SPREAD] === 1;
}

/** The vector as a message, with the play it was taken after. */
export function toFeatureVector(state: GameState, play: PlayEvent): FeatureVector {
  const values: number[] = [];
  for (const value of featureVectorOf(state)) values.push(value);
  const { gameId, playNumber, revision } = play;
  return {
    $typeName: "courtside.v1.FeatureVector",
    schemaHash: FEATURE_SCHEMA_HASH,
    values,
    gameId,
    playNumber,
    revision,
  };
}

function feature(name: string, unit: string, description: string): FeatureDescription {
  return { name, unit, description };
}

function signOf(side: Side | undefined): number {
  if (side === Side.HOME) return 1;
  return side === Side.AWAY ? -1 : 0;
}

function difference(home: number | undefined, away: number | undefined): number {
  return home === undefined || away === undefined ? 0 : home - away;
}

function pregameLogit(state: GameState): number {
  const { homePregameWinProb, homeElo, awayElo } = state;
  let prob = HOME_WIN_RATE;
  if (homePregameWinProb !== undefined) prob = homePregameWinProb;
  else if (homeElo !== undefined && awayElo !== undefined) prob = eloWinProb(homeElo, awayElo);
  const bounded = Math.min(1 - PREGAME_PROB_MIN, Math.max(PREGAME_PROB_MIN, prob));
  return Math.log(bounded / (1 - bounded));
}

function drawnEffectiveFg(window: TrailingWindow | undefined): number {
  if (window === undefined) return LEAGUE_EFFECTIVE_FG;
  const made = window.fieldGoalsMade + 0.5 * window.threesMade;
  return (
    (made + LEAGUE_EFFECTIVE_FG * LEAGUE_ATTEMPTS) / (window.fieldGoalsAttempted + LEAGUE_ATTEMPTS)
  );
}

function drawnPace(state: GameState, elapsedS: number): number {
  const { homeLast10Min: home, awayLast10Min: away } = state;
  if (home === undefined || away === undefined) return LEAGUE_PACE;
  const possessions = (possessionsOf(home) + possessionsOf(away)) / 2;
  const leaguePossessions = (LEAGUE_PACE * LEAGUE_PACE_S) / REGULATION_S;
  const windowS = Math.min(WINDOW_S, elapsedS);
  return ((possessions + leaguePossessions) * REGULATION_S) / (windowS + LEAGUE_PACE_S);
}
