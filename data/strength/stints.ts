import { gameTimeDs } from "../../features/mod.ts";
import {
  type PlayEvent,
  PlayKind,
  ReboundKind,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { type PlayerGame, type Stint } from "./forms.ts";

/** What a finished game says of its players. */
export interface GameAccount {
  readonly stints: readonly Stint[];
  /** By player id: everybody who was on court. */
  readonly players: ReadonlyMap<number, PlayerGame>;
}

const ON_COURT = 5;
/** Ids of teams start here; some feeds put one where a player's id belongs. */
const FIRST_TEAM_ID = 1_610_000_000;

/** Cuts a game into stints and counts what each player did in it; nothing for feeds without line-ups. */
export function accountOf({ info, plays }: SourceGame): GameAccount {
  const stints = stintsOf(plays);
  const seconds = new Map<number, number>();
  const sideOf = new Map<number, Side>();
  for (const { homeIds, awayIds, lengthS } of stints) {
    for (const [ids, side] of [[homeIds, Side.HOME] as const, [awayIds, Side.AWAY] as const]) {
      for (const id of ids) {
        seconds.set(id, (seconds.get(id) ?? 0) + lengthS);
        sideOf.set(id, side);
      }
    }
  }
  const values = boxValues(plays);
  const starters = startersOf(stints);
  const players = new Map<number, PlayerGame>();
  for (const [id, playedS] of seconds) {
    if (playedS <= 0) continue;
    const team = sideOf.get(id) === Side.HOME ? info.home : info.away;
    const minutes = playedS / 60;
    players.set(id, {
      teamId: team?.teamId ?? 0,
      minutes,
      started: starters.has(id),
      boxValue: (values.get(id) ?? 0) - LEAGUE_VALUE_PER_MINUTE * minutes,
    });
  }
  return { stints, players };
}

function startersOf(stints: readonly Stint[]): ReadonlySet<number> {
  const [first] = stints;
  return new Set([...(first?.homeIds ?? []), ...(first?.awayIds ?? [])]);
}

function stintsOf(plays: readonly PlayEvent[]): Stint[] {
  const stints: Stint[] = [];
  let open: { first: PlayEvent; fromDs: number; margin: number } | undefined;
  let nowDs = 0;
  let margin = 0;
  const close = (atDs: number): void => {
    if (open === undefined) return;
    const { first, fromDs, margin: before } = open;
    if (atDs > fromDs || margin !== before) {
      const { homeOnCourtIds: homeIds, awayOnCourtIds: awayIds } = first;
      stints.push({ homeIds, awayIds, lengthS: (atDs - fromDs) / 10, margin: margin - before });
    }
    open = undefined;
  };
  for (const play of plays) {
    const known =
      play.homeOnCourtIds.length === ON_COURT && play.awayOnCourtIds.length === ON_COURT;
    const before = nowDs;
    nowDs = Math.max(nowDs, gameTimeDs(play.period, play.clockRemainingDs));
    if (open !== undefined && !(known && isSameTen(open.first, play))) close(nowDs);
    if (open === undefined && known) {
      open = { first: play, fromDs: stints.length === 0 ? before : nowDs, margin };
    }
    margin = play.homeScore - play.awayScore;
  }
  close(nowDs);
  return stints;
}

function isSameTen(a: PlayEvent, b: PlayEvent): boolean {
  return (
    isSameSet(a.homeOnCourtIds, b.homeOnCourtIds) && isSameSet(a.awayOnCourtIds, b.awayOnCourtIds)
  );
}

function isSameSet(a: readonly number[], b: readonly number[]): boolean {
  return a === b || a.every((id) => b.includes(id));
}

/** Box-score value a minute of an average player, fouls left out. */
const LEAGUE_VALUE_PER_MINUTE = 0.37;

/**
 * Hollinger's Game Score by player, fouls left out: PTS + 0.4 FG - 0.7 FGA + 0.7 ORB + 0.3 DRB + STL + 0.7 AST +
 * 0.7 BLK - TOV. Missed free throws are not charged: feeds differ in how they tell them.
 */
function boxValues(plays: readonly PlayEvent[]): Map<number, number> {
  const values = new Map<number, number>();
  const add = (id: number, value: number): void => {
    if (id === 0 || id > FIRST_TEAM_ID) return;
    values.set(id, (values.get(id) ?? 0) + value);
  };
  for (const play of plays) {
    switch (play.kind) {
      case PlayKind.SHOT:
        add(play.actorId, play.shotMade ? play.shotValue + 0.4 - 0.7 : -0.7);
        add(play.shotMade ? play.assisterId : play.blockerId, 0.7);
        break;
      case PlayKind.FREE_THROW:
        add(play.actorId, Number(play.shotMade));
        break;
      case PlayKind.REBOUND:
        add(play.actorId, play.reboundKind === ReboundKind.OFFENSIVE ? 0.7 : 0.3);
        break;
      case PlayKind.TURNOVER:
        add(play.actorId, -1);
        add(play.stealerId, 1);
        break;
      case PlayKind.STEAL:
        add(play.actorId, 1);
        break;
      case PlayKind.BLOCK:
        add(play.actorId, 0.7);
        break;
      default:
    }
  }
  return values;
}
