/** Rating of an average team, and of a team without history. */
export const ELO_AVERAGE = 1500;

/**
 * Home court in rating points: 80 = a 61 % chance between equal teams. Fitted on 2015-16 to 2021-22
 * together with `K` and the carry-over; FiveThirtyEight used 100 on older seasons.
 */
export const HOME_ADVANTAGE_ELO = 80;

/** Season (by the year it starts) that was mostly played in empty halls: half the advantage. */
const SEASON_WITHOUT_CROWDS = 2020;

/** Rating points at stake in a game, before the margin is looked at. */
const K = 20;

/** Share of a rating that survives the summer; the rest goes to a little above the average, since
 * the league's newest teams enter below it (FiveThirtyEight's choice). */
const CARRY_OVER = 0.75;
const CARRY_OVER_TARGET = 1505;

/** Standard deviation of (final margin - closing spread) in points: 12.96 over 12,843 games since 2015-16. */
const SPREAD_SD_POINTS = 13;

/** A finished game as the ratings see it. */
export interface EloGame {
  /** Ratings before the game. */
  readonly homeElo: number;
  readonly awayElo: number;
  /** Final home score minus away score, points; 0 counts as half a win each. */
  readonly margin: number;
  /** From `homeAdvantageElo`. */
  readonly homeAdvantage: number;
}

/** Ratings of both teams. */
export interface EloRatings {
  readonly homeElo: number;
  readonly awayElo: number;
}

/**
 * Home court of one game in rating points.
 * @param season - year in which the season starts.
 */
export function homeAdvantageElo(season: number, neutralSite: boolean): number {
  if (neutralSite) return 0;
  return season === SEASON_WITHOUT_CROWDS ? HOME_ADVANTAGE_ELO / 2 : HOME_ADVANTAGE_ELO;
}

/**
 * Probability that the home team wins, 0..1 exclusive for finite ratings of this world.
 * @see Elo, "The Rating of Chessplayers", 1978: a 400 point edge means odds of 10 to 1.
 */
export function eloWinProb(
  homeElo: number,
  awayElo: number,
  homeAdvantage: number = HOME_ADVANTAGE_ELO,
): number {
  return 1 / (1 + 10 ** (-(homeElo + homeAdvantage - awayElo) / 400));
}

/**
 * Ratings after a game; what one side gains the other loses. The step grows with the margin, less so
 * when the favourite wins, so that strong teams do not inflate themselves on weak ones.
 * @see FiveThirtyEight, "How We Calculate NBA Elo Ratings", 2015: K x (|m| + 3)^0.8 / (7.5 + 0.006 edge).
 */
export function eloUpdate(game: EloGame): EloRatings {
  const { homeElo, awayElo, margin, homeAdvantage } = game;
  const homeEdge = homeElo + homeAdvantage - awayElo;
  const winnerEdge = margin < 0 ? -homeEdge : homeEdge;
  const stretch = (Math.abs(margin) + 3) ** 0.8 / Math.max(1, 7.5 + 0.006 * winnerEdge);
  const won = margin === 0 ? 0.5 : Number(margin > 0);
  const step = K * stretch * (won - eloWinProb(homeElo, awayElo, homeAdvantage));
  return { homeElo: homeElo + step, awayElo: awayElo - step };
}

/** Rating at the start of the next season. */
export function carryOver(elo: number): number {
  return CARRY_OVER * elo + (1 - CARRY_OVER) * CARRY_OVER_TARGET;
}

/**
 * Probability that the home team wins given the closing spread: the margin is close to normal around it.
 * @param closingSpreadHome - points by which the home team is favoured; negative for an underdog.
 * @see Stern, "On the Probability of Winning a Football Game", The American Statistician 45(3), 1991.
 */
export function spreadWinProb(closingSpreadHome: number): number {
  return normalCdf(closingSpreadHome / SPREAD_SD_POINTS);
}

/** Abramowitz & Stegun 26.2.17, absolute error below 7.5e-8. */
function normalCdf(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail =
    (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) *
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z >= 0 ? 1 - tail : tail;
}
