import { expect, test } from "vitest";
import * as fc from "fast-check";
import {
  type ActedRow,
  biggestSwings,
  brownianWinProb,
  changesOf,
  comebackOf,
  leverageOf,
  newStory,
  NOBODY,
  tell,
  winProbAdded,
} from "./story.ts";

const probs = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 60 });

function rowsOf(values: readonly number[]): ActedRow[] {
  return values.map((homeWinProb, at) => ({
    number: at + 1,
    retracted: false,
    homeWinProb,
    side: at % 3 === 0 ? "home" : at % 3 === 1 ? "away" : null,
    actorId: at % 4,
  }));
}

test("leverage is 1 at an even tip-off, grows as time runs out in a close game, and is 0 once it is decided", () => {
  expect(leverageOf(0.5, 2880)).toBeCloseTo(1, 6);
  expect(leverageOf(0.5, 720)).toBeCloseTo(2, 6);
  expect(leverageOf(0.5, 60)).toBeGreaterThan(6);
  expect(leverageOf(0.95, 2880)).toBeLessThan(0.3);
  expect([leverageOf(1, 5), leverageOf(0, 5)]).toEqual([0, 0]);
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 0, max: 2880 }),
      (prob, left) => {
        const leverage = leverageOf(prob, left);
        expect(leverage).toBeGreaterThanOrEqual(0);
        expect(leverage).toBeLessThanOrEqual(9.9);
        expect(leverage).toBeCloseTo(leverageOf(1 - prob, left), 5);
      },
    ),
  );
});

test("score and time alone: even at first but for the home court, sure at the end, symmetric without it", () => {
  expect(brownianWinProb(0, 2880)).toBeCloseTo(0.5746, 3);
  expect(brownianWinProb(1, 0)).toBeGreaterThan(0.999);
  expect(brownianWinProb(8, 600, 0) + brownianWinProb(-8, 600, 0)).toBeCloseTo(1, 6);
  expect(brownianWinProb(10, 60)).toBeGreaterThan(brownianWinProb(10, 600));
});

test("excitement is the way of the curve, a comeback the depth that the leader came from", () => {
  const story = newStory();
  for (const prob of [0.5, 0.2, null, 0.8]) tell(story, prob);
  expect(story.excitement).toBeCloseTo(0.9, 12);
  expect(comebackOf(story)).toBeCloseTo(0.8, 12);
  tell(story, 0.3);
  expect(comebackOf(story)).toBeCloseTo(0.8, 12);
  expect(comebackOf(newStory())).toBeNull();
});

test("win probability added of both sides and nobody is the way from tip-off to the last play", () => {
  fc.assert(
    fc.property(probs, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (values, pregame) => {
      const rows = rowsOf(values);
      const sideOf = new Map<number, number>();
      let sum = 0;
      // A player acts for one side only in a real game; here every row is its own player.
      const own = rows.map((row, at) =>
        Object.assign({}, row, { actorId: row.side === null ? 0 : at + 1 }),
      );
      for (const { actorId, side } of own) sideOf.set(actorId, side === "away" ? -1 : 1);
      for (const [player, added] of winProbAdded(own, pregame))
        sum += player === NOBODY ? added : added * (sideOf.get(player) ?? 1);
      expect(sum).toBeCloseTo((values.at(-1) ?? 0) - pregame, 9);
    }),
  );
});

test("plays that were taken back move nothing, and swings come biggest first", () => {
  const rows = rowsOf([0.5, 0.9, 0.6]).map((row) =>
    Object.assign({}, row, { retracted: row.number === 2 }),
  );
  const changes = changesOf(rows, 0.5);
  expect(changes[1]).toBeNull();
  expect(changes[2]).toBeCloseTo(0.1, 12);
  expect(biggestSwings(rowsOf([0.5, 0.9, 0.6]), 0.45, 2).map(({ index }) => index)).toEqual([1, 2]);
  expect(biggestSwings(rowsOf([0.5, 0.501]), null, 5)).toEqual([]);
});
