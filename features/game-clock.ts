/** Game time. Quarters last 12 minutes, overtimes 5 (NBA rule book, rule 5, section I). */
export const QUARTERS = 4;
/** Length of a quarter in seconds. */
export const QUARTER_S = 720;
/** Length of an overtime in seconds. */
export const OVERTIME_S = 300;
/** Length of regulation in seconds. */
export const REGULATION_S = QUARTERS * QUARTER_S;

/** Length of a period in seconds; `period` counts from 1. */
export function periodLengthS(period: number): number {
  return period <= QUARTERS ? QUARTER_S : OVERTIME_S;
}

/** Game time at which a period starts, in seconds since tip-off. */
export function periodStartS(period: number): number {
  if (period <= QUARTERS) return (Math.max(1, period) - 1) * QUARTER_S;
  return REGULATION_S + (period - QUARTERS - 1) * OVERTIME_S;
}

/**
 * Game time in tenths of a second since tip-off.
 * @param clockRemainingDs - tenths left in the period; more than the period holds counts as its start.
 */
export function gameTimeDs(period: number, clockRemainingDs: number): number {
  const lengthDs = periodLengthS(period) * 10;
  return periodStartS(period) * 10 + lengthDs - Math.min(lengthDs, clockRemainingDs);
}

/** Seconds left in regulation or, once it is over, in the overtime under way. */
export function secondsRemaining(period: number, clockRemainingS: number): number {
  const inPeriod = Math.min(periodLengthS(period), Math.max(0, clockRemainingS));
  return period >= QUARTERS ? inPeriod : (QUARTERS - period) * QUARTER_S + inPeriod;
}
