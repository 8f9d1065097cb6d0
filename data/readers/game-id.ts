import { SeasonType } from "../../proto/gen/courtside/v1/play_pb.ts";

/** Season of the neutral-floor restart, and the day it began. */
const RESTART_SEASON = 2019;
const RESTART_FROM = "2020-07-22";

/**
 * Ten-digit game id of any spelling of it (some feeds drop the leading zeros); undefined when it is none.
 * `00TYYNNNNN`: T = part of the season, YY = year in which it starts, NNNNN = number.
 */
export function normalGameId(text: string): string | undefined {
  if (!/^\d{8,10}$/.test(text)) return undefined;
  const id = text.padStart(10, "0");
  return id.startsWith("00") ? id : undefined;
}

/** Year in which the season of a game id starts, 0 when it does not say; ids before 2000 belong to the last century. */
export function seasonOf(gameId: string): number {
  const year = Number(gameId.slice(3, 5));
  // Ids of other sites, for games that no table of results has.
  if (!Number.isInteger(year)) return 0;
  return year >= 46 ? 1900 + year : 2000 + year;
}

export function seasonTypeOf(gameId: string): SeasonType {
  return SEASON_TYPES[gameId[2] ?? ""] ?? SeasonType.UNSPECIFIED;
}

const SEASON_TYPES: Readonly<Record<string, SeasonType>> = {
  "1": SeasonType.PRESEASON,
  "2": SeasonType.REGULAR,
  "4": SeasonType.PLAYOFFS,
  "5": SeasonType.PLAY_IN,
  "6": SeasonType.CUP_FINAL,
};

/** True for the games of summer 2020, all played in one closed place. */
export function isRestartGame(season: number, gameDate: string): boolean {
  return season === RESTART_SEASON && gameDate >= RESTART_FROM;
}

/** Year in which the season of a date starts; seasons begin in autumn, that of 2020-21 in December. */
export function seasonOfDate(date: string): number {
  const month = Number(date.slice(5, 7));
  return Number(date.slice(0, 4)) - (month < FIRST_MONTH ? 1 : 0);
}

const FIRST_MONTH = 9;
