import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { gameKey, readPredictors } from "../data/predictions.ts";
import { comparison, pairedInGame, pairedPregame } from "./compare.ts";
import { collect, type Dataset, type Row, type TrainingGame } from "./dataset.ts";

/** The Celtics at home to the Nets: level at 6:00 of the fourth, two ahead at 5:59, won by two. */
async function game(): Promise<Dataset> {
  const moments = [
    { clockRemainingS: 360, margin: 0 },
    { clockRemainingS: 359.4, margin: 2 },
    { clockRemainingS: 0, margin: 2 },
  ];
  const alike = { vector: [0], homeScore: 100, period: 4, gameOver: false };
  const rows = moments.map(({ clockRemainingS, margin }): Row =>
    Object.assign({ clockRemainingS, margin, homeRun: false, awayRun: false }, alike),
  );
  const names = { gameId: "0021600006", date: "2016-10-26", home: "BOS", away: "BKN" };
  async function* games(): AsyncIterable<TrainingGame> {
    yield await Promise.resolve({ ...names, season: 2016, homeWon: true, rows });
  }
  return collect(games(), { features: 1 });
}

const CELTICS = `game_id,season,date,opponent,celtics_home,celtics_won,event_index,period,clock,seconds_remaining_game,celtics_score,opponent_score,wp,wp_generic
0021600006,2016-17,2016-10-26,BKN,1,1,0,4,PT06M00.00S,360.0,100,100,0.6,0.5
0021600006,2016-17,2016-10-26,BKN,1,1,1,4,PT05M59.00S,359.0,102,100,0.7,0.6
0021600006,2016-17,2016-10-26,BKN,1,1,2,4,PT03M00.00S,180.0,102,100,0.8,0.7
`;
const FIVE_THIRTY_EIGHT = `season,date,team1,team2,prob1,prob1_outcome,prob2,prob2_outcome
2017,2016-10-26,Nets,Celtics,0.25,0,0.75,1
`;
const ESPN = `,game_date,season,home_team_abb,away_team_abb,game_id,winpb_home,winpb_away
1,2016-10-27T00:30Z,2017,BOS,BKN,400899374,0.3,0.7
2,2016-10-27T00:30Z,2017,NY,GS,400899375,-1,-1
`;

test("published probabilities are found by game, clock and margin, whoever they speak of", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "courtside-predictions-"));
  await writeFile(path.join(folder, "celtics_in_game_x.csv"), CELTICS);
  await writeFile(path.join(folder, "fivethirtyeight_pregame_x.csv"), FIVE_THIRTY_EIGHT);
  await writeFile(path.join(folder, "espn_pregame_x.csv"), ESPN);
  const predictors = await readPredictors(folder);
  await rm(folder, { recursive: true });
  expect(predictors).toHaveLength(4);
  const data = await game();
  const [inGame] = predictors.map((predictor) => pairedInGame(data, predictor));
  // The third row of the table has no play of ours.
  expect(inGame).toEqual([
    { row: 0, theirs: 0.6 },
    { row: 1, theirs: 0.7 },
  ]);
  const before = predictors.flatMap((predictor) => pairedPregame(data, predictor));
  // ESPN's columns are swapped, and its dates are of Greenwich; FiveThirtyEight does not say who is at home.
  expect(before).toEqual([
    { row: 0, theirs: 0.7 },
    { row: 0, theirs: 0.75 },
  ]);
  expect(predictors[2]?.pregame.has(gameKey("2016-10-26", "NYK", "GSW"))).toBe(false);
  const found = comparison("celtics", data, [0.9, 0.9, 0.9], inGame ?? []);
  expect(found).toMatchObject({ rows: 2, games: 1 });
  expect(found?.ours).toBeCloseTo(0.01, 9);
  expect(found?.theirs).toBeCloseTo((0.16 + 0.09) / 2, 9);
  expect(found?.difference.value).toBeCloseTo(0.01 - 0.125, 9);
});

test("a folder without predictions compares with nobody", async () => {
  expect(await readPredictors("/does/not/exist")).toEqual([]);
  expect(comparison("nobody", await game(), [], [])).toBeUndefined();
});
