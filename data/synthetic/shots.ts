import { type Random } from "../../base/random.ts";
import { type Rates, type ZoneRates } from "./rates.ts";
import { pickWeighted } from "./sim.ts";

export type ZoneName = "rim" | "paint" | "mid" | "corner" | "top" | "heave";

/** A kind of shot; how often and how well it is taken is said by `Rates.zones`. */
interface Zone {
  readonly name: ZoneName;
  readonly value: 2 | 3;
  readonly minFt: number;
  readonly maxFt: number;
  readonly subtypes: readonly string[];
}

const ZONES: readonly Zone[] = [
  {
    name: "rim",
    value: 2,
    minFt: 0.5,
    maxFt: 4,
    subtypes: ["Layup", "driving Layup", "cutting Layup", "DUNK", "driving DUNK", "tip Layup"],
  },
  {
    name: "paint",
    value: 2,
    minFt: 4.5,
    maxFt: 13,
    subtypes: ["driving floating Jump Shot", "turnaround Hook", "Jump Shot", "Hook"],
  },
  {
    name: "mid",
    value: 2,
    minFt: 13.5,
    maxFt: 20.5,
    subtypes: ["pullup Jump Shot", "turnaround fadeaway Jump Shot", "step back Jump Shot"],
  },
  {
    name: "corner",
    value: 3,
    minFt: 22,
    maxFt: 23.5,
    subtypes: ["3PT"],
  },
  {
    name: "top",
    value: 3,
    minFt: 24,
    maxFt: 28.5,
    subtypes: ["3PT", "step back 3PT", "pullup 3PT"],
  },
  {
    name: "heave",
    value: 3,
    minFt: 38,
    maxFt: 65,
    subtypes: ["running 3PT"],
  },
];

/** Where a shot is taken, and what is to be expected of it. */
export interface ShotPlan {
  readonly zone: Zone;
  readonly rates: ZoneRates;
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
export function planShot(random: Random, rates: Rates, size: number, threeShare = 0): ShotPlan {
  const weights = ZONES.map(({ name }) => leaning(name, size) * rates.zones[name].weight);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const three = ZONES.reduce(
    (sum, { value }, at) => sum + (value === 3 ? (weights[at] ?? 0) / total : 0),
    0,
  );
  const zone = pickWeighted(random, ZONES, (candidate) => {
    const base = (weights[ZONES.indexOf(candidate)] ?? 0) / total;
    if (three >= threeShare) return base;
    return candidate.value === 3
      ? (base / three) * threeShare
      : (base / (1 - three)) * (1 - threeShare);
  });
  return placeShot(random, rates, zone);
}

/** A throw from beyond half-court as time runs out. */
export function planHeave(random: Random, rates: Rates): ShotPlan {
  return placeShot(random, rates, ZONES[ZONES.length - 1] as Zone);
}

/** Where players of a size like to shoot from; the fitted weights of the zones come on top. */
function leaning(name: ZoneName, size: number): number {
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

function placeShot(random: Random, rates: Rates, zone: Zone): ShotPlan {
  const distanceFt = zone.minFt + random.next() * (zone.maxFt - zone.minFt);
  const [xFt, yFt] =
    zone.name === "corner" ? cornerSpot(random, distanceFt) : arcSpot(random, zone, distanceFt);
  const subtype = zone.subtypes[random.int(zone.subtypes.length)] ?? "";
  return {
    zone,
    rates: rates.zones[zone.name],
    subtype,
    xFt: tenths(xFt),
    yFt: tenths(yFt),
    distanceFt: tenths(distanceFt),
  };
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
