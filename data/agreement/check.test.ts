import { existsSync } from "node:fs";
import path from "node:path";
import { describe, expect, test, vi } from "vitest";
import { PlayKind, Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import { newPlay } from "../readers/draft.ts";
import { boxScoreOf } from "./box-score.ts";
import { checkFile, failuresOf, FIGURES, type FileCheck, percent } from "./check.ts";
import { readOfficial } from "./official.ts";

vi.setConfig({ testTimeout: 300_000 });

const NBA = process.env["COURTSIDE_NBA"] ?? path.join(import.meta.dirname, "../../../shared/nba");
const PRESENT = existsSync(path.join(NBA, "pbp"));
if (!PRESENT) console.log(`skipped: box scores need real seasons, and there are none at ${NBA}`);

test("a steal counts for the thief, wherever the feed names him", () => {
  const lost = Object.assign(newPlay("0023100002", 1), {
    period: 1,
    kind: PlayKind.TURNOVER,
    side: Side.HOME,
    actorId: 1,
    stealerId: 21,
  });
  const { lines, sides } = boxScoreOf([lost]);
  expect(lines.get(1)).toMatchObject({ turnovers: 1, steals: 0 });
  expect(lines.get(21)).toMatchObject({ turnovers: 0, steals: 1 });
  expect(sides.get(21)).toBe(Side.AWAY);
});

test("a file fails for a row that is missing, for scores, line-ups, points and minutes", () => {
  const equal = Object.fromEntries(
    FIGURES.map((name) => [name, 90]),
  ) as FileCheck["players"]["equal"];
  const check: FileCheck = {
    file: "season.csv",
    games: 1,
    rows: 101,
    plays: 98,
    deadLetters: { BAD_CLOCK: 2 },
    finalsKnown: 2,
    finalsEqual: 1,
    fives: 97,
    fivesOf: 98,
    players: { lines: 100, equal },
    teams: { lines: 0, equal },
  };
  expect(failuresOf(check)).toEqual([
    "98 plays + 2 dead letters, but 101 rows",
    "final scores 50.000 % of 2, needed 100.000 %",
    "five on court 98.980 % of 98, needed 99.500 %",
    "points 90.000 % of 100, needed 99.900 %",
    "minutes 90.000 % of 100, needed 99.000 %",
  ]);
});

// The other seasons: `courtside data check`, with its result in data/README.md.
describe.skipIf(!PRESENT)("against the official box scores", () => {
  test.each(["pbp/v3_2023-24_regular.csv.gz", "fixtures/cdn_raw_60_games_2025-02.jsonl.gz"])(
    "%s: all rows are accounted for, finals, points, minutes and line-ups agree",
    async (file) => {
      const check = await checkFile(path.join(NBA, file), await readOfficial(NBA));
      const { players, plays, fives, deadLetters } = check;
      const shares = FIGURES.map(
        (name) => `${name} ${percent(players.equal[name], players.lines)}`,
      );
      console.log(`${file}: ${plays} plays, ${JSON.stringify(deadLetters)}, ${shares.join(", ")}`);
      expect(failuresOf(check)).toEqual([]);
      expect(check.rows).toBe(plays);
      expect(players.lines).toBeGreaterThan(1000);
      expect(fives).toBeGreaterThan(0);
    },
  );
});
