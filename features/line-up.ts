import { type PlayEvent, PlayKind, Side } from "../proto/gen/courtside/v1/play_pb.ts";
import type { PlayerFold, PlayersFold } from "../proto/gen/courtside/v1/state_pb.ts";
import { periodStartS } from "./game-clock.ts";

/** Span over which recent load is summed: 12 game minutes, tenths of a second. */
export const LOAD_WINDOW_DS = 7200;

const ON_COURT = 5;

type PlayerOf = (fold: PlayersFold, playerId: number, side: Side) => PlayerFold;

/**
 * Who is on court after `play`, side by side: its own array when it names five, else the substitution it is,
 * else the last known five. The first account of a new period holds from the period's start, because feeds
 * do not list the changes made during the break.
 * @param changed - gets the ids of those who came or went.
 */
export function applyLineUps(
  fold: PlayersFold,
  play: PlayEvent,
  playerOf: PlayerOf,
  changed: number[],
): void {
  const tools = { playerOf, changed };
  applySide(fold, play, Side.HOME, play.homeOnCourtIds, tools);
  applySide(fold, play, Side.AWAY, play.awayOnCourtIds, tools);
}

function applySide(
  fold: PlayersFold,
  play: PlayEvent,
  side: Side,
  told: readonly number[],
  tools: Tools,
): void {
  const isHome = side === Side.HOME;
  const old = isHome ? fold.homeOnCourtIds : fold.awayOnCourtIds;
  if (told.length === ON_COURT) {
    const lastPeriod = isHome ? fold.homeLineUpPeriod : fold.awayLineUpPeriod;
    if (isHome) fold.homeLineUpPeriod = play.period;
    else fold.awayLineUpPeriod = play.period;
    if (isSame(old, told)) return;
    const isFirst = play.period !== lastPeriod;
    const atDs = isFirst ? periodStartS(play.period) * 10 : fold.gameTimeDs;
    setLineUp(fold, side, told, { ...tools, atDs });
  } else if (play.kind === PlayKind.SUBSTITUTION && play.side === side) {
    const next = old.filter((id) => id !== play.playerOutId && id !== play.playerInId);
    if (play.playerInId !== 0) next.push(play.playerInId);
    setLineUp(fold, side, next, { ...tools, atDs: fold.gameTimeDs });
  }
}

interface Tools {
  readonly playerOf: PlayerOf;
  readonly changed: number[];
}

interface Change extends Tools {
  readonly atDs: number;
}

function setLineUp(fold: PlayersFold, side: Side, next: readonly number[], change: Change): void {
  const { atDs, playerOf, changed } = change;
  const old = side === Side.HOME ? fold.homeOnCourtIds : fold.awayOnCourtIds;
  for (const id of old) {
    if (next.includes(id)) continue;
    leaveCourt(playerOf(fold, id, side), fold, atDs);
    if (!changed.includes(id)) changed.push(id);
  }
  for (const id of next) {
    if (old.includes(id)) continue;
    enterCourt(playerOf(fold, id, side), fold, atDs);
    if (!changed.includes(id)) changed.push(id);
  }
  if (side === Side.HOME) fold.homeOnCourtIds = [...next];
  else fold.awayOnCourtIds = [...next];
}

/**
 * Begins a stint; who left at this very moment has not rested, and his stint goes on. A line-up that holds
 * from the period's start cannot take back the minutes of a change that was told before it.
 */
export function enterCourt(player: PlayerFold, fold: PlayersFold, atDs: number): void {
  const lastEndDs = player.stintEndsDs.at(-1);
  if (lastEndDs !== undefined && lastEndDs >= atDs) {
    const startDs = player.stintStartsDs.pop() ?? lastEndDs;
    player.stintEndsDs.pop();
    player.playedDs -= lastEndDs - startDs;
    player.sinceDs = startDs;
  } else player.sinceDs = player.hasPlayed ? Math.max(atDs, player.sinceDs) : atDs;
  player.onCourt = true;
  player.hasPlayed = true;
  player.marginAtStart = fold.margin;
  player.teamChancesAtStart = chancesOf(fold, player.side);
}

function leaveCourt(player: PlayerFold, fold: PlayersFold, atDs: number): void {
  const endDs = Math.max(atDs, player.sinceDs);
  const stintDs = endDs - player.sinceDs;
  const gained = fold.margin - player.marginAtStart;
  player.plusMinus += player.side === Side.HOME ? gained : -gained;
  player.teamChances += chancesOf(fold, player.side) - player.teamChancesAtStart;
  player.playedDs += stintDs;
  player.stintMaxDs = Math.max(player.stintMaxDs, stintDs);
  if (stintDs > 0) {
    player.stintStartsDs.push(player.sinceDs);
    player.stintEndsDs.push(endDs);
  }
  forgetStints(player, atDs - LOAD_WINDOW_DS);
  player.onCourt = false;
  player.sinceDs = endDs;
}

/** Drops stints that ended at or before `untilDs`: they reach into no later window. */
function forgetStints(player: PlayerFold, untilDs: number): void {
  while ((player.stintEndsDs[0] ?? Infinity) <= untilDs) {
    player.stintStartsDs.shift();
    player.stintEndsDs.shift();
  }
}

function chancesOf(fold: PlayersFold, side: Side): number {
  return side === Side.HOME ? fold.homeChances : fold.awayChances;
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
