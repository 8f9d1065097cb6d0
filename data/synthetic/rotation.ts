import { PlayKind } from "../../proto/gen/courtside/v1/play_pb.ts";
import { emit, otherSide, type PlayerLine, type Sim, type SimSide } from "./sim.ts";

/** A sixth foul ends a player's game. */
export const FOUL_LIMIT = 6;

/** Most changes of one side at one stoppage; more look like hockey. */
const MAX_CHANGES = 3;

/** Tenths of a second in a minute. */
const MINUTE_DS = 600;

const LEAST_STINT_DS = 2 * MINUTE_DS;

/** How far the coach bends the plan: close finish, lost cause, foul trouble, a second-half start. */
const CLOSERS_DS = 14 * MINUTE_DS;
const GARBAGE_DS = 24 * MINUTE_DS;
const FOUL_TROUBLE_DS = 6 * MINUTE_DS;
const SECOND_HALF_DS = 8 * MINUTE_DS;

/** A difference in size of a whole court (guard for centre) costs as much as this. */
const SIZE_MISMATCH_DS = 4 * MINUTE_DS;

/**
 * Changes players at a stoppage so that minutes come near the plan.
 * @param keep - must stay: he is about to shoot free throws.
 */
export function substitute(sim: Sim, side: SimSide, keep?: PlayerLine): void {
  for (let changes = 0; changes < MAX_CHANGES; changes++) {
    const change = bestChange(sim, side, keep);
    if (change === undefined) return;
    swap(sim, side, change.out, change.in);
  }
}

/** Replaces a player who may not play on, by the best who may. */
export function replaceFouledOut(sim: Sim, side: SimSide, out: PlayerLine): void {
  const [best] = benchOf(side).sort((a, b) => gain(sim, side, out, b) - gain(sim, side, out, a));
  if (best !== undefined) swap(sim, side, out, best);
}

interface Change {
  readonly out: PlayerLine;
  readonly in: PlayerLine;
}

function bestChange(sim: Sim, side: SimSide, keep?: PlayerLine): Change | undefined {
  let best: Change | undefined;
  // Players would swap at every whistle if any gain were enough.
  let bestGainDs = sim.rates.changeMinutes * MINUTE_DS;
  const bench = benchOf(side).filter((line) => hasSettled(sim, line));
  for (const out of side.onCourt) {
    if (out === keep || !hasSettled(sim, out)) continue;
    for (const line of bench) {
      const gainDs = gain(sim, side, out, line);
      if (gainDs <= bestGainDs) continue;
      bestGainDs = gainDs;
      best = { out, in: line };
    }
  }
  return best;
}

/** Between periods everybody is free to change. */
function hasSettled(sim: Sim, line: PlayerLine): boolean {
  return line.sinceChangeDs >= LEAST_STINT_DS || sim.clockDs === periodLengthDs(sim.period);
}

function benchOf(side: SimSide): PlayerLine[] {
  return side.lines.filter((line) => !side.onCourt.includes(line) && line.fouls < FOUL_LIMIT);
}

function gain(sim: Sim, side: SimSide, out: PlayerLine, line: PlayerLine): number {
  const mismatch = Math.abs(out.player.size - line.player.size) * SIZE_MISMATCH_DS;
  return wantedDs(sim, side, line) - wantedDs(sim, side, out) - mismatch;
}

/** Court time that the coach still owes the player, bent by the state of the game. */
function wantedDs(sim: Sim, side: SimSide, line: PlayerLine): number {
  const { courtShare, starter } = line.player;
  let wanted = courtShare * sim.elapsedDs - line.playedDs;
  const lead = Math.abs(side.points - sim.sides[otherSide(side.index)].points);
  const isLate = sim.period >= 4 && sim.clockDs < 5.5 * MINUTE_DS;
  if (isLate && lead > 17) wanted -= (courtShare - 0.5) * GARBAGE_DS;
  else if (isLate) wanted += (courtShare - 0.5) * CLOSERS_DS;
  if (sim.period < 4 && line.fouls > sim.period) wanted -= FOUL_TROUBLE_DS;
  const startsHalf = sim.period === 3 && sim.clockDs === periodLengthDs(3);
  return startsHalf && starter ? wanted + SECOND_HALF_DS : wanted;
}

function swap(sim: Sim, side: SimSide, out: PlayerLine, line: PlayerLine): void {
  side.onCourt = side.onCourt.map((player) => (player === out ? line : player));
  out.sinceChangeDs = 0;
  line.sinceChangeDs = 0;
  emit(sim, side, out, {
    kind: PlayKind.SUBSTITUTION,
    playerInId: line.player.playerId,
    playerOutId: out.player.playerId,
    description: `SUB: ${line.player.shortName} FOR ${out.player.shortName}`,
  });
}

/** Twelve minutes, overtime five, in tenths of a second. */
export function periodLengthDs(period: number): number {
  return period <= 4 ? 7200 : 3000;
}
