/**
 * A scoring run follows a play when one side scores at least eight points without an answer within the next three
 * game minutes, counted from the play on: points before it do not count, free throws and overtime do.
 */
export const RUN_DEFINITION =
  "at least 8 unanswered points of one side within the next 180 s of game time, points before the play not counted";
export const RUN_POINTS = 8;
export const RUN_HORIZON_S = 180;

/** Score and game time after a play. */
export interface ScoredPlay {
  readonly homeScore: number;
  readonly awayScore: number;
  /** Game seconds since tip-off; never goes back. */
  readonly gameTimeS: number;
}

/** Whether a run of either side follows each play: 1 or 0. */
export interface RunLabels {
  readonly home: Uint8Array;
  readonly away: Uint8Array;
}

/** @param plays - of one game, in order. */
export function runLabels(plays: readonly ScoredPlay[]): RunLabels {
  const scores = scoringPlays(plays);
  const home = new Uint8Array(plays.length);
  const away = new Uint8Array(plays.length);
  let next = 0;
  for (const [i, { gameTimeS }] of plays.entries()) {
    while (next < scores.length && (scores[next] as Score).play <= i) next += 1;
    let [homeRun, awayRun] = [0, 0];
    for (let k = next; k < scores.length; k += 1) {
      const score = scores[k] as Score;
      if (score.gameTimeS > gameTimeS + RUN_HORIZON_S) break;
      // Both sides score on one row only where a feed corrects itself: that ends either run.
      homeRun = score.away > 0 ? 0 : homeRun + score.home;
      awayRun = score.home > 0 ? 0 : awayRun + score.away;
      if (homeRun >= RUN_POINTS) home[i] = 1;
      if (awayRun >= RUN_POINTS) away[i] = 1;
    }
  }
  return { home, away };
}

interface Score {
  readonly play: number;
  readonly gameTimeS: number;
  readonly home: number;
  readonly away: number;
}

function scoringPlays(plays: readonly ScoredPlay[]): Score[] {
  const scores: Score[] = [];
  let [homeBefore, awayBefore] = [0, 0];
  for (const [play, { homeScore, awayScore, gameTimeS }] of plays.entries()) {
    const home = Math.max(0, homeScore - homeBefore);
    const away = Math.max(0, awayScore - awayBefore);
    if (home > 0 || away > 0) scores.push({ play, gameTimeS, home, away });
    homeBefore = homeScore;
    awayBefore = awayScore;
  }
  return scores;
}
