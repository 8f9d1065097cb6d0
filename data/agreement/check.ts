import { Feed, type PlayEvent, Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import { openSource } from "../readers/mod.ts";
import { type SourceGame } from "../source.ts";
import { type BoxLine, boxScoreOf, emptyLine } from "./box-score.ts";
import { countRows } from "./count-rows.ts";
import { type Official } from "./official.ts";

/** Figures that are compared; `minutes` agree within one minute, the others exactly. */
export const FIGURES = [
  "points",
  "rebounds",
  "assists",
  "steals",
  "blocks",
  "turnovers",
  "personalFouls",
  "minutes",
] as const;
export type Figure = (typeof FIGURES)[number];

/** Lines compared, and how many of them are equal figure by figure. */
export interface Agreement {
  lines: number;
  readonly equal: Record<Figure, number>;
}

/** What one season file came to. */
export interface FileCheck {
  readonly file: string;
  games: number;
  /** Records of the file, counted without the readers; undefined where only the readers can tell. */
  readonly rows: number | undefined;
  plays: number;
  /** By reason. */
  readonly deadLetters: Record<string, number>;
  /** Games with an official final score, and those whose last play has it and says that the game is over. */
  finalsKnown: number;
  finalsEqual: number;
  /** Plays behind which both sides have exactly five on court, of the plays of feeds that have players. */
  fives: number;
  fivesOf: number;
  readonly players: Agreement;
  readonly teams: Agreement;
}

export interface CheckOptions {
  readonly games?: number | undefined;
  readonly signal?: AbortSignal;
  readonly onGame?: (check: FileCheck) => void;
}

/** Reads one file from end to end and compares what comes out with the official figures. */
export async function checkFile(
  file: string,
  official: Official,
  options: CheckOptions = {},
): Promise<FileCheck> {
  const isWhole = options.games === undefined;
  const check: FileCheck = {
    file,
    games: 0,
    rows: isWhole ? await countRows(file) : undefined,
    plays: 0,
    deadLetters: {},
    finalsKnown: 0,
    finalsEqual: 0,
    fives: 0,
    fivesOf: 0,
    players: noAgreement(),
    teams: noAgreement(),
  };
  for await (const game of openSource(file, { games: options.games })) {
    options.signal?.throwIfAborted();
    addGame(check, game, official);
    options.onGame?.(check);
  }
  return check;
}

/** Limits that a season has to keep. Shares, 0..1. */
export const LIMITS = { points: 0.999, minutes: 0.99, fives: 0.995 } as const;

/** What a file fails in, in words; empty when all is well. */
export function failuresOf(check: FileCheck): string[] {
  const failures: string[] = [];
  const need = (name: string, equal: number, of: number, limit: number): void => {
    if (of > 0 && equal / of < limit) {
      failures.push(`${name} ${percent(equal, of)} of ${of}, needed ${percent(limit, 1)}`);
    }
  };
  const letters = Object.values(check.deadLetters).reduce((sum, count) => sum + count, 0);
  if (check.rows !== undefined && check.plays + letters !== check.rows) {
    failures.push(`${check.plays} plays + ${letters} dead letters, but ${check.rows} rows`);
  }
  need("final scores", check.finalsEqual, check.finalsKnown, 1);
  need("five on court", check.fives, check.fivesOf, LIMITS.fives);
  need("points", check.players.equal.points, check.players.lines, LIMITS.points);
  need("minutes", check.players.equal.minutes, check.players.lines, LIMITS.minutes);
  need("team points", check.teams.equal.points, check.teams.lines, LIMITS.points);
  return failures;
}

export function percent(equal: number, of: number): string {
  return of === 0 ? "-" : `${((100 * equal) / of).toFixed(3)} %`;
}

function noAgreement(): Agreement {
  const equal = Object.fromEntries(FIGURES.map((name) => [name, 0])) as Record<Figure, number>;
  return { lines: 0, equal };
}

function addGame(check: FileCheck, game: SourceGame, official: Official): void {
  const { plays, deadLetters, info } = game;
  check.plays += plays.length;
  for (const { reason } of deadLetters) {
    check.deadLetters[reason] = (check.deadLetters[reason] ?? 0) + 1;
  }
  if (plays.length === 0) return;
  check.games++;
  const final = official.finals.get(info.gameId);
  const last = plays.at(-1);
  if (final !== undefined) {
    check.finalsKnown++;
    // On neutral floors a table may name the wrong home side.
    const { homeScore = 0, awayScore = 0 } = last ?? {};
    const isEqual =
      (homeScore === final.home && awayScore === final.away) ||
      (info.neutralSite && homeScore === final.away && awayScore === final.home);
    if (isEqual && last?.gameOver === true) check.finalsEqual++;
  }
  const box = boxScoreOf(plays);
  if (box.lines.size === 0) return;
  check.fivesOf += plays.length;
  for (const play of plays) if (hasFives(play)) check.fives++;
  const isNamed = info.feed === Feed.BASKETBALL_REFERENCE;
  const known = isNamed ? official.namedPlayers : official.players;
  for (const [player, told] of known.get(info.gameId) ?? []) {
    compare(check.players, box.lines.get(player) ?? emptyLine(), told);
  }
  for (const [side, team] of [
    [Side.HOME, info.home],
    [Side.AWAY, info.away],
  ] as const) {
    const told = official.teams.get(info.gameId)?.get(team?.teamId ?? 0);
    const own = [...box.lines].filter(([player]) => box.sides.get(player) === side);
    if (told === undefined) continue;
    const sum = sumOf(own.map(([, line]) => line));
    sum.turnovers += box.teamTurnovers.get(side) ?? 0;
    compare(check.teams, sum, told);
  }
}

function hasFives(play: PlayEvent): boolean {
  return new Set(play.homeOnCourtIds).size === 5 && new Set(play.awayOnCourtIds).size === 5;
}

function sumOf(lines: readonly BoxLine[]): BoxLine {
  const sum = emptyLine();
  for (const line of lines) {
    for (const name of Object.keys(sum) as (keyof BoxLine)[]) sum[name] += line[name];
  }
  return sum;
}

/** Official minutes are rounded to whole ones in the season tables. */
const MINUTE_DS = 600;

function compare(agreement: Agreement, own: BoxLine, told: BoxLine): void {
  agreement.lines++;
  for (const name of FIGURES) {
    const isEqual =
      name === "minutes"
        ? Math.abs(own.playedDs - told.playedDs) <= MINUTE_DS
        : own[name] === told[name];
    if (isEqual) agreement.equal[name]++;
  }
}
