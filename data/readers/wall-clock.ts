import { type PlayEvent } from "../../proto/gen/courtside/v1/play_pb.ts";
import { periodLengthDs } from "./row-cells.ts";

/** Wall time that a second of game time takes: about 27 minutes a quarter with its dead balls. */
const STRETCH = 2.3;

/** Breaks after the first and third quarter and before an overtime, and at half-time. */
const BREAK_MS = 150_000;
const HALF_TIME_MS = 900_000;

/** Start that is assumed when no clock is known: 19:00 at UTC-5. */
const DEFAULT_TIPOFF_UTC_H = 24;

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A clock that is further ahead of the last one than this is a typing error: no stoppage lasts so long. */
const JUMP_MAX_MS = 2 * HOUR_MS;

/** Season of a game that nothing dates. */
const UNKNOWN_SEASON = 2000;

/** Games a day in a season, to guess the day of a game of which only the number is known. */
const GAMES_PER_DAY = 7.5;

/** Start when only the date is known, epoch milliseconds. */
export function defaultTipoffMs(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) + DEFAULT_TIPOFF_UTC_H * HOUR_MS;
}

/** A day in the right part of the season, by the number in the game id; for games that no table dates. */
export function guessedDate(season: number, gameId: string): string {
  const opening = Date.parse(`${season || UNKNOWN_SEASON}-10-24T00:00:00Z`);
  const number = Number(gameId.slice(5)) || 1;
  const day = Math.floor((number % 10_000) / GAMES_PER_DAY);
  return new Date(opening + day * DAY_MS).toISOString().slice(0, 10);
}

/** Minutes since midnight of a clock such as `8:14 PM`; undefined when there is none in the text. */
export function clockMinutes(text: string): number | undefined {
  const match = /(\d{1,2}):(\d{2}) ([AP])M/.exec(text);
  if (match === null) return undefined;
  const hour = (Number(match[1]) % 12) + (match[3] === "P" ? 12 : 0);
  return hour * 60 + Number(match[2]);
}

/**
 * Epoch milliseconds of clocks read in New York (the league's feeds print Eastern time, whatever the label
 * and the city), in file order, over midnight where needed. Clocks that run back or leap are dropped.
 */
export function easternTimes(
  date: string,
  minutes: readonly (number | undefined)[],
): (number | undefined)[] {
  const midnight = Date.parse(`${date}T00:00:00Z`) - easternOffsetMs(date);
  let last: number | undefined;
  return minutes.map((minute) => {
    if (minute === undefined) return undefined;
    let time = midnight + minute * MINUTE_MS;
    if (last !== undefined && time < last - (DAY_MINUTES / 2) * MINUTE_MS) time += DAY_MS;
    if (last !== undefined && (time < last || time > last + JUMP_MAX_MS)) return undefined;
    last = time;
    return time;
  });
}

/** Offset of New York from UTC on the evening of a date: -4 h from March to November, else -5 h. */
function easternOffsetMs(date: string): number {
  const zone = EASTERN.formatToParts(new Date(`${date}T23:00:00Z`)).find(
    (part) => part.type === "timeZoneName",
  );
  return (zone?.value === "GMT-4" ? -4 : -5) * HOUR_MS;
}

const EASTERN = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York",
  timeZoneName: "shortOffset",
});

/**
 * Sets the event times of a game from the clocks that its feed has: exact ones are taken, minutes are
 * spread over the plays that share them.
 * @param times - epoch milliseconds per play, undefined where the clock is missing.
 */
export function setRecordedTimes(
  plays: readonly PlayEvent[],
  times: readonly (number | undefined)[],
  spreadMs: number,
): void {
  let from = 0;
  let last = times.find((time) => time !== undefined) ?? 0;
  while (from < plays.length) {
    last = Math.max(last, times[from] ?? last);
    let to = from + 1;
    while (to < plays.length && (times[to] ?? last) <= last) to++;
    for (let at = from; at < to; at++) {
      const within = Math.floor(((at - from) / (to - from)) * spreadMs);
      (plays[at] as PlayEvent).eventTimeMs = BigInt(last + within);
    }
    from = to;
  }
}

/**
 * Estimates the event times of a game: tip-off plus stretched game time and breaks, bent so that it passes
 * through the clocks that are known. Never decreasing.
 * @param anchors - epoch milliseconds per play where known.
 */
export function estimateTimes(
  plays: readonly PlayEvent[],
  tipoffMs: number,
  anchors: readonly (number | undefined)[],
): void {
  const known = [{ at: -1, stretched: 0, time: tipoffMs }];
  plays.forEach((play, at) => {
    const time = anchors[at];
    if (time !== undefined) known.push({ at, stretched: stretchedMs(play), time });
  });
  let segment = 0;
  let last = tipoffMs;
  plays.forEach((play, at) => {
    play.eventTimeEstimated = true;
    while ((known[segment + 1]?.at ?? plays.length) <= at) segment++;
    const from = known[segment] ?? { stretched: 0, time: tipoffMs };
    const to = known[segment + 1];
    const gone = stretchedMs(play) - from.stretched;
    const span = to === undefined ? 0 : to.stretched - from.stretched;
    const pace = to === undefined || span <= 0 ? 1 : (to.time - from.time) / span;
    last = Math.max(last, Math.round(from.time + gone * pace));
    if (to !== undefined) last = Math.min(last, Math.max(to.time, from.time));
    play.eventTimeMs = BigInt(last);
  });
}

/** Estimated wall time from tip-off to a play. */
function stretchedMs(play: PlayEvent): number {
  let gone = 0;
  for (let period = 1; period < play.period; period++) {
    gone += periodLengthDs(period) * 100 * STRETCH + (period === 2 ? HALF_TIME_MS : BREAK_MS);
  }
  return gone + (periodLengthDs(play.period) - play.clockRemainingDs) * 100 * STRETCH;
}
