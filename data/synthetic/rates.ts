import { type ZoneName } from "./shots.ts";

/** How often things happen in a game of the generator. Fitted to real seasons by `scripts/fit-synthetic.ts`. */
export interface Rates {
  /** Mean length of an attack, and of one that goes on after an offensive rebound, seconds. */
  readonly attackS: number;
  readonly secondAttackS: number;
  /** Chance of an attack to end in a turnover, or in a foul without a shot. */
  readonly turnover: number;
  readonly commonFoul: number;
  readonly technical: number;
  /** Shares of turnovers: those that are steals, and those that are offensive fouls. */
  readonly steal: number;
  readonly offensiveFoul: number;
  /** Share of missed shots, and of missed last free throws, that the attackers get. */
  readonly offensiveRebound: number;
  readonly offensiveReboundFreeThrow: number;
  /** Share of rebounds that go to a team and not to a player. */
  readonly teamRebound: number;
  /** Mean share of free throws that go in. */
  readonly freeThrow: number;
  /** By place of the shot. */
  readonly zones: Readonly<Record<ZoneName, ZoneRates>>;
  /** Added to the make rate of the home side and taken from the other's. */
  readonly homeTouch: number;
  /** Make rate lost for each point that a side is ahead: sides that lead ease up. */
  readonly easePerPoint: number;
  /** Spread of the teams, make rate of an attack or defence. */
  readonly strengthSd: number;
  /** Minutes that a coach plans for the first to the tenth man; they add up to 240. */
  readonly plannedMinutes: readonly number[];
  /** Planned time that a change of players must right, minutes. */
  readonly changeMinutes: number;
  /** Chance that a side stops the game by a time-out after a run of the other. */
  readonly runTimeout: number;
}

export interface ZoneRates {
  /** Weight among the zones. */
  readonly weight: number;
  readonly makeRate: number;
  /** Chance that a shot from here is fouled. */
  readonly fouledRate: number;
  /** Share of the misses that are blocked, and of the makes that are assisted. */
  readonly blockedShare: number;
  readonly assistedShare: number;
}
