import { readdir } from "node:fs/promises";
import path from "node:path";
import { CourtsideError, errorText } from "../base/errors.ts";

/** File of one regular season. */
export interface SeasonFile {
  /** For example `2016-17`. */
  readonly season: string;
  /** Year in which the season starts. */
  readonly startYear: number;
  readonly path: string;
}

/** Seasons to learn from and the one to be judged on. Rows of one game never stand on both sides. */
export interface Split {
  readonly training: readonly SeasonFile[];
  readonly heldOut: SeasonFile;
  /** Season on which calibration is chosen; none is chosen without it. */
  readonly validation?: SeasonFile;
}

/** A season that was asked for is not there, or stands on both sides of the split. */
export class SplitError extends CourtsideError {
  override readonly code = "BAD_SPLIT";
  override readonly retryable = false;
}

/** Seasons of the champion: those before the one it is judged on; ratings of players begin with 2016-17. */
export const TRAINING_SEASONS: readonly string[] = [
  "2017-18",
  "2018-19",
  "2019-20",
  "2020-21",
  "2021-22",
  "2022-23",
];
export const HELD_OUT_SEASON = "2023-24";
export const VALIDATION_SEASON = "2024-25";

/**
 * Finds the seasons' files in a folder: `<feed>_<season>_regular.csv`, plain or `.gz`. Where a season is there in
 * several feeds, the first of v3, cdn, v2 is taken.
 * @throws SplitError naming the seasons that are missing and those that are there.
 */
export async function planSplit(
  folder: string,
  training: readonly string[],
  heldOut: string,
  validation = "",
): Promise<Split> {
  if (training.length === 0)
    throw new SplitError("no season to train on; name some with --seasons");
  if (training.includes(heldOut)) {
    throw new SplitError(
      `season ${heldOut} cannot be trained on and held out; change --seasons or --held-out`,
    );
  }
  if (validation !== "" && [...training, heldOut].includes(validation)) {
    throw new SplitError(
      `season ${validation} cannot be used for validation as well; change --validation, or leave it empty`,
    );
  }
  const files = await seasonFiles(folder);
  const asked = [...training, heldOut, ...(validation === "" ? [] : [validation])];
  const missing = asked.filter((season) => !files.has(season));
  const [first] = missing;
  if (first !== undefined) {
    throw new SplitError(
      `${folder} has no regular season ${missing.join(", ")}; it has ${[...files.keys()].join(", ") || "none"} ` +
        `(files are named like v3_${first}_regular.csv.gz); choose with --seasons and --held-out`,
    );
  }
  const file = (season: string): SeasonFile => files.get(season) as SeasonFile;
  const split = { training: [...new Set(training)].map(file), heldOut: file(heldOut) };
  return validation === "" ? split : { ...split, validation: file(validation) };
}

/** For example `2016-17` for 2016. */
export function seasonName(startYear: number): string {
  return `${startYear}-${String((startYear + 1) % 100).padStart(2, "0")}`;
}

const FEEDS_BY_PREFERENCE: readonly string[] = ["v3", "cdn", "v2"];
const SEASON_FILE = /^(?<feed>v3|cdn|v2)_(?<season>(?<year>\d{4})-\d{2})_regular\.csv(?:\.gz)?$/u;

async function seasonFiles(folder: string): Promise<Map<string, SeasonFile>> {
  const names = await readdir(folder).catch((error: unknown) => {
    const message = `cannot read the folder of seasons ${folder}: ${errorText(error)}; give it with --source`;
    throw new SplitError(message, { cause: error });
  });
  const found = names
    .map((name) => ({ name, groups: SEASON_FILE.exec(name)?.groups }))
    .map(({ name, groups }) => ({
      name,
      rank: FEEDS_BY_PREFERENCE.indexOf(groups?.["feed"] ?? ""),
      groups,
    }))
    .filter(({ rank }) => rank >= 0)
    .sort((a, b) => b.rank - a.rank);
  const files = new Map<string, SeasonFile>();
  for (const { name, groups } of found) {
    const season = groups?.["season"] ?? "";
    files.set(season, {
      season,
      startYear: Number(groups?.["year"]),
      path: path.join(folder, name),
    });
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}
