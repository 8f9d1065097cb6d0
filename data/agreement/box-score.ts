import { FoulKind, type PlayEvent, PlayKind, Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import { periodLengthDs } from "../readers/row-cells.ts";

/** What can be counted of a player, or of a team as the sum of its players. */
export interface BoxLine {
  points: number;
  rebounds: number;
  assists: number;
  steals: number;
  blocks: number;
  turnovers: number;
  /** Without technical fouls. */
  personalFouls: number;
  /** Game time on court, tenths of a second. */
  playedDs: number;
}

/** Lines by player id, and which side each player is of. */
export interface BoxScore {
  readonly lines: ReadonlyMap<number, BoxLine>;
  readonly sides: ReadonlyMap<number, Side>;
  /** Turnovers of a team as a whole, such as a shot clock that runs out; they count for the team. */
  readonly teamTurnovers: ReadonlyMap<Side, number>;
}

export function emptyLine(): BoxLine {
  return {
    points: 0,
    rebounds: 0,
    assists: 0,
    steals: 0,
    blocks: 0,
    turnovers: 0,
    personalFouls: 0,
    playedDs: 0,
  };
}

/**
 * Player lines by adding up plays, the way any reader of the stream would. Written apart from the features of the
 * insight job on purpose: it judges the readers, not the job.
 */
export function boxScoreOf(plays: readonly PlayEvent[]): BoxScore {
  const counter = new Counter();
  for (const play of plays) {
    counter.runClock(play);
    counter.count(play);
  }
  return counter;
}

class Counter implements BoxScore {
  readonly lines = new Map<number, BoxLine>();
  readonly sides = new Map<number, Side>();
  readonly teamTurnovers = new Map<Side, number>();
  #home: readonly number[] = [];
  #away: readonly number[] = [];
  #period = 0;
  #clockDs = 0;

  runClock(play: PlayEvent): void {
    if (play.period !== this.#period) {
      this.#period = play.period;
      this.#clockDs = periodLengthDs(play.period);
      // In a feed without period rows the first row already has the new fives.
      this.#takeFives(play);
    }
    const goneDs = Math.max(0, this.#clockDs - play.clockRemainingDs);
    for (const id of this.#home) this.#line(id, Side.HOME).playedDs += goneDs;
    for (const id of this.#away) this.#line(id, Side.AWAY).playedDs += goneDs;
    this.#clockDs -= goneDs;
    this.#takeFives(play);
  }

  count(play: PlayEvent): void {
    const { side, kind, actorId } = play;
    const other = side === Side.HOME ? Side.AWAY : side === Side.AWAY ? Side.HOME : Side.NONE;
    if (play.assisterId !== 0) this.#line(play.assisterId, side).assists++;
    if (play.blockerId !== 0) this.#line(play.blockerId, other).blocks++;
    if (play.stealerId !== 0) this.#line(play.stealerId, other).steals++;
    if (actorId === 0) {
      if (kind === PlayKind.TURNOVER) {
        this.teamTurnovers.set(side, (this.teamTurnovers.get(side) ?? 0) + 1);
      }
      return;
    }
    const line = this.#line(actorId, side);
    if (play.shotMade) line.points += play.shotValue;
    if (kind === PlayKind.REBOUND) line.rebounds++;
    else if (kind === PlayKind.STEAL) line.steals++;
    else if (kind === PlayKind.BLOCK) line.blocks++;
    else if (kind === PlayKind.TURNOVER) line.turnovers++;
    else if (kind === PlayKind.FOUL && isPersonal(play)) line.personalFouls++;
  }

  #takeFives(play: PlayEvent): void {
    if (play.homeOnCourtIds.length > 0) this.#home = play.homeOnCourtIds;
    if (play.awayOnCourtIds.length > 0) this.#away = play.awayOnCourtIds;
  }

  #line(player: number, side: Side): BoxLine {
    if (side !== Side.NONE) this.sides.set(player, side);
    let line = this.lines.get(player);
    if (line === undefined) {
      line = emptyLine();
      this.lines.set(player, line);
    }
    return line;
  }
}

function isPersonal(play: PlayEvent): boolean {
  return play.foulKind !== FoulKind.TECHNICAL && play.foulKind !== FoulKind.NON_PERSONAL;
}
