import { FoulKind, PlayKind } from "../../proto/gen/courtside/v1/play_pb.ts";
import {
  commonFoul,
  offensiveFoul,
  rebound,
  shootingFoul,
  technicalFoul,
  type Outcome,
} from "./fouls.ts";
import { FOUL_LIMIT, replaceFouledOut } from "./rotation.ts";
import { planHeave, planShot, type ShotPlan } from "./shots.ts";
import {
  attackers,
  defenders,
  emit,
  leadOfOffense,
  otherSide,
  pause,
  pickWeighted,
  runClock,
  score,
  type PlayerLine,
  type Sim,
} from "./sim.ts";
import { deadBall, maybeTimeout } from "./stoppage.ts";

const KICKED_BALL_RATE = 0.004;

/** Kinds of turnovers that are steals, and of those that are neither steal nor offensive foul, with their weights. */
const STOLEN: readonly (readonly [subtype: string, weight: number])[] = [
  ["bad pass", 0.6],
  ["lost ball", 0.4],
];
const UNFORCED: readonly (readonly [subtype: string, weight: number])[] = [
  ["out-of-bounds bad pass", 0.52],
  ["traveling", 0.28],
  ["3-second violation", 0.2],
];

/** A whole shot clock in tenths of a second. */
const SHOT_CLOCK_DS = 240;

/** Make rate lost per minute on court without rest, beyond eight. */
const TIRED_PER_MINUTE = 0.004;
const FRESH_MINUTES = 8;

/** Plays until the other side has the ball or the period is over. */
export function playPossession(sim: Sim): void {
  let isFresh = true;
  while (sim.clockDs > 0) {
    if (playAttempt(sim, isFresh) === "over") break;
    isFresh = false;
  }
  sim.offense = otherSide(sim.offense);
}

function playAttempt(sim: Sim, isFresh: boolean): Outcome {
  const { random } = sim;
  if (mustFoul(sim)) {
    runClock(sim, Math.min(10 + random.int(30), Math.max(0, sim.clockDs - 2)));
    return commonFoul(sim, FoulKind.TAKE, pickUser(sim));
  }
  const thinkDs = thinkingTime(sim, isFresh);
  if (mayRunOut(sim)) {
    runClock(sim, sim.clockDs);
    return "over";
  }
  if (thinkDs >= sim.clockDs) return lastAttempt(sim);
  runClock(sim, thinkDs);
  const { rates } = sim;
  if (random.next() < rates.technical) technicalFoul(sim);
  if (random.next() < KICKED_BALL_RATE) kickedBall(sim);
  const draw = random.next();
  if (draw < rates.turnover) return turnover(sim);
  if (draw < rates.turnover + rates.commonFoul) {
    const kind = random.next() < 0.25 ? FoulKind.LOOSE_BALL : FoulKind.PERSONAL;
    return commonFoul(sim, kind, pickUser(sim));
  }
  const shooter = pickUser(sim);
  return shoot(sim, shooter, planShot(random, sim.rates, shooter.player.size, threeShare(sim)));
}

/** How long the side with the ball takes, tenths of a second. */
function thinkingTime(sim: Sim, isFresh: boolean): number {
  const { random } = sim;
  const lead = leadOfOffense(sim);
  const isFinish = sim.period >= 4 && sim.clockDs < 1200;
  if (isFinish && lead < 0 && sim.clockDs < 400 && lead <= -3) return 25 + random.int(50);
  const holds = sim.period < 4 || lead > -3;
  if (sim.clockDs < SHOT_CLOCK_DS && sim.clockDs > 60 && holds)
    return sim.clockDs - 5 - random.int(45);
  const tempoS = attackers(sim).team.tempoS + defenders(sim).team.tempoS;
  const meanS = (isFresh ? sim.rates.attackS : sim.rates.secondAttackS) + tempoS / 2;
  const factor = isFinish ? paceAtTheEnd(lead) : 1;
  const wantedDs = random.normal(meanS * factor, isFresh ? 5 : 3.8) * 10;
  return Math.min(SHOT_CLOCK_DS - 3, Math.max(20, wantedDs));
}

function paceAtTheEnd(lead: number): number {
  if (lead > 0) return 1.3;
  return lead <= -4 ? 0.65 : 1;
}

/** Behind with little time left, the defence stops the clock by a foul. */
function mustFoul(sim: Sim): boolean {
  if (sim.period < 4 || sim.clockDs < 3) return false;
  const lead = leadOfOffense(sim);
  if (lead <= 0 || lead > 9) return false;
  const fromDs = lead <= 3 ? SHOT_CLOCK_DS : 420;
  return sim.clockDs < fromDs && sim.random.next() < 0.85;
}

/** Ahead with less than a shot clock left, nobody has to shoot any more. */
function mayRunOut(sim: Sim): boolean {
  return sim.period >= 4 && sim.clockDs < SHOT_CLOCK_DS && leadOfOffense(sim) > 0;
}

/** Needing three points with half a minute left, most shots are threes. */
function threeShare(sim: Sim): number {
  const isDesperate = sim.period >= 4 && sim.clockDs < 300 && leadOfOffense(sim) <= -3;
  return isDesperate ? 0.75 : 0;
}

/** The time is shorter than the attack: a hurried shot, a throw from afar, or none. */
function lastAttempt(sim: Sim): Outcome {
  const { random } = sim;
  const startDs = sim.clockDs;
  const isFar = startDs < 35;
  if (startDs > 5 && random.next() < (isFar ? 0.25 : 0.7)) {
    runClock(sim, startDs - 1 - random.int(Math.min(20, startDs - 1)));
    const shooter = pickUser(sim);
    const plan = isFar
      ? planHeave(random, sim.rates)
      : planShot(random, sim.rates, shooter.player.size, threeShare(sim));
    return shoot(sim, shooter, plan);
  }
  runClock(sim, startDs);
  return "over";
}

function pickUser(sim: Sim): PlayerLine {
  return pickWeighted(sim.random, attackers(sim).onCourt, (line) => line.player.shotWeight);
}

function shoot(sim: Sim, shooter: PlayerLine, plan: ShotPlan): Outcome {
  const { random } = sim;
  const { zone, rates } = plan;
  const isFouled = random.next() < rates.fouledRate;
  // A fouled shot goes in about half as often.
  const made = random.next() < makeRate(sim, shooter, plan) * (isFouled ? 0.5 : 1);
  if (isFouled && !made) return shootingFoul(sim, shooter, zone.value);
  if (!made) return miss(sim, shooter, plan);
  const assister = random.next() < rates.assistedShare ? pickAssister(sim, shooter) : undefined;
  score(attackers(sim), defenders(sim), shooter, zone.value);
  if (assister !== undefined) assister.assists += 1;
  emitShot(sim, shooter, plan, true, assister);
  if (isFouled) return shootingFoul(sim, shooter, 1);
  maybeTimeout(sim, defenders(sim));
  return "over";
}

function makeRate(sim: Sim, shooter: PlayerLine, { zone, rates }: ShotPlan): number {
  const home = sim.offense === 0 ? sim.rates.homeTouch : -sim.rates.homeTouch;
  const tiredMinutes = Math.max(0, shooter.sinceChangeDs / 600 - FRESH_MINUTES);
  const rate =
    rates.makeRate +
    shooter.player.touch +
    attackers(sim).team.offense -
    defenders(sim).team.defense +
    home -
    sim.rates.easePerPoint * leadOfOffense(sim) -
    TIRED_PER_MINUTE * tiredMinutes;
  return zone.name === "heave" ? rates.makeRate : Math.min(0.95, Math.max(0.05, rate));
}

function miss(sim: Sim, shooter: PlayerLine, plan: ShotPlan): Outcome {
  const isBlocked = sim.random.next() < plan.rates.blockedShare;
  emitShot(sim, shooter, plan, false, undefined, isBlocked);
  if (isBlocked) {
    const defense = defenders(sim);
    const blocker = pickWeighted(sim.random, defense.onCourt, (line) => line.player.blockWeight);
    blocker.blocks += 1;
    emit(sim, defense, blocker, {
      kind: PlayKind.BLOCK,
      description: `${blocker.player.shortName} BLOCK (${blocker.blocks} BLK)`,
    });
  }
  return rebound(sim);
}

function pickAssister(sim: Sim, shooter: PlayerLine): PlayerLine {
  const others = attackers(sim).onCourt.filter((line) => line !== shooter);
  return pickWeighted(sim.random, others, (line) => line.player.assistWeight);
}

function emitShot(
  sim: Sim,
  shooter: PlayerLine,
  { zone, subtype, xFt, yFt, distanceFt }: ShotPlan,
  made: boolean,
  assister?: PlayerLine,
  isBlocked = false,
): void {
  const feet = zone.name === "rim" ? "" : `${Math.round(distanceFt)}' `;
  const words = `${shooter.player.shortName} ${feet}${subtype}`;
  const assist =
    assister === undefined ? "" : ` (${assister.player.shortName} ${assister.assists} AST)`;
  emit(sim, attackers(sim), shooter, {
    kind: PlayKind.SHOT,
    shotValue: zone.value,
    shotMade: made,
    shotXFt: xFt,
    shotYFt: yFt,
    shotDistanceFt: distanceFt,
    assisterId: assister?.player.playerId ?? 0,
    subtype,
    description: made
      ? `${words} (${shooter.points} PTS)${assist}`
      : `MISS ${words}${isBlocked ? " - blocked" : ""}`,
  });
}

function turnover(sim: Sim): Outcome {
  const { random } = sim;
  const loser = pickUser(sim);
  const defense = defenders(sim);
  const [subtype, isSteal] = turnoverKind(sim);
  const other = pickWeighted(random, defense.onCourt, (line) => line.player.stealWeight);
  if (subtype === "offensive foul") offensiveFoul(sim, loser, other);
  loser.turnovers += 1;
  emit(sim, attackers(sim), loser, {
    kind: PlayKind.TURNOVER,
    subtype,
    description: `${loser.player.shortName} ${subtype} TURNOVER (${loser.turnovers} TO)`,
  });
  if (isSteal) {
    other.steals += 1;
    emit(sim, defense, other, {
      kind: PlayKind.STEAL,
      description: `${other.player.shortName} STEAL (${other.steals} STL)`,
    });
    return "over";
  }
  if (loser.fouls >= FOUL_LIMIT) replaceFouledOut(sim, attackers(sim), loser);
  deadBall(sim, 9);
  return "over";
}

function turnoverKind({ random, rates }: Sim): [subtype: string, isSteal: boolean] {
  const draw = random.next();
  if (draw < rates.steal) return [pickWeighted(random, STOLEN, ([, weight]) => weight)[0], true];
  if (draw < rates.steal + rates.offensiveFoul) return ["offensive foul", false];
  return [pickWeighted(random, UNFORCED, ([, weight]) => weight)[0], false];
}

function kickedBall(sim: Sim): void {
  const defense = defenders(sim);
  const line = pickWeighted(sim.random, defense.onCourt, (each) => each.player.foulWeight);
  emit(sim, defense, line, {
    kind: PlayKind.VIOLATION,
    subtype: "kicked ball",
    description: `${line.player.shortName} kicked ball VIOLATION`,
  });
  pause(sim, 8);
}
