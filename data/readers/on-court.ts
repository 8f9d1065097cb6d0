import { FoulKind, type PlayEvent, PlayKind, Side } from "../../proto/gen/courtside/v1/play_pb.ts";

const FIVE = 5;

export interface LineUpOptions {
  /** Who started the game, by side, where a box score says so. */
  readonly starters?: ReadonlyMap<Side, readonly number[]>;
  /** True when the feed has a row for every change, also between periods; then a five lasts over the break. */
  readonly changesAtBreaks: boolean;
}

/**
 * Sets the players on court after each play from substitutions. Feeds that do not list changes between
 * periods need the five that started each period: who acts, or is taken out, before he is put in was there
 * from the start; one who does nothing all period is found among the five that ended the one before.
 * Where no five comes out, or a substitution contradicts it, the side stays empty for the rest of the period.
 */
export function setLineUps(plays: readonly PlayEvent[], options: LineUpOptions): void {
  for (const side of [Side.HOME, Side.AWAY]) {
    let five: ReadonlySet<number> | undefined;
    const given = options.starters?.get(side);
    for (const period of periods(plays)) {
      const carried = five !== undefined && options.changesAtBreaks;
      let start = carried ? five : startersOf(period, side, five);
      if (period[0]?.period === 1 && given?.length === FIVE) start = new Set(given);
      five = start === undefined ? undefined : followFive(period, side, start);
    }
  }
}

/** Runs of plays of the same period. */
function* periods(plays: readonly PlayEvent[]): Iterable<readonly PlayEvent[]> {
  let from = 0;
  for (let at = 1; at <= plays.length; at++) {
    if (at < plays.length && plays[at]?.period === plays[from]?.period) continue;
    yield plays.slice(from, at);
    from = at;
  }
}

/** The five that started a period; undefined when the rows do not tell. */
function startersOf(
  period: readonly PlayEvent[],
  side: Side,
  before: ReadonlySet<number> | undefined,
): ReadonlySet<number> | undefined {
  const sight = lookFor(period, side);
  const starters = new Set(sight.starters);
  if (starters.size > FIVE) {
    for (const player of sight.doubtful) starters.delete(player);
  }
  if (starters.size < FIVE) {
    const quiet = [...(before ?? [])].filter((id) => !starters.has(id) && !sight.entered.has(id));
    if (starters.size + quiet.length === FIVE) for (const id of quiet) starters.add(id);
  }
  return starters.size === FIVE ? starters : undefined;
}

interface Sight {
  readonly starters: Set<number>;
  /** First put in during the period. */
  readonly entered: Set<number>;
  /** Acted first, but put in later without having been taken out. */
  readonly doubtful: Set<number>;
}

function lookFor(period: readonly PlayEvent[], side: Side): Sight {
  const starters = new Set<number>();
  const entered = new Set<number>();
  const doubtful = new Set<number>();
  const out = new Set<number>();
  const actedAtDs = new Map<number, number>();
  for (const play of period) {
    if (play.kind === PlayKind.SUBSTITUTION) {
      if (play.side !== side) continue;
      const { playerOutId, playerInId } = play;
      if (playerOutId !== 0) {
        if (!entered.has(playerOutId)) starters.add(playerOutId);
        out.add(playerOutId);
      }
      if (playerInId === 0) continue;
      if (starters.has(playerInId) && !out.has(playerInId)) {
        // Rows of one stoppage are not always in order: who acts at the very clock of his entry came in then.
        if (actedAtDs.get(playerInId) === play.clockRemainingDs) starters.delete(playerInId);
        else doubtful.add(playerInId);
      }
      if (!starters.has(playerInId)) entered.add(playerInId);
      out.delete(playerInId);
    } else {
      for (const player of playersOnCourt(play, side)) {
        if (entered.has(player) || starters.has(player)) continue;
        starters.add(player);
        actedAtDs.set(player, play.clockRemainingDs);
      }
    }
  }
  return { starters, entered, doubtful };
}

/** Players of a side who must be on court for this play to happen. */
function playersOnCourt(play: PlayEvent, side: Side): number[] {
  if (!happensOnCourt(play)) return [];
  const own = [play.actorId, play.assisterId];
  const others = [play.blockerId, play.stealerId, play.fouledId];
  const players = play.side === side ? own : play.side === Side.NONE ? [] : others;
  return players.filter((id) => id !== 0);
}

/** Technical fouls and ejections also happen to people on the bench. */
function happensOnCourt(play: PlayEvent): boolean {
  switch (play.kind) {
    case PlayKind.SHOT:
    case PlayKind.FREE_THROW:
    case PlayKind.REBOUND:
    case PlayKind.TURNOVER:
    case PlayKind.JUMP_BALL:
    case PlayKind.STEAL:
    case PlayKind.BLOCK:
      return true;
    case PlayKind.FOUL:
      return (
        play.foulKind !== FoulKind.TECHNICAL &&
        play.foulKind !== FoulKind.NON_PERSONAL &&
        play.foulKind !== FoulKind.UNSPECIFIED
      );
    default:
      return false;
  }
}

/** Writes the five behind each play. @returns the five at the end, undefined when the rows contradict it. */
function followFive(
  period: readonly PlayEvent[],
  side: Side,
  start: ReadonlySet<number>,
): ReadonlySet<number> | undefined {
  const five = new Set(start);
  let ids = sorted(five);
  let changeDs: number | undefined;
  for (const play of period) {
    if (play.kind === PlayKind.SUBSTITUTION && play.side === side) {
      const { playerOutId, playerInId } = play;
      if (playerOutId !== 0 && !five.delete(playerOutId)) return undefined;
      if (playerInId !== 0) five.add(playerInId);
      const oneRow = playerOutId !== 0 && playerInId !== 0;
      if (oneRow && five.size !== FIVE) return undefined;
      if (five.size === FIVE) {
        ids = sorted(five);
        changeDs = undefined;
      } else changeDs ??= play.clockRemainingDs;
    }
    // Between the rows of a change, which come in either order, there are four or six: the five before it holds
    // while the clock stands. When it runs on without the missing row, nobody knows.
    if (changeDs !== undefined && play.clockRemainingDs !== changeDs) ids = [];
    if (side === Side.HOME) play.homeOnCourtIds = ids;
    else play.awayOnCourtIds = ids;
  }
  return five.size === FIVE ? five : undefined;
}

function sorted(ids: ReadonlySet<number>): number[] {
  return [...ids].sort((a, b) => a - b);
}
