import { type PlayEvent, PlayKind } from "../../proto/gen/courtside/v1/play_pb.ts";
import { playPossession } from "./possession.ts";
import { periodLengthDs, substitute } from "./rotation.ts";
import {
  attackers,
  emit,
  makeSim,
  otherSide,
  pause,
  type Sim,
  type SideIndex,
  type SimOptions,
} from "./sim.ts";
import { limitTimeouts } from "./stoppage.ts";

/** Breaks on the wall clock, seconds. */
const QUARTER_BREAK_S = 150;
const HALF_TIME_S = 900;

/** A fifth overtime has been needed twice in 75 years; a bug must not play for ever. */
const MAX_PERIODS = 20;

export interface PlayedGame {
  readonly plays: PlayEvent[];
  readonly homePoints: number;
  readonly awayPoints: number;
}

/** Plays a game to its end; the same options give the same plays. */
export function playGame(options: SimOptions): PlayedGame {
  const sim = makeSim(options);
  const [home, away] = sim.sides;
  const tipWinner: SideIndex = sim.random.next() < 0.5 ? 0 : 1;
  for (let period = 1; period <= MAX_PERIODS; period++) {
    startPeriod(sim, period, tipWinner);
    while (sim.clockDs > 0) playPossession(sim);
    endPeriod(sim);
    if (period >= 4 && home.points !== away.points) break;
  }
  emit(sim, undefined, undefined, {
    kind: PlayKind.GAME_END,
    gameOver: true,
    description: `Game End (${away.team.tricode} ${away.points} - ${home.team.tricode} ${home.points})`,
  });
  return { plays: sim.plays, homePoints: home.points, awayPoints: away.points };
}

/** The winner of the tip has the ball first, the other side in the second and third quarter. */
function startPeriod(sim: Sim, period: number, tipWinner: SideIndex): void {
  if (period > 1) pause(sim, period === 3 ? HALF_TIME_S : QUARTER_BREAK_S);
  sim.period = period;
  sim.clockDs = periodLengthDs(period);
  limitTimeouts(sim);
  for (const side of sim.sides) {
    side.periodFouls = 0;
    side.lateFouls = 0;
    side.run = 0;
  }
  emit(sim, undefined, undefined, {
    kind: PlayKind.PERIOD_START,
    description: `Start of ${periodName(period)}`,
  });
  if (period > 1) for (const side of sim.sides) substitute(sim, side);
  if (period === 1) jumpBall(sim, tipWinner);
  else if (period > 4) jumpBall(sim, sim.random.next() < 0.5 ? 0 : 1);
  else sim.offense = period === 4 ? tipWinner : otherSide(tipWinner);
}

function jumpBall(sim: Sim, winner: SideIndex): void {
  sim.offense = winner;
  const [jumper, loser] = [winner, otherSide(winner)].map((index) =>
    [...sim.sides[index].onCourt].sort((a, b) => b.player.size - a.player.size).at(0),
  );
  const to = attackers(sim).onCourt.find((line) => line !== jumper);
  emit(sim, attackers(sim), jumper, {
    kind: PlayKind.JUMP_BALL,
    description:
      `Jump Ball ${jumper?.player.shortName ?? ""} vs. ${loser?.player.shortName ?? ""}: ` +
      `Tip to ${to?.player.shortName ?? ""}`,
  });
}

function endPeriod(sim: Sim): void {
  emit(sim, undefined, undefined, {
    kind: PlayKind.PERIOD_END,
    description: `End of ${periodName(sim.period)}`,
  });
}

function periodName(period: number): string {
  if (period > 4) return `Overtime ${period - 4}`;
  return ["1st", "2nd", "3rd", "4th"][period - 1] + " Quarter";
}
