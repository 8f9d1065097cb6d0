import { create } from "@bufbuild/protobuf";
import { type PlayEvent, Side } from "../proto/gen/courtside/v1/play_pb.ts";
import {
  type TrailingFold,
  TrailingFoldSchema,
  type WindowAccumulator,
} from "../proto/gen/courtside/v1/state_pb.ts";
import { count, countedAs, NOT_COUNTED, teamWindowAggregate } from "./team-window.ts";

/** Lengths of the trailing windows, tenths of a second. */
export const LAST_2_MIN_DS = 1200;
export const LAST_5_MIN_DS = 3000;
export const LAST_10_MIN_DS = 6000;

/** A code of an away play is its counted code plus this. */
const AWAY = 16;

/**
 * Plays that have left the longest window are dropped once there are this many, so that dropping costs
 * less than a step a play; ten game minutes hold about 130 counted plays.
 */
const DROP_AT = 64;

export function createTrailingFold(): TrailingFold {
  return create(TrailingFoldSchema, {
    home2Min: teamWindowAggregate.create(),
    away2Min: teamWindowAggregate.create(),
    home5Min: teamWindowAggregate.create(),
    away5Min: teamWindowAggregate.create(),
    home10Min: teamWindowAggregate.create(),
    away10Min: teamWindowAggregate.create(),
  });
}

/**
 * Moves the windows to `nowDs` and counts `play` in each. A window of length L holds the plays later than
 * `nowDs - L`, up to and with `nowDs`. Amortised constant time.
 * @param nowDs - game time in tenths of a second, never lower than in the call before.
 */
export function applyTrailing(fold: TrailingFold, play: PlayEvent, nowDs: number): void {
  const { home2Min, away2Min, home5Min, away5Min, home10Min, away10Min } = fold;
  fold.first2Min = expire(fold, fold.first2Min, nowDs - LAST_2_MIN_DS, home2Min, away2Min);
  fold.first5Min = expire(fold, fold.first5Min, nowDs - LAST_5_MIN_DS, home5Min, away5Min);
  fold.first10Min = expire(fold, fold.first10Min, nowDs - LAST_10_MIN_DS, home10Min, away10Min);
  if (fold.first10Min >= DROP_AT) drop(fold, fold.first10Min);

  const code = countedAs(play);
  const isHome = play.side === Side.HOME;
  if (code === NOT_COUNTED || !(isHome || play.side === Side.AWAY)) return;
  fold.timesDs.push(nowDs);
  fold.codes.push(isHome ? code : code + AWAY);
  add(isHome ? home2Min : away2Min, code);
  add(isHome ? home5Min : away5Min, code);
  add(isHome ? home10Min : away10Min, code);
}

/** Takes out what happened at or before `untilDs`; returns the index of the first play that stays. */
function expire(
  fold: TrailingFold,
  first: number,
  untilDs: number,
  home: WindowAccumulator | undefined,
  away: WindowAccumulator | undefined,
): number {
  const { timesDs, codes } = fold;
  let index = first;
  for (; index < timesDs.length; index++) {
    const timeDs = timesDs[index] ?? 0;
    if (timeDs > untilDs) break;
    const code = codes[index] ?? NOT_COUNTED;
    const acc = code < AWAY ? home : away;
    if (acc !== undefined) count(acc, code % AWAY, -1);
  }
  return index;
}

function add(acc: WindowAccumulator | undefined, code: number): void {
  if (acc !== undefined) count(acc, code, 1);
}

function drop(fold: TrailingFold, plays: number): void {
  fold.timesDs.splice(0, plays);
  fold.codes.splice(0, plays);
  fold.first2Min -= plays;
  fold.first5Min -= plays;
  fold.first10Min -= plays;
}
