/** Words and numbers of the page. */
import { type GameSummary } from "../wire.ts";

const QUARTER_S = 720;
const OVERTIME_S = 300;
export const REGULATION_S = 4 * QUARTER_S;

/** Q1..Q4, OT, 2OT, ... */
export function periodText(period: number): string {
  if (period <= 4) return `Q${period}`;
  return period === 5 ? "OT" : `${period - 4}OT`;
}

/** Seconds left in the period as 11:05, or 9.4 in the last minute. */
export function clockText(clockS: number): string {
  return clockS < 60 ? clockS.toFixed(1) : minutesText(clockS);
}

export function minutesText(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Certainty is only claimed where it is certain. */
export function percentText(probability: number | null): string {
  if (probability === null) return "–";
  if (probability > 0.99 && probability < 1) return ">99%";
  if (probability < 0.01 && probability > 0) return "<1%";
  return `${Math.round(probability * 100)}%`;
}

/** A change in percentage points with its sign. */
export function changeText(points: number): string {
  const rounded = Math.abs(points).toFixed(1);
  if (rounded === "0.0") return "0.0";
  return `${points > 0 ? "+" : "−"}${rounded}`;
}

export function signed(value: number, digits = 0): string {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return value > 0 ? `+${text}` : `−${text}`;
}

export function share(value: number | null): string {
  return value === null ? "–" : `${Math.round(value * 100)}%`;
}

export function durationText(ms: number): string {
  if (ms < 0) return "0 ms";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

export function bytesText(bytes: number): string {
  const units = ["B", "KB", "MB", "GB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit] ?? ""}`;
}

export function countText(count: number): string {
  return count.toLocaleString("en");
}

/** Game time since tip-off in seconds. */
export function elapsedOf({ period, clockS }: { period: number; clockS: number }): number {
  if (period === 0) return 0;
  if (period <= 4) return period * QUARTER_S - clockS;
  return REGULATION_S + (period - 4) * OVERTIME_S - clockS;
}

export interface Period {
  readonly period: number;
  readonly startS: number;
  readonly lengthS: number;
}

/** Regulation, or the end of the overtime under way. */
export function gameLengthS(elapsedS: number): number {
  if (elapsedS <= REGULATION_S) return REGULATION_S;
  return REGULATION_S + Math.ceil((elapsedS - REGULATION_S) / OVERTIME_S) * OVERTIME_S;
}

export function periodsUntil(endS: number): Period[] {
  const overtimes = Math.round((endS - REGULATION_S) / OVERTIME_S);
  return Array.from({ length: 4 + overtimes }, (_, index) => {
    if (index < 4) return { period: index + 1, startS: index * QUARTER_S, lengthS: QUARTER_S };
    const startS = REGULATION_S + (index - 4) * OVERTIME_S;
    return { period: index + 1, startS, lengthS: OVERTIME_S };
  });
}

export function standText({
  status,
  period,
  clockS,
}: Pick<GameSummary, "status" | "period" | "clockS">): string {
  if (status === "scheduled") return "Not started";
  if (status === "final") return period > 4 ? `Final/${periodText(period)}` : "Final";
  if (clockS > 0) return `${periodText(period)} ${clockText(clockS)}`;
  return period === 2 ? "Half-time" : `End of ${periodText(period)}`;
}

/** One sentence for a screen reader. */
export function gameSentence(game: GameSummary): string {
  const { home, away, homeScore, awayScore, homeWinProb, status } = game;
  if (status === "scheduled") return `${away.name} at ${home.name}, not started`;
  const chance =
    homeWinProb === null
      ? ""
      : `, ${homeWinProb >= 0.5 ? home.name : away.name} ${percentText(Math.max(homeWinProb, 1 - homeWinProb))} to win`;
  const end = status === "final" ? ", final" : `, ${standText(game)}${chance}`;
  return `${away.name} ${awayScore}, ${home.name} ${homeScore}${end}`;
}

/** Definitions that the page shows on hover, and all together at its end. */
export const TERMS = {
  "Win probability":
    "Chance that the team wins, as the model said right after the play. Percent; changes in percentage points.",
  Interval: "Range that the model's probability is sure to within; wide means unsure.",
  Leverage:
    "How much a point moves the win probability now, against one at the tip-off of an even game (1). Above 3 every shot decides.",
  Excitement:
    "Sum of all changes of the win probability so far. 3 is a quiet game, 8 and more a wild one.",
  Comeback: "Lowest win probability that the side now ahead had on its way.",
  WPA: "Win probability added, percentage points: the whole change of each play goes to the player who acts.",
  "8–0 run": "At least eight unanswered points.",
  Pace: "Possessions per 48 minutes. A possession: FGA + 0.44 FTA + turnovers − offensive rebounds.",
  eFG: "Effective field-goal percentage: a three counts one and a half.",
  Turnovers: "Turnovers of the team in the window.",
  Stint: "Time on court since the last rest, minutes:seconds of game time.",
  "Last 12": "Time on court within the last 12 game minutes, at most.",
  Usage: "Share of the team's shots, trips to the line and turnovers while on court.",
  "True shooting": "Points per two shooting chances (FGA + 0.44 FTA).",
  Brier:
    "Mean squared distance between probability and result: 0 is perfect, 0.25 is a coin. Lower is better.",
  "Log loss": "Mean of −log of the probability given to what happened. Lower is better.",
  PSI: "Population stability index of an input against the training data: below 0.1 nothing has moved, above 0.25 much has.",
  Watermark: "Event time up to which everything is taken as arrived.",
  "Key group": "Unit of state that moves between workers; a game belongs to one.",
} as const;

export type Term = keyof typeof TERMS;
