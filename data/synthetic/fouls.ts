import { FoulKind, PlayKind, ReboundKind } from "../../proto/gen/courtside/v1/play_pb.ts";
import { FOUL_LIMIT, replaceFouledOut } from "./rotation.ts";
import {
  attackers,
  defenders,
  emit,
  otherSide,
  pause,
  pickWeighted,
  runClock,
  score,
  type PlayerLine,
  type Sim,
  type SimSide,
} from "./sim.ts";
import { deadBall } from "./stoppage.ts";

/** How an attempt ended: the other side has the ball, or the attack goes on. */
export type Outcome = "over" | "kept";

/** From the fifth foul of a quarter (fourth of an overtime) every foul is worth two throws. */
const PENALTY_FOULS = 5;
const PENALTY_FOULS_OVERTIME = 4;
/** In the last two minutes the second one is. */
const LAST_MINUTES_DS = 1200;
const PENALTY_FOULS_LATE = 2;

/** A foul by the defence away from a shot; brings throws when the defence is in the penalty. */
export function commonFoul(sim: Sim, kind: FoulKind, fouled: PlayerLine): Outcome {
  const defense = defenders(sim);
  const throws = callFoul(sim, defense, kind, fouled) ? 2 : 0;
  if (throws > 0) return freeThrows(sim, fouled, throws);
  deadBall(sim, 8);
  return "kept";
}

/** A foul on a shot that missed (or counted, then one throw). */
export function shootingFoul(sim: Sim, shooter: PlayerLine, throws: number): Outcome {
  callFoul(sim, defenders(sim), FoulKind.SHOOTING, shooter);
  return freeThrows(sim, shooter, throws);
}

/** A charge: the player's foul, no team foul, and the ball is lost by the turnover row that follows. */
export function offensiveFoul(sim: Sim, fouler: PlayerLine, drawnBy: PlayerLine): void {
  fouler.fouls += 1;
  emit(sim, attackers(sim), fouler, {
    kind: PlayKind.FOUL,
    foulKind: FoulKind.OFFENSIVE,
    fouledId: drawnBy.player.playerId,
    subtype: "offensive",
    description: `${fouler.player.shortName} offensive FOUL (${fouler.fouls} PF)`,
  });
}

/** A technical foul: one throw for the other side, then the game goes on as it was. */
export function technicalFoul(sim: Sim): void {
  const guilty = sim.sides[sim.random.next() < 0.5 ? 0 : 1];
  const other = sim.sides[otherSide(guilty.index)];
  const fouler = pickWeighted(sim.random, guilty.onCourt, (line) => line.player.foulWeight);
  emit(sim, guilty, fouler, {
    kind: PlayKind.FOUL,
    foulKind: FoulKind.TECHNICAL,
    subtype: "technical",
    description: `${fouler.player.shortName} technical FOUL`,
  });
  pause(sim, 25);
  const [best] = [...other.onCourt].sort((a, b) => b.player.freeThrowRate - a.player.freeThrowRate);
  if (best !== undefined) throwOne(sim, other, best, 1, 1);
}

/** @returns true when the foul sends the fouled side to the line. */
function callFoul(sim: Sim, side: SimSide, foulKind: FoulKind, fouled: PlayerLine): boolean {
  const fouler = pickWeighted(sim.random, side.onCourt, (line) => line.player.foulWeight);
  fouler.fouls += 1;
  side.periodFouls += 1;
  const isLate = sim.clockDs <= LAST_MINUTES_DS;
  if (isLate) side.lateFouls += 1;
  const limit = sim.period > 4 ? PENALTY_FOULS_OVERTIME : PENALTY_FOULS;
  const isPenalty = side.periodFouls >= limit || (isLate && side.lateFouls >= PENALTY_FOULS_LATE);
  const subtype = SUBTYPES.get(foulKind) ?? "personal";
  emit(sim, side, fouler, {
    kind: PlayKind.FOUL,
    foulKind,
    fouledId: fouled.player.playerId,
    subtype,
    description:
      `${fouler.player.shortName} ${subtype} FOUL (${fouler.fouls} PF) ` +
      `(${fouled.player.shortName} drew it)${isPenalty ? " PENALTY" : ""}`,
  });
  if (fouler.fouls >= FOUL_LIMIT) replaceFouledOut(sim, side, fouler);
  return isPenalty;
}

const SUBTYPES: ReadonlyMap<FoulKind, string> = new Map([
  [FoulKind.SHOOTING, "shooting personal"],
  [FoulKind.LOOSE_BALL, "loose ball personal"],
  [FoulKind.TAKE, "take personal"],
]);

function freeThrows(sim: Sim, shooter: PlayerLine, count: number): Outcome {
  const side = attackers(sim);
  deadBall(sim, 14, shooter);
  for (let number = 1; number < count; number++) {
    if (throwOne(sim, side, shooter, number, count)) continue;
    emit(sim, side, undefined, {
      kind: PlayKind.REBOUND,
      reboundKind: ReboundKind.OFFENSIVE,
      subtype: "deadball",
      description: `${side.team.tricode} offensive TEAM REBOUND`,
    });
  }
  if (throwOne(sim, side, shooter, count, count)) return "over";
  // The defence stands inside.
  return rebound(sim, sim.rates.offensiveReboundFreeThrow);
}

function throwOne(
  sim: Sim,
  side: SimSide,
  shooter: PlayerLine,
  number: number,
  count: number,
): boolean {
  const made = sim.random.next() < shooter.player.freeThrowRate;
  if (made) score(side, sim.sides[otherSide(side.index)], shooter, 1);
  const words = `${shooter.player.shortName} Free Throw ${number} of ${count}`;
  emit(sim, side, shooter, {
    kind: PlayKind.FREE_THROW,
    shotValue: 1,
    shotMade: made,
    freeThrowNumber: number,
    freeThrowCount: count,
    subtype: `${number} of ${count}`,
    description: made ? `${words} (${shooter.points} PTS)` : `MISS ${words}`,
  });
  pause(sim, 12 + sim.random.next() * 6);
  return made;
}

/** Somebody gets the missed ball; the attack goes on when it is one of its own. */
export function rebound(sim: Sim, offensiveShare = sim.rates.offensiveRebound): Outcome {
  const { random } = sim;
  runClock(sim, 5 + random.int(20));
  const isOffensive = random.next() < offensiveShare && sim.clockDs > 0;
  const side = isOffensive ? attackers(sim) : defenders(sim);
  const reboundKind = isOffensive ? ReboundKind.OFFENSIVE : ReboundKind.DEFENSIVE;
  if (sim.clockDs === 0 || random.next() < sim.rates.teamRebound) {
    const word = isOffensive ? "offensive" : "defensive";
    emit(sim, side, undefined, {
      kind: PlayKind.REBOUND,
      reboundKind,
      subtype: "team",
      description: `${side.team.tricode} ${word} TEAM REBOUND`,
    });
    if (sim.clockDs > 0) deadBall(sim, 6);
    return isOffensive ? "kept" : "over";
  }
  const line = pickWeighted(random, side.onCourt, (each) => each.player.reboundWeight);
  if (isOffensive) line.offensiveRebounds += 1;
  else line.defensiveRebounds += 1;
  const counts = `(Off:${line.offensiveRebounds} Def:${line.defensiveRebounds})`;
  emit(sim, side, line, {
    kind: PlayKind.REBOUND,
    reboundKind,
    description: `${line.player.shortName} REBOUND ${counts}`,
  });
  return isOffensive ? "kept" : "over";
}
