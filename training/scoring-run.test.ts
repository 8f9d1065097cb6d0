import { expect, test } from "vitest";
import { runLabels, type ScoredPlay } from "./scoring-run.ts";

/** `+3` home scores three, `-2` away scores two, `0` nothing; one play every `stepS` seconds. */
function labels(points: readonly number[], stepS = 20): { home: string; away: string } {
  let [homeScore, awayScore] = [0, 0];
  const plays = points.map((value, i): ScoredPlay => {
    homeScore += Math.max(0, value);
    awayScore += Math.max(0, -value);
    return { homeScore, awayScore, gameTimeS: i * stepS };
  });
  const { home, away } = runLabels(plays);
  return { home: home.join(""), away: away.join("") };
}

test("a run is told before it and no longer once eight points are not ahead", () => {
  // time      0  20  40  60  80 100 120
  // points    0   3   3   2   0  -2   0
  expect(labels([0, 3, 3, 2, 0, -2, 0])).toEqual({ home: "1000000", away: "0000000" });
});

test("an answer starts the count anew, for either side", () => {
  expect(labels([0, 3, 3, -1, 2, 3])).toEqual({ home: "000000", away: "000000" });
  expect(labels([3, -3, -3, -2, 3, 3, 3])).toEqual({ home: "1111000", away: "1000000" });
});

test("points behind the horizon of three minutes do not count", () => {
  // The third three falls 180 s behind the first play, and 240 s when plays are slower.
  expect(labels([0, 3, 3, 3], 60).home).toBe("1000");
  expect(labels([0, 3, 3, 3], 80).home).toBe("0000");
});
