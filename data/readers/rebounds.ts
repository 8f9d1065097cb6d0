import {
  type PlayEvent,
  PlayKind,
  ReboundKind,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";

interface Counts {
  offensive: number;
  defensive: number;
}

/**
 * Sets the kind of each rebound that has none: a player's from his running counts `(Off:0 Def:1)`, where
 * these do not go up (a team's rebound, a later correction) from who missed.
 */
export function setReboundKinds(plays: readonly PlayEvent[]): void {
  const counts = new Map<number, Counts>();
  let missedBy: Side = Side.NONE;
  for (const play of plays) {
    const { kind } = play;
    if ((kind === PlayKind.SHOT || kind === PlayKind.FREE_THROW) && !play.shotMade) {
      missedBy = play.side;
    } else if (kind === PlayKind.REBOUND && play.reboundKind === ReboundKind.UNSPECIFIED) {
      play.reboundKind = byCounts(play, counts) ?? byShot(play, missedBy);
    }
  }
}

function byCounts(play: PlayEvent, counts: Map<number, Counts>): ReboundKind | undefined {
  const match = RUNNING_COUNTS.exec(play.description);
  if (match === null) return undefined;
  const now = { offensive: Number(match[1]), defensive: Number(match[2]) };
  const key = play.actorId;
  const before = counts.get(key) ?? { offensive: 0, defensive: 0 };
  counts.set(key, now);
  const offensive = now.offensive > before.offensive;
  const defensive = now.defensive > before.defensive;
  if (offensive === defensive) return undefined;
  return offensive ? ReboundKind.OFFENSIVE : ReboundKind.DEFENSIVE;
}

const RUNNING_COUNTS = /\(Off:(\d+) Def:(\d+)\)/;

function byShot(play: PlayEvent, missedBy: Side): ReboundKind {
  return play.side === missedBy ? ReboundKind.OFFENSIVE : ReboundKind.DEFENSIVE;
}
