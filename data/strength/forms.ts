/**
 * What games so far say of a player. Points are those by which a side with him is better than one with an
 * average player in his place, per 48 minutes.
 */
export interface PlayerForm {
  /** Team that he played for last. */
  readonly teamId: number;
  /** Points per 48 minutes that the score moved with him on court, the other nine taken out. */
  readonly points: number;
  /** Variance of that estimate, points². */
  readonly variance: number;
  /** Minutes in a game that he plays in, moving average. */
  readonly minutes: number;
  /** Share of recent games that he started, moving average, 0..1. */
  readonly startShare: number;
  /** Box-score value (Game Score above the league's, see `boxValue`) and the minutes that it was made in, fading. */
  readonly boxSum: number;
  readonly boxMinutes: number;
}

/** The league on the morning of a season's first game. */
export interface SeasonStart {
  /** Year in which the season starts. */
  readonly season: number;
  /** Points by which an average team beats itself at home, and the variance of that estimate. */
  readonly homePoints: number;
  readonly homeVariance: number;
  /** By player id. */
  readonly players: ReadonlyMap<number, PlayerForm>;
  /** Elo by team id. */
  readonly elo: ReadonlyMap<number, number>;
}

/** Ten players between two substitutions. */
export interface Stint {
  readonly homeIds: readonly number[];
  readonly awayIds: readonly number[];
  readonly lengthS: number;
  /** Home points minus away points while they were on court. */
  readonly margin: number;
}

/*
 * Constants below were chosen one by one on the seasons 2017-18 to 2022-23, each season judged by a fit on
 * the other five (Brier of the winner before tip-off: 0.2203 with Elo alone, 0.2124 with all of this). The
 * seasons since were not looked at.
 */

/** Points² by which the score of 48 minutes scatters around what the ten players say. */
const STINT_NOISE = 300;
/** Share of a player's points that survives the summer, and what the summer adds to the variance. */
const CARRY_OVER = 0.78;
const SUMMER_VARIANCE = 0.3;
/** A player without history is a replacement, below the average of those who play. */
const NEW_POINTS = -2.5;
const NEW_VARIANCE = 6;
const NEW_MINUTES = 10;
const NEW_STARTER_MINUTES = 20;
/** Weight of the past in the moving averages of minutes and starts, a game. */
const MINUTES_MEMORY = 0.97;
const START_MEMORY = 0.9;
/** The same for box-score values, a game and over the summer. */
const BOX_MEMORY = 0.985;
const BOX_CARRY_OVER = 0.7;
/** Variance that a game adds to home court: it drifts by about 0.6 points a season. */
const HOME_DRIFT = 0.0003;

const GAME_S = 2_880;

export const NEW_PLAYER: PlayerForm = {
  teamId: 0,
  points: NEW_POINTS,
  variance: NEW_VARIANCE,
  minutes: NEW_MINUTES,
  startShare: 0,
  boxSum: 0,
  boxMinutes: 0,
};

/** Minutes to expect of a starter, whatever he played before. */
export function starterMinutes(form: PlayerForm | undefined, leastMinutes: number): number {
  return Math.max(form?.minutes ?? NEW_STARTER_MINUTES, leastMinutes);
}

/** Home court as it is learnt. */
export interface HomeCourt {
  points: number;
  variance: number;
}

/** What a stint moves, by player id; changed in place. */
export interface Learning {
  readonly points: Map<number, number>;
  readonly variance: Map<number, number>;
  readonly home: HomeCourt;
}

export function homeCourtDrift(home: HomeCourt): void {
  home.variance += HOME_DRIFT;
}

/**
 * One step of a Kalman filter with independent players: the margin of a stint is the difference of the
 * players' points plus home court, each for the length of the stint, plus noise that grows with it.
 */
export function learnStint(state: Learning, stint: Stint, neutralSite: boolean): void {
  const share = stint.lengthS / GAME_S;
  if (share <= 0) return;
  const { points, variance, home } = state;
  let expected = neutralSite ? 0 : home.points;
  let spread = neutralSite ? 0 : home.variance;
  for (const id of stint.homeIds) {
    expected += points.get(id) ?? NEW_POINTS;
    spread += variance.get(id) ?? NEW_VARIANCE;
  }
  for (const id of stint.awayIds) {
    expected -= points.get(id) ?? NEW_POINTS;
    spread += variance.get(id) ?? NEW_VARIANCE;
  }
  const total = share * spread + STINT_NOISE;
  const surprise = (stint.margin - expected * share) / total;
  const shrink = share / total;
  const move = (id: number, sign: number): void => {
    const old = variance.get(id) ?? NEW_VARIANCE;
    points.set(id, (points.get(id) ?? NEW_POINTS) + sign * old * surprise);
    variance.set(id, old - old * old * shrink);
  };
  if (!neutralSite) {
    home.points += home.variance * surprise;
    home.variance -= home.variance * home.variance * shrink;
  }
  for (const id of stint.homeIds) move(id, 1);
  for (const id of stint.awayIds) move(id, -1);
}

/** What a player did in one game. */
export interface PlayerGame {
  readonly teamId: number;
  readonly minutes: number;
  readonly started: boolean;
  readonly boxValue: number;
}

/** A player's form after a game that he played in. */
export function afterGame(
  old: PlayerForm | undefined,
  game: PlayerGame,
  points: number,
  variance: number,
): PlayerForm {
  const minutes =
    old === undefined
      ? game.minutes
      : MINUTES_MEMORY * old.minutes + (1 - MINUTES_MEMORY) * game.minutes;
  return {
    teamId: game.teamId,
    points,
    variance,
    minutes,
    startShare: START_MEMORY * (old?.startShare ?? 0) + (1 - START_MEMORY) * Number(game.started),
    boxSum: BOX_MEMORY * (old?.boxSum ?? 0) + game.boxValue,
    boxMinutes: BOX_MEMORY * (old?.boxMinutes ?? 0) + game.minutes,
  };
}

/** A player's form after the summer. */
export function afterSummer(form: PlayerForm): PlayerForm {
  return {
    ...form,
    points: form.points * CARRY_OVER,
    variance: form.variance + SUMMER_VARIANCE,
    boxSum: form.boxSum * BOX_CARRY_OVER,
    boxMinutes: form.boxMinutes * BOX_CARRY_OVER,
  };
}
