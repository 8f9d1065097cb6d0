import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  FoulKind,
  type GameInfo,
  GameInfoSchema,
  League,
  type PlayEvent,
  PlayEventSchema,
  PlayKind,
  ReboundKind,
  Side,
  TeamSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";

/** Builders of plays for tests: `script([tip("home"), made3("away", { clock: "11:40" })])`. */
export const HOME_TEAM_ID = 1610612738;
export const AWAY_TEAM_ID = 1610612747;

export type TeamSide = "home" | "away";

/** What a test says of a play; what it leaves out, `script` fills in. */
export interface PlayDetail extends Omit<
  MessageInitShape<typeof PlayEventSchema>,
  "kind" | "side" | "teamId" | "$typeName" | "$unknown"
> {
  /** Minutes and seconds left in the period, for example `4:12` or `0:03.5`; default: as the play before. */
  readonly clock?: string;
}

export const made2 = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.SHOT, side, { shotValue: 2, shotMade: true, ...detail });

export const made3 = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.SHOT, side, { shotValue: 3, shotMade: true, ...detail });

export const missed2 = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.SHOT, side, { shotValue: 2, ...detail });

export const missed3 = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.SHOT, side, { shotValue: 3, ...detail });

/** @param trip - `1/2` is the first of two. */
export const freeThrow = (
  side: TeamSide,
  trip: string,
  shotMade: boolean,
  detail: PlayDetail = {},
): PlayEvent => {
  const [freeThrowNumber = 1, freeThrowCount = 1] = trip.split("/").map(Number);
  const throwOf = { shotValue: 1, shotMade, freeThrowNumber, freeThrowCount };
  return play(PlayKind.FREE_THROW, side, { ...throwOf, ...detail });
};

export const offensiveRebound = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.REBOUND, side, { reboundKind: ReboundKind.OFFENSIVE, ...detail });

export const defensiveRebound = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.REBOUND, side, { reboundKind: ReboundKind.DEFENSIVE, ...detail });

export const turnover = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.TURNOVER, side, detail);

export const steal = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.STEAL, side, detail);

export const block = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.BLOCK, side, detail);

export const foul = (side: TeamSide, foulKind: FoulKind, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.FOUL, side, { foulKind, ...detail });

export const personalFoul = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  foul(side, FoulKind.PERSONAL, detail);

/** @param side - whose possession the jump ball becomes. */
export const jumpBall = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.JUMP_BALL, side, detail);

export const timeOut = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.TIMEOUT, side, detail);

export const substitution = (side: TeamSide, detail: PlayDetail = {}): PlayEvent =>
  play(PlayKind.SUBSTITUTION, side, detail);

export const periodStart = (period: number): PlayEvent =>
  play(PlayKind.PERIOD_START, undefined, { period, clock: period > 4 ? "5:00" : "12:00" });

export const periodEnd = (): PlayEvent => play(PlayKind.PERIOD_END, undefined, { clock: "0:00" });

export const gameEnd = (): PlayEvent =>
  play(PlayKind.GAME_END, undefined, { clock: "0:00", gameOver: true });

/** Marks a clock that `script` takes from the play before. */
const SAME_CLOCK = 0xffff_ffff;

/** A play of any kind; without a side it belongs to no team. */
export function play(
  kind: PlayKind,
  side: TeamSide | undefined,
  detail: PlayDetail = {},
): PlayEvent {
  const { clock, ...fields } = detail;
  const clockRemainingDs = clock === undefined ? SAME_CLOCK : clockDs(clock);
  return create(PlayEventSchema, {
    gameId: "SYN0000001",
    league: League.SYNTHETIC,
    revision: 1,
    kind,
    clockRemainingDs,
    ...sideFields(side),
    ...fields,
  });
}

/**
 * Numbers plays from 1, carries period and clock forward and adds up the score.
 * @param plays - changed in place.
 */
export function script(plays: PlayEvent[]): PlayEvent[] {
  let [period, clockRemainingDs, homeScore, awayScore] = [1, 7200, 0, 0];
  for (const [index, next] of plays.entries()) {
    if (next.period === 0) next.period = period;
    if (next.clockRemainingDs === SAME_CLOCK) next.clockRemainingDs = clockRemainingDs;
    ({ period, clockRemainingDs } = next);
    if (next.shotMade && next.side === Side.HOME) homeScore += next.shotValue;
    if (next.shotMade && next.side === Side.AWAY) awayScore += next.shotValue;
    Object.assign(next, { playNumber: index + 1, homeScore, awayScore });
  }
  return plays;
}

/** Game information of the two teams of these plays. */
export function gameInfo(fields: MessageInitShape<typeof GameInfoSchema> = {}): GameInfo {
  return create(GameInfoSchema, {
    gameId: "SYN0000001",
    league: League.SYNTHETIC,
    season: 2023,
    home: create(TeamSchema, { teamId: HOME_TEAM_ID, tricode: "BOS", name: "Boston" }),
    away: create(TeamSchema, { teamId: AWAY_TEAM_ID, tricode: "LAL", name: "Los Angeles" }),
    ...fields,
  });
}

function sideFields(side: TeamSide | undefined): { side: Side; teamId: number } {
  if (side === "home") return { side: Side.HOME, teamId: HOME_TEAM_ID };
  if (side === "away") return { side: Side.AWAY, teamId: AWAY_TEAM_ID };
  return { side: Side.NONE, teamId: 0 };
}

function clockDs(clock: string): number {
  const [minutes = 0, seconds = 0] = clock.split(":").map(Number);
  return Math.round((minutes * 60 + seconds) * 10);
}
