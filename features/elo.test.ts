import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  carryOver,
  ELO_AVERAGE,
  eloUpdate,
  eloWinProb,
  HOME_ADVANTAGE_ELO,
  homeAdvantageElo,
  spreadWinProb,
} from "./elo.ts";

const rating = fc.double({ min: 1000, max: 2000, noNaN: true });

test("equal teams on a neutral floor have equal chances, and home court lifts the home team to 61 %", () => {
  expect(eloWinProb(1500, 1500, 0)).toBe(0.5);
  expect(eloWinProb(1500, 1500)).toBeCloseTo(0.6131, 4);
  expect(eloWinProb(1900, 1500, 0)).toBeCloseTo(10 / 11, 12);
});

test("home court is halved in the season without crowds and gone on a neutral floor", () => {
  expect(homeAdvantageElo(2023, false)).toBe(HOME_ADVANTAGE_ELO);
  expect(homeAdvantageElo(2020, false)).toBe(HOME_ADVANTAGE_ELO / 2);
  expect(homeAdvantageElo(2019, true)).toBe(0);
});

test("a known game moves the ratings by the published formula", () => {
  // Equal teams, neutral floor, home wins by 10: 20 x 13^0.8 / 7.5 x 0.5.
  const after = eloUpdate({ homeElo: 1500, awayElo: 1500, margin: 10, homeAdvantage: 0 });
  expect(after.homeElo - 1500).toBeCloseTo((20 * 13 ** 0.8 * 0.5) / 7.5, 10);
  expect(after.awayElo).toBeCloseTo(3000 - after.homeElo, 10);
});

test("points are neither made nor lost, the winner gains, and a bigger margin gains more", () => {
  const margin = fc.integer({ min: 1, max: 60 });
  fc.assert(
    fc.property(rating, rating, margin, fc.boolean(), (homeElo, awayElo, margin, homeWon) => {
      const signed = homeWon ? margin : -margin;
      const game = { homeElo, awayElo, homeAdvantage: HOME_ADVANTAGE_ELO };
      const after = eloUpdate({ ...game, margin: signed });
      const more = eloUpdate({ ...game, margin: signed + Math.sign(signed) });
      expect(after.homeElo + after.awayElo).toBeCloseTo(homeElo + awayElo, 6);
      expect((after.homeElo - homeElo) * signed).toBeGreaterThan(0);
      expect((more.homeElo - after.homeElo) * signed).toBeGreaterThan(0);
    }),
  );
});

test("an upset is worth more than the expected win by the same margin", () => {
  const game = { homeElo: 1400, awayElo: 1700, homeAdvantage: HOME_ADVANTAGE_ELO };
  const upset = eloUpdate({ ...game, margin: 5 }).homeElo - 1400;
  const expected = eloUpdate({ ...game, margin: -5 }).awayElo - 1700;
  expect(upset).toBeGreaterThan(2 * expected);
});

test("a summer pulls ratings a quarter of the way to 1505", () => {
  expect(carryOver(1705)).toBeCloseTo(1655, 12);
  expect(carryOver(ELO_AVERAGE)).toBeCloseTo(1501.25, 12);
});

test("the spread turns into a probability that is even at pick'em and symmetric", () => {
  expect(spreadWinProb(0)).toBeCloseTo(0.5, 7);
  expect(spreadWinProb(13)).toBeCloseTo(0.8413447, 6);
  expect(spreadWinProb(-6) + spreadWinProb(6)).toBeCloseTo(1, 7);
});
