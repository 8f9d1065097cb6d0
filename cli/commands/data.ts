import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { UsageError } from "../../base/errors.ts";
import {
  type Agreement,
  checkFile,
  failuresOf,
  type Figure,
  FIGURES,
  type FileCheck,
  percent,
} from "../../data/agreement/check.ts";
import { readOfficial } from "../../data/agreement/official.ts";
import { SourceNotFoundError } from "../../data/readers/mod.ts";
import { type Command, type CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";
import { count, createProgress, standardError } from "../io.ts";

const MAX_GAMES = 1_000_000;
/** Where the project's own seasons lie, seen from a checkout. */
const DEFAULT_FOLDER = path.join(import.meta.dirname, "../../../shared/nba");

/** `courtside data check`: do the readers agree with the official figures? */
export const command: Command = {
  name: "data",
  summary: "compare what the readers make of season files with official figures",
  help: `
courtside data check                                  all files of ../shared/nba/pbp
courtside data check pbp/v3_2023-24_regular.csv.gz    these files only
courtside data check --folder DIR --json              one JSON object a file, for scripts

Every file is read from end to end. Rows are counted apart from the readers: plays and dead letters must add up to
them. Final scores, team and player lines are compared with the tables in DIR/games (team_game_logs*,
player_game_logs*) and the box scores in DIR/fixtures; what has no official figure is not compared. Exit code 1 when
a row is missing, a final score differs, or fewer than 99.9 % of points, 99 % of minutes or 99.5 % of line-ups agree.

  --folder DIR   data folder, laid out like ../shared/nba (default: that, or COURTSIDE_NBA)
  --games N      only the first N games of each file (rows are not counted then)
  --json         one JSON object a file instead of the table
`,
  options: {
    folder: { type: "string" },
    games: { type: "string" },
    json: { type: "boolean" },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const [task, ...named] = context.positionals;
  if (task !== "check") {
    throw new UsageError(`data takes "check" and then files, not "${task ?? ""}"`);
  }
  const games = integerFlag(context.values, "games", { min: 1, max: MAX_GAMES });
  const folder =
    textFlag(context.values, "folder") ?? process.env["COURTSIDE_NBA"] ?? DEFAULT_FOLDER;
  const files = named.length > 0 ? named : await seasonFiles(folder);
  for (const file of files) if (!existsSync(file)) throw new SourceNotFoundError(file);
  const official = await readOfficial(folder);
  const progress = createProgress(standardError(), "check");
  const isJson = context.values["json"] === true;
  if (!isJson) context.stdout(heading());
  let failed = 0;
  for (const [at, file] of files.entries()) {
    const name = path.basename(file);
    const check = await checkFile(file, official, {
      games,
      signal: context.signal,
      onGame: (sofar) => {
        progress.update(at, files.length, `files, ${name}: ${count(sofar.plays)} plays`);
      },
    });
    const failures = failuresOf(check);
    if (failures.length > 0) failed++;
    if (isJson) context.stdout(`${JSON.stringify({ ...check, failures })}\n`);
    else context.stdout(tableRow(check, failures));
  }
  progress.finish();
  if (!isJson) context.stdout(failed === 0 ? "all agree\n" : `${failed} file(s) do not agree\n`);
  return failed === 0 ? 0 : 1;
}

/** Season files first, then the single games of the other feeds. */
async function seasonFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const [part, name] of [
    ["pbp", /\.csv(\.gz|\.zst)?$/],
    ["fixtures", /^(cdn_(raw|playbyplay)|stats_playbyplay|datanba_pbp|bbref_scraped_pbp)/],
  ] as const) {
    const inside = path.join(folder, part);
    if (!existsSync(inside) || !(await stat(inside)).isDirectory()) continue;
    const names = (await readdir(inside)).filter((entry) => name.test(entry)).sort();
    found.push(...names.map((entry) => path.join(inside, entry)));
  }
  if (found.length === 0) throw new SourceNotFoundError(path.join(folder, "pbp"));
  return found;
}

const NAME_WIDTH = 34;
const SHORT: Readonly<Record<Figure, string>> = {
  points: "PTS",
  rebounds: "REB",
  assists: "AST",
  steals: "STL",
  blocks: "BLK",
  turnovers: "TOV",
  personalFouls: "PF",
  minutes: "MIN",
};

function heading(): string {
  return (
    "Shares of lines that are equal to the official ones, minutes within one; five = plays with five to five\n" +
    `${"file".padEnd(NAME_WIDTH)} games    plays  finals  five\n`
  );
}

function tableRow(check: FileCheck, failures: readonly string[]): string {
  const letters = Object.entries(check.deadLetters).map(([reason, n]) => `${reason} ${n}`);
  const lines = [
    [
      path.basename(check.file).padEnd(NAME_WIDTH),
      String(check.games).padStart(5),
      count(check.plays).padStart(8),
      `${check.finalsEqual}/${check.finalsKnown}`.padStart(9),
      percent(check.fives, check.fivesOf),
    ].join(" "),
    `    rows ${check.rows === undefined ? "not counted" : count(check.rows)}, dead letters: ${letters.join(", ") || "none"}`,
    ...figures("players", check.players),
    ...figures("teams", check.teams),
    ...failures.map((failure) => `    FAILS: ${failure}`),
  ];
  return `${lines.join("\n")}\n`;
}

function figures(name: string, { lines, equal }: Agreement): string[] {
  if (lines === 0) return [];
  const shares = FIGURES.filter((figure) => name === "players" || figure !== "minutes").map(
    (figure) => `${SHORT[figure]} ${percent(equal[figure], lines)}`,
  );
  return [`    ${count(lines)} ${name}: ${shares.join(", ")}`];
}
