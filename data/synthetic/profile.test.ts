import { expect, test, vi } from "vitest";
import { type Profile, Profiler } from "./profile.ts";
import { REAL_PROFILE } from "./real-profile.ts";
import { syntheticSeason } from "./season.ts";

vi.setConfig({ testTimeout: 120_000 });

const SEED = Number(process.env["SEED"] ?? 20241022);
const GAMES = 1000;

function generated(): Profile {
  const profiler = new Profiler();
  const options = { seed: SEED, games: GAMES, teams: 30, startTimeMs: Date.UTC(2024, 9, 22, 23) };
  for (const game of syntheticSeason(options)) profiler.add(game);
  return profiler.finish();
}

const made = generated();

/**
 * How far a generated season may be from the mean of real ones: a share of the real figure where `by` is relative,
 * else in its own unit. Real seasons differ by about as much among themselves.
 */
const ALLOWED: readonly (readonly [keyof Profile, by: number, kind: "relative" | "absolute"])[] = [
  ["pointsMean", 0.03, "relative"],
  ["pointsSd", 0.15, "relative"],
  ["homeMarginMean", 1.5, "absolute"],
  ["marginSd", 0.12, "relative"],
  ["absMarginMean", 0.12, "relative"],
  ["homeWinShare", 0.05, "absolute"],
  ["overtimeShare", 0.03, "absolute"],
  ["closeShare", 0.06, "absolute"],
  ["blowoutShare", 0.06, "absolute"],
  ["comebackShare", 0.06, "absolute"],
  ["leadChangesMean", 0.2, "relative"],
  ["leadChangesSd", 0.2, "relative"],
  ["playsMean", 0.05, "relative"],
  ["shotsMean", 0.04, "relative"],
  ["turnoversMean", 0.08, "relative"],
  ["stealsMean", 0.1, "relative"],
  ["blocksMean", 0.15, "relative"],
  ["offensiveReboundShare", 0.03, "absolute"],
  ["foulsMean", 0.1, "relative"],
  ["shootingFoulsMean", 0.12, "relative"],
  ["freeThrowsMean", 0.12, "relative"],
  ["freeThrowRate", 0.02, "absolute"],
  ["substitutionsMean", 0.15, "relative"],
  ["timeoutsMean", 0.2, "relative"],
  ["teamMarginSd", 0.35, "relative"],
];

test.each(ALLOWED)(
  "a generated season has the %s of real ones within %s (%s)",
  (name, by, kind) => {
    const [own, real] = [made[name], REAL_PROFILE[name]] as [number, number];
    const allowed = kind === "relative" ? by * real : by;
    const found = `SEED=${SEED} ${name}: generated ${own.toFixed(3)}, real ${real.toFixed(3)}`;
    expect(Math.abs(own - real), found).toBeLessThanOrEqual(allowed);
  },
);

test("scores and margins are spread as in real seasons, decile by decile", () => {
  const furthest = (name: "pointsDeciles" | "marginDeciles"): number =>
    Math.max(...made[name].map((own, at) => Math.abs(own - (REAL_PROFILE[name][at] ?? 0))));
  const found = { seed: SEED, points: made.pointsDeciles, margins: made.marginDeciles };
  expect(furthest("pointsDeciles"), JSON.stringify(found)).toBeLessThanOrEqual(8);
  expect(furthest("marginDeciles"), JSON.stringify(found)).toBeLessThanOrEqual(4);
});

test("shots come from the places of real ones and go in as often", () => {
  for (const [zone, real] of Object.entries(REAL_PROFILE.zones)) {
    const own = made.zones[zone as keyof Profile["zones"]];
    expect(Math.abs(own.share - real.share), `share from ${zone}`).toBeLessThanOrEqual(0.02);
    const rateBy = zone === "heave" ? 0.06 : 0.025;
    expect(Math.abs(own.makeRate - real.makeRate), `rate from ${zone}`).toBeLessThanOrEqual(rateBy);
  }
});

test("the minutes of the first to the tenth man are those of real teams", () => {
  const off = made.minutesByRank.map((own, rank) =>
    Math.abs(own - (REAL_PROFILE.minutesByRank[rank] ?? 0)),
  );
  const found = `SEED=${SEED} ${made.minutesByRank.map((minutes) => minutes.toFixed(1)).join(" ")}`;
  expect(Math.max(...off), found).toBeLessThanOrEqual(2.5);
});
