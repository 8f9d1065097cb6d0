import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { planSplit, seasonName } from "./split.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "courtside-seasons-"));
  const names = [
    "v2_2018-19_regular.csv.gz",
    "cdn_2022-23_regular.csv.gz",
    "v3_2022-23_regular.csv",
    "cdn_2023-24_regular.csv.gz",
    "cdn_2023-24_playoffs.csv.gz",
    "notes.txt",
  ];
  for (const name of names) await writeFile(path.join(folder, name), "");
});

afterAll(() => rm(folder, { recursive: true }));

test("every season gets its best file and play-offs are left out", async () => {
  const split = await planSplit(folder, ["2018-19", "2022-23"], "2023-24");
  expect(split.training.map((file) => path.basename(file.path))).toEqual([
    "v2_2018-19_regular.csv.gz",
    "v3_2022-23_regular.csv",
  ]);
  expect(split.training[0]?.startYear).toBe(2018);
  expect(path.basename(split.heldOut.path)).toBe("cdn_2023-24_regular.csv.gz");
});

test("a missing season is named together with those that are there", async () => {
  const planned = planSplit(folder, ["2018-19", "2019-20"], "2023-24");
  await expect(planned).rejects.toThrow(/2019-20.*2018-19, 2022-23, 2023-24/u);
});

test("a season cannot stand on both sides", async () => {
  const planned = planSplit(folder, ["2022-23", "2023-24"], "2023-24");
  await expect(planned).rejects.toThrow("--held-out");
});

test("a folder that is not there and an empty list are errors that name the flag", async () => {
  const missing = planSplit(path.join(folder, "no"), ["2018-19"], "2023-24");
  await expect(missing).rejects.toThrow("--source");
  await expect(planSplit(folder, [], "2023-24")).rejects.toThrow("--seasons");
});

test("seasons are named by both years", () => {
  expect(seasonName(1999)).toBe("1999-00");
  expect(seasonName(2016)).toBe("2016-17");
});
