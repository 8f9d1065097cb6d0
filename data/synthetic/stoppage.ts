import { PlayKind } from "../../proto/gen/courtside/v1/play_pb.ts";
import { substitute } from "./rotation.ts";
import { emit, otherSide, pause, type PlayerLine, type Sim, type SimSide } from "./sim.ts";

/** A run of the other side that makes a coach stop the game. */
const RUN_POINTS = 6;

/** The first whistle under 7:00 and under 3:00 of a quarter is a time-out for television, if none was taken. */
const MANDATORY_CLOCKS_DS = [4200, 1800] as const;

/** Time-outs that are left at the start of overtime. */
const OVERTIME_TIMEOUTS = 2;
const LAST_QUARTER_TIMEOUTS = 4;

/** A whistle is followed by up to this much of walking and talking; makes a game last two and a quarter hours. */
const LONGEST_DELAY_S = 28;

const TIMEOUT_S = 75;
const MANDATORY_TIMEOUT_S = 165;

/** The ball is dead: time-outs and changes are possible. */
export function deadBall(sim: Sim, seconds: number, keep?: PlayerLine): void {
  pause(sim, seconds + sim.random.next() * LONGEST_DELAY_S);
  mandatoryTimeout(sim, keep);
  for (const side of sim.sides) substitute(sim, side, keep);
}

/** After a basket the side that conceded it may stop the game. */
export function maybeTimeout(sim: Sim, conceded: SimSide): void {
  const behind = sim.sides[otherSide(conceded.index)].points - conceded.points;
  const isHurt = sim.sides[otherSide(conceded.index)].run >= RUN_POINTS;
  const isLastChance = sim.period >= 4 && sim.clockDs < 300 && behind > 0 && behind <= 6;
  if (conceded.timeouts === 0 || sim.clockDs === 0) return;
  if (
    (isLastChance && sim.random.next() < 0.5) ||
    (isHurt && sim.random.next() < sim.rates.runTimeout)
  ) {
    callTimeout(sim, conceded, "full", TIMEOUT_S);
  }
}

/** No side carries all its time-outs into the end of the game. */
export function limitTimeouts(sim: Sim): void {
  for (const side of sim.sides) {
    if (sim.period === 4) side.timeouts = Math.min(side.timeouts, LAST_QUARTER_TIMEOUTS);
    if (sim.period > 4) side.timeouts = OVERTIME_TIMEOUTS;
  }
  sim.periodTimeouts = 0;
}

function mandatoryTimeout(sim: Sim, keep?: PlayerLine): void {
  if (sim.period > 4) return;
  const due = MANDATORY_CLOCKS_DS.filter((clockDs) => sim.clockDs < clockDs).length;
  if (sim.periodTimeouts >= due || sim.clockDs < 300) return;
  const [home, away] = sim.sides;
  const side = home.timeouts >= away.timeouts ? home : away;
  if (side.timeouts > 0) callTimeout(sim, side, "mandatory", MANDATORY_TIMEOUT_S, keep);
}

function callTimeout(
  sim: Sim,
  side: SimSide,
  subtype: string,
  seconds: number,
  keep?: PlayerLine,
): void {
  side.timeouts -= 1;
  sim.periodTimeouts += 1;
  for (const each of sim.sides) each.run = 0;
  emit(sim, side, undefined, {
    kind: PlayKind.TIMEOUT,
    subtype,
    description: `${side.team.tricode} Timeout`,
  });
  pause(sim, seconds);
  for (const each of sim.sides) substitute(sim, each, keep);
}
