import { type Random } from "../../base/random.ts";
import { pickWeighted } from "./sim.ts";

export type ZoneName = "rim" | "paint" | "mid" | "corner" | "top" | "heave";

/** A kind of shot. Rates are the NBA's of 2023-24, rounded. */
interface Zone {
  readonly name: ZoneName;
  readonly value: 2 | 3;
  readonly makeRate: number;
  /** Chance that a shot from here is fouled. */
  readonly fouledRate: number;
  /** Share of the misses that are blocked, and of the makes that are assisted. */
  readonly blockedShare: number;
  readonly assistedShare: number;
  readonly minFt: number;
  readonly maxFt: number;
  readonly subtypes: readonly string[];
}

const ZONES: readonly Zone[] = [
  {
    name: "rim",
    value: 2,
    makeRate: 0.66,
    fouledRate: 0.205,
    blockedShare: 0.29,
    assistedShare: 0.56,
    minFt: 0.5,
    maxFt: 4,
    subtypes: ["Layup", "driving Layup", "cutting Layup", "DUNK", "driving DUNK", "tip Layup"],
  },
  {
    name: "paint",
    value: 2,
    makeRate: 0.44,
    fouledRate: 0.12,
    blockedShare: 0.12,
    assistedShare: 0.4,
    minFt: 4.5,
    maxFt: 13,
    subtypes: ["driving floating Jump Shot", "turnaround Hook", "Jump Shot", "Hook"],
  },
  {
    name: "mid",
    value: 2,
    makeRate: 0.42,
    fouledRate: 0.055,
    blockedShare: 0.04,
    assistedShare: 0.38,
    minFt: 13.5,
    maxFt: 20.5,
    subtypes: ["pullup Jump Shot", "turnaround fadeaway Jump Shot", "step back Jump Shot"],
  },
  {
    name: "corner",
    value: 3,
    makeRate: 0.388,
    fouledRate: 0.01,
    blockedShare: 0.015,
    assistedShare: 0.95,
    minFt: 22,
    maxFt: 23.5,
    subtypes: ["3PT"],
  },
  {
    name: "top",
    value: 3,
    makeRate: 0.355,
    fouledRate: 0.018,
    blockedShare: 0.015,
    assistedShare: 0.8,
    minFt: 24,
    maxFt: 28.5,
    subtypes: ["3PT", "step back 3PT", "pullup 3PT"],
  },
  {
    name: "heave",
    value: 3,
    makeRate: 0.03,
    fouledRate: 0,
    blockedShare: 0,
    assistedShare: 0,
    minFt: 38,
    maxFt: 65,
    subtypes: ["running 3PT"],
  },
];

/** Where a shot is taken, and what is to be expected of it. */
export interface ShotPlan {
  readonly zone: Zone;
  readonly subtype: string;
  readonly xFt: number;
  readonly yFt: number;
  readonly distanceFt: number;
}

/** The circle of the free-throw line is 15 ft from the board; the end line is 5.25 ft behind the basket's centre. */
const BEHIND_BASKET_FT = 4;

/**
 * @param size - of the shooter, 0..1: the tall go to the rim, the small stay outside.
 * @param threeShare - 0..1 raises the share of threes to at least that; for a side that needs three.
 */
export function planShot(random: Random, size: number, threeShare = 0): ShotPlan {
  const zone = pickWeighted(random, ZONES, (candidate) => zoneWeight(candidate, size, threeShare));
  return placeShot(random, zone);
}

/** A throw from beyond half-court as time runs out. */
export function planHeave(random: Random): ShotPlan {
  return placeShot(random, ZONES[ZONES.length - 1] as Zone);
}

function zoneWeight(zone: Zone, size: number, threeShare: number): number {
  const base = baseWeight(zone.name, size);
  const three = baseWeight("corner", size) + baseWeight("top", size);
  if (three >= threeShare) return base;
  return zone.value === 3 ? (base / three) * threeShare : (base / (1 - three)) * (1 - threeShare);
}

/** Sums to 1 for every size. */
function baseWeight(name: ZoneName, size: number): number {
  switch (name) {
    case "rim":
      return 0.2 + 0.2 * size;
    case "paint":
      return 0.15 + 0.08 * size;
    case "mid":
      return 0.11;
    case "corner":
      return 0.11 - 0.03 * size;
    case "top":
      return 0.43 - 0.25 * size;
    case "heave":
      return 0;
    default:
      return name satisfies never;
  }
}

function placeShot(random: Random, zone: Zone): ShotPlan {
  const distanceFt = zone.minFt + random.next() * (zone.maxFt - zone.minFt);
  const [xFt, yFt] =
    zone.name === "corner" ? cornerSpot(random, distanceFt) : arcSpot(random, zone, distanceFt);
  const subtype = zone.subtypes[random.int(zone.subtypes.length)] ?? "";
  return { zone, subtype, xFt: tenths(xFt), yFt: tenths(yFt), distanceFt: tenths(distanceFt) };
}

/** Corner threes are taken next to the side line, below the break of the arc. */
function cornerSpot(random: Random, distanceFt: number): [number, number] {
  const yFt = -BEHIND_BASKET_FT + random.next() * 9;
  const xFt = Math.sqrt(distanceFt ** 2 - yFt ** 2);
  return [random.next() < 0.5 ? xFt : -xFt, yFt];
}

/** Anywhere in front of the basket; threes stay above the break, where the arc is round. */
function arcSpot(random: Random, zone: Zone, distanceFt: number): [number, number] {
  const reach = zone.value === 3 ? 1.15 : 1.5;
  const angle = (random.next() * 2 - 1) * reach;
  return [Math.sin(angle) * distanceFt, Math.cos(angle) * distanceFt];
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
