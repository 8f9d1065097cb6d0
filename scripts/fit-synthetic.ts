/**
 * Fits the rates of the synthetic season to real seasons: `node scripts/fit-synthetic.ts [SEASON.csv.gz ...]`, by
 * default the v3 seasons of ../shared/nba/pbp. Writes data/synthetic/fitted-rates.ts and prints both profiles.
 *
 * What is counted in real games (shots by zone, fouls, rebounds, minutes by rank, margins, ...) is counted by the same
 * code in generated ones, and each rate is moved by what its count is off, round after round. Rates hang together (a
 * slower pace takes fouls away too), which is why they are not read off one by one.
 */
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { openSource } from "../data/readers/mod.ts";
import { FITTED_RATES } from "../data/synthetic/fitted-rates.ts";
import { type Profile, Profiler } from "../data/synthetic/profile.ts";
import { type Rates } from "../data/synthetic/rates.ts";
import { syntheticSeason } from "../data/synthetic/season.ts";
import { type ZoneName } from "../data/synthetic/shots.ts";

const ROUNDS = 12;
/** Rates move by this share of what they are off: what is left of the noise of a round shrinks with the rounds. */
const STEP = 0.7;
const SEASONS_A_ROUND = 1;
const TEAMS = 30;
const GAMES_A_ROUND = 600;
const START_TIME_MS = Date.UTC(2023, 9, 24, 23);
const FIRST_SEED = 1000;

const PBP = path.join(import.meta.dirname, "../../shared/nba/pbp");
const SEASONS = ["v3_2022-23_regular", "v3_2023-24_regular", "v3_2024-25_regular"];
const TARGET = path.join(import.meta.dirname, "../data/synthetic/fitted-rates.ts");
const PROFILE_TARGET = path.join(import.meta.dirname, "../data/synthetic/real-profile.ts");

const named = process.argv.slice(2);
const files =
  named.length > 0 ? named : SEASONS.map((season) => path.join(PBP, `${season}.csv.gz`));
for (const file of files) if (!existsSync(file)) throw new Error(`${file} is not there`);
const real = average(await Promise.all(files.map(profileOfFile)));
let rates: Rates = FITTED_RATES;
/** Rates after each of the later rounds: their mean has less of the noise of one generated season. */
const settled: Rates[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const made = profileOfRates(rates, FIRST_SEED + round * SEASONS_A_ROUND);
  rates = moved(rates, made, real, round < ROUNDS / 2 ? STEP : STEP / 2);
  if (round >= ROUNDS / 2) settled.push(rates);
  console.error(
    `round ${round + 1}: points ${made.pointsMean.toFixed(1)}, margin sd ${made.marginSd.toFixed(2)}`,
  );
}
rates = average(settled);
writeFileSync(TARGET, sourceOf(rates));
writeFileSync(PROFILE_TARGET, profileSource(real));
console.log(JSON.stringify({ real, made: profileOfRates(rates, 1) }, null, 1));

async function profileOfFile(file: string): Promise<Profile> {
  const profiler = new Profiler();
  for await (const game of openSource(file)) profiler.add(game);
  return profiler.finish();
}

function profileOfRates(candidate: Rates, firstSeed: number): Profile {
  const profiles = Array.from({ length: SEASONS_A_ROUND }, (_, at) => {
    const profiler = new Profiler();
    const options = { seed: firstSeed + at, games: GAMES_A_ROUND, teams: TEAMS, rates: candidate };
    for (const game of syntheticSeason({ ...options, startTimeMs: START_TIME_MS })) {
      profiler.add(game);
    }
    return profiler.finish();
  });
  return average(profiles);
}

/** Mean of profiles or of rates, figure by figure. */
function average<Figures extends object>(all: readonly Figures[]): Figures {
  const mix = (values: readonly unknown[]): unknown => {
    const [first] = values;
    if (typeof first === "number") {
      return (values as number[]).reduce((sum, value) => sum + value, 0) / values.length;
    }
    if (Array.isArray(first)) {
      return first.map((_, at) => mix((values as unknown[][]).map((value) => value[at])));
    }
    const keys = Object.keys(first as object);
    const records = values as Record<string, unknown>[];
    return Object.fromEntries(keys.map((key) => [key, mix(records.map((each) => each[key]))]));
  };
  return mix(all) as Figures;
}

function moved(now: Rates, made: Profile, wanted: Profile, step: number): Rates {
  const scale = (rate: number, name: (profile: Profile) => number): number =>
    rate * (name(wanted) / name(made)) ** step;
  const shift = (rate: number, name: (profile: Profile) => number, by = 1): number =>
    rate + step * by * (name(wanted) - name(made));
  const zone = (name: ZoneName): Rates["zones"]["rim"] => {
    const { weight, makeRate, fouledRate, blockedShare, assistedShare } = now.zones[name];
    return {
      weight: name === "heave" ? weight : scale(weight, (each) => each.zones[name].share),
      makeRate: Math.max(
        0.01,
        shift(makeRate, (each) => each.zones[name].makeRate),
      ),
      fouledRate: scale(fouledRate, (each) => each.shootingFoulsMean),
      blockedShare: scale(blockedShare, (each) => each.blocksMean),
      assistedShare: Math.min(
        0.99,
        shift(assistedShare, (each) => each.zones[name].assisted),
      ),
    };
  };
  const minutes = now.plannedMinutes.map((planned, rank) =>
    Math.max(
      1,
      planned + step * ((wanted.minutesByRank[rank] ?? 0) - (made.minutesByRank[rank] ?? 0)),
    ),
  );
  const sum = minutes.reduce((total, value) => total + value, 0);
  const commonFouls = (each: Profile): number =>
    each.foulsMean - each.shootingFoulsMean - each.offensiveFoulsMean;
  // More shots in the same time are shorter attacks.
  const shotsOff = made.shotsMean / wanted.shotsMean;
  return {
    attackS: now.attackS * shotsOff ** step,
    secondAttackS: now.secondAttackS,
    turnover: scale(now.turnover, (each) => each.turnoversMean),
    commonFoul: Math.max(0.005, scale(now.commonFoul, commonFouls)),
    technical: scale(now.technical, (each) => each.technicalsMean),
    steal: scale(now.steal, (each) => each.stealsMean / each.turnoversMean),
    offensiveFoul: scale(now.offensiveFoul, (each) => each.offensiveFoulsMean / each.turnoversMean),
    offensiveRebound: scale(now.offensiveRebound, (each) => each.offensiveReboundShare),
    offensiveReboundFreeThrow: now.offensiveReboundFreeThrow,
    teamRebound: scale(now.teamRebound, (each) => each.teamReboundsMean),
    freeThrow: shift(now.freeThrow, (each) => each.freeThrowRate),
    zones: {
      rim: zone("rim"),
      paint: zone("paint"),
      mid: zone("mid"),
      corner: zone("corner"),
      top: zone("top"),
      heave: { ...now.zones.heave, makeRate: wanted.zones.heave.makeRate },
    },
    // One point of make rate on both ends is worth about three points a game.
    homeTouch: shift(now.homeTouch, (each) => each.homeMarginMean, 0.0035),
    easePerPoint: Math.max(
      0,
      shift(now.easePerPoint, (each) => each.marginSd, -0.0003),
    ),
    strengthSd: scale(now.strengthSd, (each) => each.teamMarginSd),
    plannedMinutes: minutes.map((value) => (240 * value) / sum),
    // A lower threshold brings more changes.
    changeMinutes: now.changeMinutes * (made.substitutionsMean / wanted.substitutionsMean) ** step,
    runTimeout: Math.min(
      0.95,
      scale(now.runTimeout, (each) => each.timeoutsMean),
    ),
  };
}

function sourceOf(fitted: Rates): string {
  return `import { type Rates } from "./rates.ts";

/**
 * Made by \`node scripts/fit-synthetic.ts\` from ${seasonNames()};
 * not to be edited by hand. How close the generated games come is tested and told in data/README.md.
 */
export const FITTED_RATES: Rates = ${literal(fitted)};
`;
}

function profileSource(profile: Profile): string {
  return `import { type Profile } from "./profile.ts";

/** What real seasons look like: mean of ${seasonNames()}. Made by \`node scripts/fit-synthetic.ts\`. */
export const REAL_PROFILE: Profile = ${literal(profile)};
`;
}

function seasonNames(): string {
  return files.map((file) => path.basename(file).split(".")[0] ?? "").join(", ");
}

function literal(value: object): string {
  const rounded = (_: string, each: unknown): unknown =>
    typeof each === "number" ? Number(each.toPrecision(4)) : each;
  return JSON.stringify(value, rounded, 2).replaceAll(/"(\w+)":/g, "$1:");
}
