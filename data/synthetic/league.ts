import assert from "node:assert/strict";
import { type Random } from "../../base/random.ts";
import { CLUBS, FAMILY_NAMES, FIRST_NAMES, type Club } from "./names.ts";
import { type Rates } from "./rates.ts";

/** What a player is like; constant over a season. Weights are relative among the five on court. */
export interface LeaguePlayer {
  readonly playerId: number;
  readonly name: string;
  /** As descriptions spell it: `M. Brellan`. */
  readonly shortName: string;
  readonly teamId: number;
  readonly starter: boolean;
  /** Share of the game that the coach wants the player on court, 0..1; a team's shares add up to 5. */
  readonly courtShare: number;
  /** 0 = smallest guard, 1 = centre. */
  readonly size: number;
  readonly shotWeight: number;
  readonly assistWeight: number;
  readonly reboundWeight: number;
  readonly stealWeight: number;
  readonly blockWeight: number;
  readonly foulWeight: number;
  /** Added to the make rate of every field goal. */
  readonly touch: number;
  /** Make rate of free throws, 0..1. */
  readonly freeThrowRate: number;
}

/** A team and its strength; constant over a season. */
export interface LeagueTeam {
  readonly teamId: number;
  readonly tricode: string;
  readonly name: string;
  readonly venue: string;
  /** Added to the make rate of its own shots. */
  readonly offense: number;
  /** Taken from the make rate of the other side's shots. */
  readonly defense: number;
  /** Added to the mean length of its possessions, seconds. */
  readonly tempoS: number;
  readonly players: readonly LeaguePlayer[];
}

/** Most teams of a league: three letters have to be enough, and nobody needs more at once. */
export const MAX_TEAMS = 20_000;

const GAME_MINUTES = 48;

/** Two guards, wing, forward, centre; then the same from the bench. */
const SIZES = [0.05, 0.25, 0.5, 0.75, 1, 0.1, 0.55, 0.85, 0.35, 0.95] as const;

const TEMPO_SD_S = 0.35;
const TOUCH_SD = 0.02;

const FIRST_TEAM_ID = 900_001;
/** Team 900001 has players 90000101 to 90000110. */
const PLAYERS_ID_FACTOR = 100;

/** @param teams - 2 to `MAX_TEAMS`; the first sixteen have names of their own. */
export function makeLeague(random: Random, teams: number, rates: Rates): LeagueTeam[] {
  assert(Number.isInteger(teams) && teams >= 2 && teams <= MAX_TEAMS, "2 to 20,000 teams");
  return Array.from({ length: teams }, (_, index) =>
    makeTeam(random.fork(`team ${String(index)}`), index, rates),
  );
}

function makeTeam(random: Random, index: number, rates: Rates): LeagueTeam {
  const teamId = FIRST_TEAM_ID + index;
  const names = pickNames(random, rates.plannedMinutes.length);
  // Good teams tend to be good at both ends; that spreads margins, not totals.
  const quality = random.normal(0, rates.strengthSd);
  const atOneEnd = (): number => 0.6 * quality + 0.8 * random.normal(0, rates.strengthSd);
  return {
    teamId,
    ...clubOf(index),
    offense: atOneEnd(),
    defense: atOneEnd(),
    tempoS: random.normal(0, TEMPO_SD_S),
    players: names.map((name, slot) => makePlayer(random, rates, teamId, slot, name)),
  };
}

/** Beyond the named clubs a town has several teams, told apart by number and by a code in base 26. */
function clubOf(index: number): Club {
  const club = CLUBS[index % CLUBS.length];
  assert(club !== undefined, "there are clubs");
  if (index < CLUBS.length) return club;
  const letters = [676, 26, 1].map((place) =>
    String.fromCodePoint(65 + (Math.floor((index + 676) / place) % 26)),
  );
  const division = Math.floor(index / CLUBS.length) + 1;
  return { ...club, tricode: letters.join(""), name: `${club.name} ${String(division)}` };
}

/** A roster without two men of one family name, since descriptions show the initial only. */
function pickNames(random: Random, count: number): [first: string, family: string][] {
  const families = [...FAMILY_NAMES];
  return Array.from({ length: count }, () => {
    const first = FIRST_NAMES[random.int(FIRST_NAMES.length)] ?? "";
    const [family = ""] = families.splice(random.int(families.length), 1);
    return [first, family];
  });
}

function makePlayer(
  random: Random,
  rates: Rates,
  teamId: number,
  slot: number,
  [first, family]: [string, string],
): LeaguePlayer {
  const size = SIZES[slot] ?? 0.5;
  const minutes = rates.plannedMinutes[slot] ?? 0;
  const spread = (mean: number): number => mean * Math.exp(random.normal(0, 0.2));
  return {
    playerId: teamId * PLAYERS_ID_FACTOR + slot + 1,
    name: `${first} ${family}`,
    shortName: `${first.slice(0, 1)}. ${family}`,
    teamId,
    starter: slot < 5,
    courtShare: minutes / GAME_MINUTES,
    size,
    shotWeight: spread(0.6 + minutes / 40),
    assistWeight: spread(1.6 - 1.2 * size),
    reboundWeight: spread(0.5 + 1.5 * size),
    stealWeight: spread(1.2 - 0.5 * size),
    blockWeight: spread(0.2 + 1.8 * size * size),
    foulWeight: spread(0.8 + 0.6 * size),
    touch: random.normal(0, TOUCH_SD) + (slot < 5 ? 0.006 : -0.01),
    freeThrowRate: Math.min(
      0.95,
      Math.max(0.45, random.normal(rates.freeThrow + 0.05 - 0.1 * size, 0.05)),
    ),
  };
}
