import { array, boolean, type Arbitrary, constantFrom, integer, record } from "fast-check";
import {
  FoulKind,
  type PlayEvent,
  PlayKind,
  ReboundKind,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { play, script, type TeamSide } from "./plays.ts";

const KINDS: readonly PlayKind[] = [
  PlayKind.SHOT,
  PlayKind.SHOT,
  PlayKind.SHOT,
  PlayKind.FREE_THROW,
  PlayKind.REBOUND,
  PlayKind.TURNOVER,
  PlayKind.FOUL,
  PlayKind.TIMEOUT,
  PlayKind.STEAL,
  PlayKind.BLOCK,
  PlayKind.SUBSTITUTION,
  PlayKind.REVIEW,
];

const FOULS: readonly FoulKind[] = [
  FoulKind.PERSONAL,
  FoulKind.SHOOTING,
  FoulKind.OFFENSIVE,
  FoulKind.TECHNICAL,
  FoulKind.FLAGRANT,
  FoulKind.TAKE,
];

/** Game time of a play, tenths of a second: up to the second overtime. */
const LAST_DS = 28_800 + 6000;

/**
 * Games of plays that follow no rules of basketball: any kind after any other, any pauses, with and without
 * line-ups. Scores and numbers are right, times do not go back. Player ids are 1 to 8 at home, 9 to 16 away.
 */
export function arbitraryGame(maxPlays = 120): Arbitrary<PlayEvent[]> {
  const row = record({
    kind: constantFrom(...KINDS),
    side: constantFrom<TeamSide>("home", "away"),
    // Few values, so that plays often lie exactly a window's length apart.
    pauseDs: constantFrom(0, 0, 0, 50, 100, 100, 200, 600),
    isThree: boolean(),
    shotMade: boolean(),
    isOffensive: boolean(),
    foulKind: constantFrom(...FOULS),
    actor: integer({ min: 0, max: 7 }),
    other: integer({ min: 0, max: 7 }),
    lineUp: integer({ min: -1, max: 3 }),
  });
  return array(row, { maxLength: maxPlays, size: "max" }).map((rows) => {
    let timeDs = 0;
    const plays = rows.map((choice) => {
      timeDs = Math.min(LAST_DS, timeDs + choice.pauseDs);
      return toPlay(choice, timeDs);
    });
    return script(plays);
  });
}

interface Row {
  readonly kind: PlayKind;
  readonly side: TeamSide;
  readonly isThree: boolean;
  readonly shotMade: boolean;
  readonly isOffensive: boolean;
  readonly foulKind: FoulKind;
  readonly actor: number;
  readonly other: number;
  readonly lineUp: number;
}

function toPlay(row: Row, timeDs: number): PlayEvent {
  const { kind, side, foulKind } = row;
  const base = side === "home" ? 1 : 9;
  const isShot = kind === PlayKind.SHOT;
  const isFreeThrow = kind === PlayKind.FREE_THROW;
  return play(kind, side, {
    ...clockAt(timeDs),
    actorId: base + row.actor,
    actorName: `Player ${base + row.actor}`,
    shotValue: isShot ? (row.isThree ? 3 : 2) : Number(isFreeThrow),
    shotMade: (isShot || isFreeThrow) && row.shotMade,
    freeThrowNumber: Number(isFreeThrow),
    freeThrowCount: isFreeThrow ? 1 + Number(row.isThree) : 0,
    assisterId: isShot && row.shotMade ? base + row.other : 0,
    reboundKind: row.isOffensive ? ReboundKind.OFFENSIVE : ReboundKind.DEFENSIVE,
    foulKind: kind === PlayKind.FOUL ? foulKind : FoulKind.UNSPECIFIED,
    playerOutId: kind === PlayKind.SUBSTITUTION ? base + row.actor : 0,
    playerInId: kind === PlayKind.SUBSTITUTION ? base + row.other : 0,
    homeOnCourtIds: row.lineUp < 0 ? [] : five(1 + row.lineUp),
    awayOnCourtIds: row.lineUp < 0 ? [] : five(9 + row.lineUp),
  });
}

function five(first: number): number[] {
  return [first, first + 1, first + 2, first + 3, first + 4];
}

function clockAt(timeDs: number): { period: number; clockRemainingDs: number } {
  if (timeDs < 28_800) {
    return { period: 1 + Math.floor(timeDs / 7200), clockRemainingDs: 7200 - (timeDs % 7200) };
  }
  const overtimeDs = timeDs - 28_800;
  return {
    period: 5 + Math.floor(overtimeDs / 3000),
    clockRemainingDs: 3000 - (overtimeDs % 3000),
  };
}
