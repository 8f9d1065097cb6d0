import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { CourtsideError } from "../../base/errors.ts";
import { type PlayerForm, type SeasonStart } from "./forms.ts";

/** A committed start of a season cannot be read. */
export class BadStrengthError extends CourtsideError {
  override readonly code = "BAD_STRENGTH_FILE";
  override readonly retryable = false;
}

/** Where the starts of seasons are, a file a season: numbers of our own, learnt from results. */
export const STRENGTH_FOLDER: string = path.join(import.meta.dirname, "seasons");

const HEADER = "kind,id,team_id,points,variance,minutes,start_share,box_sum,box_minutes" as const;
/** Decimals of a number: far below what a game says. */
const DECIMALS = 3;

const cache = new Map<number, SeasonStart | undefined>();

/** The committed start of a season; undefined when there is none. @throws BadStrengthError */
export function committedStart(season: number): SeasonStart | undefined {
  if (!cache.has(season)) cache.set(season, readStart(STRENGTH_FOLDER, season));
  return cache.get(season);
}

/** @throws BadStrengthError when the file is there but is none. */
export function readStart(folder: string, season: number): SeasonStart | undefined {
  const file = fileOf(folder, season);
  if (!existsSync(file)) return undefined;
  const [header, ...lines] = readFileSync(file, "utf8").trimEnd().split("\n");
  if (header !== HEADER) throw new BadStrengthError(`${file} must start with the line ${HEADER}`);
  const players = new Map<number, PlayerForm>();
  const elo = new Map<number, number>();
  let home = { points: Number.NaN, variance: Number.NaN };
  for (const [i, line] of lines.entries()) {
    const [kind, ...cells] = line.split(",");
    const numbers = cells.map(Number);
    if (numbers.length !== HEADER.split(",").length - 1 || !numbers.every(Number.isFinite)) {
      throw new BadStrengthError(`${file}, line ${i + 2} must have eight numbers behind its kind`);
    }
    const [id, teamId, points, variance, minutes, startShare, boxSum, boxMinutes] =
      numbers as Numbers;
    if (kind === "home") home = { points, variance };
    else if (kind === "team") elo.set(id, points);
    else players.set(id, { teamId, points, variance, minutes, startShare, boxSum, boxMinutes });
  }
  if (!Number.isFinite(home.points)) throw new BadStrengthError(`${file} has no line "home"`);
  return { season, homePoints: home.points, homeVariance: home.variance, players, elo };
}

type Numbers = [number, number, number, number, number, number, number, number];

/** Writes the start of a season. */
export async function writeStart(folder: string, start: SeasonStart): Promise<void> {
  const lines: string[] = [HEADER];
  const line = (kind: string, ...numbers: number[]): void => {
    lines.push([kind, ...numbers.map((value) => String(Number(value.toFixed(DECIMALS))))].join());
  };
  line("home", 0, 0, start.homePoints, start.homeVariance, 0, 0, 0, 0);
  for (const [id, elo] of sorted(start.elo)) line("team", id, id, elo, 0, 0, 0, 0, 0);
  for (const [id, form] of sorted(start.players)) {
    const { teamId, points, variance, minutes, startShare, boxSum, boxMinutes } = form;
    line("player", id, teamId, points, variance, minutes, startShare, boxSum, boxMinutes);
  }
  await writeFile(fileOf(folder, start.season), `${lines.join("\n")}\n`);
}

function fileOf(folder: string, season: number): string {
  return path.join(folder, `${season}.csv`);
}

function sorted<T>(map: ReadonlyMap<number, T>): [number, T][] {
  return [...map].sort(([a], [b]) => a - b);
}
