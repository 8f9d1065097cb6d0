import { expect, test } from "vitest";
import { collect, EmptyDatasetError, type Row, type TrainingGame } from "./dataset.ts";
import { evaluate, fitBaseline, scoreBaseline } from "./evaluate.ts";

function* rowsOf(plays: number, mark: number): Iterable<Row> {
  const vector = new Float32Array(2);
  for (let play = 0; play < plays; play += 1) {
    vector[0] = mark;
    vector[1] = play;
    const gameOver = play === plays - 1;
    const runs = { homeRun: play === 1, awayRun: false, homeScore: mark };
    yield { vector, margin: mark, period: 4, clockRemainingS: plays - 1 - play, gameOver, ...runs };
  }
}

async function* gamesOf(...plays: number[]): AsyncIterable<TrainingGame> {
  for (const [i, count] of plays.entries()) {
    const mark = i + 1;
    yield { gameId: `g${mark}`, season: 2020, homeWon: i % 2 === 0, rows: rowsOf(count, mark) };
  }
}

test("rows keep their order, outcome and game", async () => {
  const data = await collect(gamesOf(3, 2), { features: 2 });
  expect([...data.values]).toEqual([1, 0, 1, 1, 1, 2, 2, 0, 2, 1]);
  expect([...data.homeWon]).toEqual([1, 1, 1, 0, 0]);
  expect(data.gameStarts).toEqual([0, 3, 5]);
  expect([...data.gameOver]).toEqual([0, 0, 1, 0, 1]);
  expect([...data.homeRun]).toEqual([0, 1, 0, 0, 1]);
  expect([...data.game]).toEqual([0, 0, 0, 1, 1]);
  expect(data.gameIds).toEqual(["g1", "g2"]);
  expect(data.gameSeasons).toEqual([2020, 2020]);
});

test("every third play of each game is taken, and the seed says which", async () => {
  const data = await collect(gamesOf(300, 300), { features: 2, every: 3, seed: 1 });
  expect(data.rows).toBe(200);
  const again = await collect(gamesOf(300, 300), { features: 2, every: 3, seed: 1 });
  expect(again.sha256).toBe(data.sha256);
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 10; seed += 1) {
    hashes.add((await collect(gamesOf(300, 300), { features: 2, every: 3, seed })).sha256);
  }
  expect(hashes.size).toBeGreaterThan(1);
});

test("more rows than there was room for are all kept", async () => {
  const data = await collect(gamesOf(70_000, 10), { features: 2 });
  expect(data.rows).toBe(70_010);
  expect(data.values[2 * 69_999 + 1]).toBe(69_999);
  expect(data.margin[70_009]).toBe(2);
});

test("a source without games is an error", async () => {
  await expect(collect(gamesOf(), { features: 2 })).rejects.toThrow(EmptyDatasetError);
});

test("slices hold the rows that their names say and compare with the baseline", async () => {
  // Two games of the fourth quarter, 700 s long; the first ends 1 ahead and won, the second 2 ahead and lost.
  const data = await collect(gamesOf(701, 701), { features: 2 });
  const model = Float64Array.from(data.homeWon, (won) => (won === 1 ? 0.9 : 0.1));
  const baseline = scoreBaseline(fitBaseline(data), data);
  const slices = new Map(evaluate(data, model, baseline).map((one) => [one.slice, one]));
  expect(slices.get("all plays")?.rows).toBe(1_402);
  expect(slices.get("all plays")?.model["brier"]).toBeCloseTo(0.01, 9);
  expect(slices.get("quarter 4, under 1 min left")?.rows).toBe(2 * 61);
  expect(slices.get("quarter 4, 12-6 min left")?.rows).toBe(2 * 340);
  expect(slices.get("at 5:00 left")?.rows).toBe(2);
  expect(slices.has("quarter 1")).toBe(false);
  expect(slices.has("overtime")).toBe(false);
  // One game is not judged by ranks.
  const single = await collect(gamesOf(701), { features: 2 });
  const [all] = evaluate(single, model, baseline);
  expect(all?.model).not.toHaveProperty("auc");
  expect(JSON.parse(JSON.stringify(all))).toEqual(all);
  // The margin alone tells the two games apart, and the baseline has it.
  expect(slices.get("all plays")?.baseline["brier"]).toBeLessThan(0.01);
});
