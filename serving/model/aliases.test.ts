import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AliasError, promote, readAliases, rollback } from "./aliases.ts";

const [FIRST, SECOND] = ["aaaaaaaaaaaa", "bbbbbbbbbbbb"];

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "courtside-aliases-"));
  for (const version of [FIRST, SECOND]) await mkdir(path.join(folder, version));
});

afterEach(() => rm(folder, { recursive: true }));

test("an alias means the version that it was last promoted to, each alias on its own", async () => {
  expect([...(await readAliases(folder))]).toEqual([]);
  await promote(folder, "champion", FIRST);
  await promote(folder, "champion", SECOND);
  await promote(folder, "challenger", FIRST);
  expect(Object.fromEntries(await readAliases(folder))).toEqual({
    champion: SECOND,
    challenger: FIRST,
  });
  expect(await readFile(path.join(folder, "champion"), "utf8")).toBe(`${SECOND}\n`);
});

test("rolling back goes to the version before, and back again", async () => {
  await promote(folder, "champion", FIRST);
  await promote(folder, "champion", SECOND);
  expect(await rollback(folder, "champion")).toBe(FIRST);
  expect((await readAliases(folder)).get("champion")).toBe(FIRST);
  expect(await rollback(folder, "champion")).toBe(SECOND);
});

test("an unknown alias or version, or nothing before, is an error that says what there is", async () => {
  await expect(promote(folder, "winner", FIRST)).rejects.toThrow(/aliases are champion/);
  await expect(promote(folder, "champion", "cccccccccccc")).rejects.toThrow(FIRST);
  await promote(folder, "champion", FIRST);
  await expect(rollback(folder, "champion")).rejects.toThrow(AliasError);
  expect((await readAliases(folder)).get("champion")).toBe(FIRST);
});
