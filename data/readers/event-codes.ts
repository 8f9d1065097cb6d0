import { PlayKind } from "../../proto/gen/courtside/v1/play_pb.ts";

/** Codes that stats.nba.com (`EVENTMSGTYPE`, `EVENTMSGACTIONTYPE`) and data.nba.com (`etype`, `mtype`) share. */

/** Kinds by event type. */
export const EVENT_KINDS: readonly (PlayKind | undefined)[] = [
  PlayKind.OTHER,
  PlayKind.SHOT,
  PlayKind.SHOT,
  PlayKind.FREE_THROW,
  PlayKind.REBOUND,
  PlayKind.TURNOVER,
  PlayKind.FOUL,
  PlayKind.VIOLATION,
  PlayKind.SUBSTITUTION,
  PlayKind.TIMEOUT,
  PlayKind.JUMP_BALL,
  PlayKind.EJECTION,
  PlayKind.PERIOD_START,
  PlayKind.PERIOD_END,
  undefined,
  undefined,
  undefined,
  undefined,
  PlayKind.REVIEW,
];

/** Fouls by action type, in words. */
export const FOUL_WORDS: Readonly<Record<number, string>> = {
  1: "personal",
  2: "shooting",
  3: "loose ball",
  4: "offensive",
  5: "inbound",
  6: "away from play",
  8: "punching",
  9: "clear path",
  10: "double personal",
  11: "technical",
  12: "non-unsportsmanlike technical",
  13: "hanging technical",
  14: "flagrant type 1",
  15: "flagrant type 2",
  16: "double technical",
  17: "defensive 3 second",
  18: "delay technical",
  19: "taunting technical",
  25: "excess timeout technical",
  26: "offensive charge",
  27: "personal block",
  28: "personal take",
  29: "shooting block",
  30: "too many players technical",
  31: "transition take",
  33: "flopping",
};
