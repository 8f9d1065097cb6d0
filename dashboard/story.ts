/** What a curve of win probability says about its game. Pure, shared by the server and the page. */

/** Standard deviation of the final margin of two equal teams, points (Stern 1994: 13.28 over 48 minutes). */
const GAME_SIGMA_POINTS = 13.28;
const REGULATION_S = 2_880;
/** With less time than a shot takes no basket can be answered; keeps the leverage of the last tick finite. */
const LEAST_SECONDS = 3;
/** Leverage beyond this is all the same to a reader. */
const MAX_LEVERAGE = 9.9;
/** A change of the probability smaller than this moves no pixel and is no swing. */
const LEAST_SWING = 0.005;

/** Something that has a place on the curve. */
export interface CurveRow {
  readonly number: number;
  readonly retracted: boolean;
  readonly homeWinProb: number | null;
}

/**
 * How much one point moves the win probability now, against one point at the tip-off of an even game: 1 there, 5 and more
 * in a close finish, 0 when it is decided. The score is a Brownian motion (Stern, "A Brownian Motion Model for the Progress
 * of Sports Scores", JASA 1994), whose density at the present chance is what a point is worth.
 * @param homeWinProb - 0..1
 * @param secondsLeft - in regulation or the overtime under way, 0..2880
 * @returns 0..9.9
 */
export function leverageOf(homeWinProb: number, secondsLeft: number): number {
  if (homeWinProb <= 0 || homeWinProb >= 1) return 0;
  const z = normalQuantile(homeWinProb);
  const density = Math.exp((-z * z) / 2);
  const share = Math.max(LEAST_SECONDS, secondsLeft) / REGULATION_S;
  return Math.min(MAX_LEVERAGE, density / Math.sqrt(share));
}

/**
 * Win probability of the home side from score and time alone, for comparison: the same Brownian motion with the home
 * court's drift of `homeEdgePoints` a game.
 * @returns 0..1
 */
export function brownianWinProb(margin: number, secondsLeft: number, homeEdgePoints = 2.5): number {
  const share = Math.max(secondsLeft, 0.5) / REGULATION_S;
  return normalCdf((margin + homeEdgePoints * share) / (GAME_SIGMA_POINTS * Math.sqrt(share)));
}

/** Running account of a curve; feed it the plays in order. */
export interface Story {
  last: number | null;
  /** Sum of all changes, up and down: about 3 for a dull game, 8 and more for a wild one (inpredictable's excitement). */
  excitement: number;
  lowest: number;
  highest: number;
}

export function newStory(): Story {
  return { last: null, excitement: 0, lowest: 1, highest: 0 };
}

export function tell(story: Story, homeWinProb: number | null): void {
  if (homeWinProb === null) return;
  if (story.last !== null) story.excitement += Math.abs(homeWinProb - story.last);
  story.last = homeWinProb;
  story.lowest = Math.min(story.lowest, homeWinProb);
  story.highest = Math.max(story.highest, homeWinProb);
}

/** How far the side that is ahead now was down: 1 - its lowest probability, 0..1; null before the first prediction. */
export function comebackOf({ last, lowest, highest }: Story): number | null {
  if (last === null) return null;
  return last >= 0.5 ? 1 - lowest : highest;
}

/**
 * Change of the home win probability by each play, in the order of the rows; null where the play or the one before has
 * no prediction. Plays that were taken back change nothing and are skipped as predecessors.
 */
export function changesOf(
  rows: readonly CurveRow[],
  beforeTipoff: number | null,
): (number | null)[] {
  let before = beforeTipoff;
  return rows.map(({ homeWinProb, retracted }) => {
    if (retracted || homeWinProb === null) return null;
    const change = before === null ? null : homeWinProb - before;
    before = homeWinProb;
    return change;
  });
}

/** A row that names who acts. */
export interface ActedRow extends CurveRow {
  readonly side: "home" | "away" | null;
  readonly actorId: number;
}

/** Key of what no player did: periods, time-outs, team rebounds. */
export const NOBODY = 0;

/**
 * Win probability added: the whole change of each play goes to the player who acts, seen from his own side. The sums of
 * both sides and of nobody (in the home side's sign) make the way from the first to the last probability.
 * @returns by player id, -1..1; `NOBODY` for the rest, in the home side's sign.
 */
export function winProbAdded(
  rows: readonly ActedRow[],
  beforeTipoff: number | null,
): Map<number, number> {
  const added = new Map<number, number>();
  const changes = changesOf(rows, beforeTipoff);
  rows.forEach(({ side, actorId }, index) => {
    const change = changes[index] ?? 0;
    if (change === 0) return;
    const player = side === null ? NOBODY : actorId;
    const sign = player !== NOBODY && side === "away" ? -1 : 1;
    added.set(player, (added.get(player) ?? 0) + sign * change);
  });
  return added;
}

export interface Swing {
  /** Place in the rows. */
  readonly index: number;
  readonly before: number;
  readonly after: number;
}

/** The plays that moved the probability most, biggest first. */
export function biggestSwings(
  rows: readonly CurveRow[],
  beforeTipoff: number | null,
  limit: number,
): Swing[] {
  const changes = changesOf(rows, beforeTipoff);
  return changes
    .flatMap((change, index) => {
      const after = rows[index]?.homeWinProb ?? null;
      if (change === null || after === null || Math.abs(change) < LEAST_SWING) return [];
      return [{ index, before: after - change, after }];
    })
    .sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before))
    .slice(0, limit);
}

/** Standard normal distribution function; Abramowitz and Stegun 26.2.17, error below 7.5e-8. */
function normalCdf(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const poly =
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * poly;
  return z >= 0 ? 1 - tail : tail;
}

/** Inverse of it by bisection: 40 halvings of -8..8 are exact to 1e-11, and it runs once a play. */
function normalQuantile(p: number): number {
  let [low, high] = [-8, 8];
  for (let step = 0; step < 40; step += 1) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
