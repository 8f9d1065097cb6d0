import { calibrated, type Calibration } from "./calibrate.ts";
import { type Dataset } from "./dataset.ts";
import { secondsLeft } from "./evaluate.ts";
import { isDecided } from "./terms.ts";

/** Half the width of the interval on the logit: `atEnd + perSqrtShare x sqrt_share_left`. */
export interface HalfWidth {
  readonly atEnd: number;
  readonly perSqrtShare: number;
}

export const COVERAGE = 0.9;
export const INTERVAL_MEANING =
  "For 90 of 100 groups of plays of one season (same eighth of the game, same tenth of the probability) the " +
  "share of games that the home team won lies between the group's mean low and mean high.";

const PARTS = 8;
const TENTHS = 10;
const REGULATION_S = 2_880;
/** A group of fewer games says nothing: its share of wins is mostly chance. */
const GAMES_MIN = 20;

/** Plays of one season at about the same time with about the same probability. */
interface Group {
  games: Set<number>;
  rows: number;
  won: number;
  logit: number;
  rootShare: number;
}

/**
 * The narrowest band of the form above that covers nine in ten groups of the given rows.
 * @param logits - of every row of `data`, by models that never saw the row's season.
 */
export function fitHalfWidth(data: Dataset, logits: Float64Array): HalfWidth {
  const groups = groupsOf(data, logits);
  const needs = groups.map(({ rows, won, logit, rootShare }) => ({
    rootShare: rootShare / rows,
    need: Math.abs(logitOf((won + 0.5) / (rows + 1)) - logit / rows),
  }));
  let best: HalfWidth = { atEnd: 1, perSqrtShare: 1 };
  let least = Number.POSITIVE_INFINITY;
  for (let slope = -1; slope <= 2; slope += 0.05) {
    // With the slope given, the constant that covers nine in ten is a quantile.
    const rest = needs.map(({ need, rootShare }) => need - slope * rootShare).sort((a, b) => a - b);
    const atEnd = Math.max(0.05, rest[Math.ceil(COVERAGE * rest.length) - 1] ?? 1);
    const narrowest = Math.min(atEnd, atEnd + slope);
    const mean = needs.reduce((sum, { rootShare }) => sum + atEnd + slope * rootShare, 0);
    if (narrowest > 0.02 && mean < least) {
      least = mean;
      best = { atEnd, perSqrtShare: slope };
    }
  }
  return best;
}

/** Share of groups whose share of home wins lies in their mean interval. */
export function coverageOf(
  data: Dataset,
  logits: Float64Array,
  low: ArrayLike<number>,
  high: ArrayLike<number>,
): { readonly groups: number; readonly covered: number } {
  const groups = groupsOf(data, logits, (group, i) => {
    group.low += low[i] as number;
    group.high += high[i] as number;
  });
  const covered = groups.filter(({ rows, won, low: l, high: h }) => {
    const share = won / rows;
    return share >= l / rows && share <= h / rows;
  });
  return { groups: groups.length, covered: covered.length / groups.length };
}

type Bounded = Group & { low: number; high: number };

function groupsOf(
  data: Dataset,
  logits: Float64Array,
  each: (group: Bounded, i: number) => void = () => {},
): Bounded[] {
  const groups = new Map<string, Bounded>();
  for (let i = 0; i < data.rows; i += 1) {
    if (isDecided(data, i)) continue;
    const game = data.game[i] as number;
    const z = logits[i] as number;
    const leftS = secondsLeft(data.period[i] as number, data.clockRemainingS[i] as number);
    const part = Math.min(PARTS - 1, Math.floor((leftS * PARTS) / REGULATION_S));
    const tenth = Math.min(TENTHS - 1, Math.floor(TENTHS / (1 + Math.exp(-z))));
    const key = `${String(data.gameSeasons[game])} ${part} ${tenth}`;
    let group = groups.get(key);
    if (group === undefined) {
      group = { games: new Set(), rows: 0, won: 0, logit: 0, rootShare: 0, low: 0, high: 0 };
      groups.set(key, group);
    }
    group.games.add(game);
    group.rows += 1;
    group.won += data.homeWon[i] as number;
    group.logit += z;
    group.rootShare += Math.sqrt(leftS / REGULATION_S);
    each(group, i);
  }
  return [...groups.values()].filter(({ games }) => games.size >= GAMES_MIN);
}

function logitOf(p: number): number {
  return Math.log(p / (1 - p));
}

/** Bounds around a logit before calibration. */
export function boundsOf(
  calibration: Calibration,
  z: number,
  halfWidth: number,
): readonly [number, number] {
  return [calibrated(calibration, z - halfWidth), calibrated(calibration, z + halfWidth)];
}
