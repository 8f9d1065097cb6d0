import { once } from "node:events";
import { UsageError } from "../../base/errors.ts";
import { Evening } from "../../data/live-server/evening.ts";
import { serveFeed } from "../../data/live-server/server.ts";
import { fileLines } from "../../data/readers/file-lines.ts";
import { type Json, member, parseJson } from "../../data/readers/json-cells.ts";
import { NoGamesError } from "../../data/readers/errors.ts";
import type { Command, CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";

const PORTS = { min: 0, max: 65_535 };
const MAX_SEED = 2 ** 32 - 1;
/** More than the league ever plays on one evening. */
const GAMES = { min: 1, max: 64 };

export const command: Command = {
  name: "feed",
  summary: "serve a recorded evening as the live feed would, at any speed and with errors",
  help: `courtside feed --source ../shared/nba/fixtures/cdn_raw_60_games_2025-02.jsonl.gz --games 12 --speed 60
courtside feed --source games.jsonl --speed 600 --errors 0.1 --stalls --postpone 0022409999

Serves recorded games in the paths of cdn.nba.com/static/json, as one evening that begins now: each game at its own
time of day, plays as they happened, edits and insertions when they were made. Follow it with
"courtside live --feed-url URL". Prints {"ready":true,"service":"feed","port":N,"games":[...],"evening_s":N}.

  --source FILE    a game a line: {"gameId", "playbyplay", "boxscore"}, plain or gzip
  --games N        only the first N (default 12)
  --date D         day that the evening is shown under (default 2025-02-05)
  --speed X        times as fast as it was (default 60)
  --edits R        share of the plays edited late that stand there wrongly before, 0 to 1 (default 0.5)
  --errors R       share of the requests that go wrong, 0 to 1: 403, 429, 500, 503, silence, cut JSON, reset (default 0)
  --stalls         each game's feed stands still for seven minutes once, and jumps then
  --postpone IDS   games that are listed and postponed, with commas between
  --seed N         chooses edits, errors and stalls (default 1)
  --port N         default 8090; 0 for a free one
  --host ADDRESS   default 127.0.0.1`,
  options: {
    source: { type: "string" },
    games: { type: "string", default: "12" },
    date: { type: "string", default: "2025-02-05" },
    speed: { type: "string", default: "60" },
    edits: { type: "string", default: "0.5" },
    errors: { type: "string", default: "0" },
    stalls: { type: "boolean" },
    postpone: { type: "string", default: "" },
    seed: { type: "string", default: "1" },
    port: { type: "string", default: "8090" },
    host: { type: "string", default: "127.0.0.1" },
  },
  run,
};

async function run({ values, signal, ...context }: CommandContext): Promise<number> {
  const source = textFlag(values, "source");
  if (source === undefined)
    throw new UsageError("feed needs --source FILE, a file with a recorded game a line");
  const speed = number(values, "speed", Number.MAX_VALUE);
  if (speed === 0) throw new UsageError("--speed must be above 0");
  const seed = integerFlag(values, "seed", { min: 0, max: MAX_SEED }) ?? 1;
  const games = integerFlag(values, "games", GAMES) ?? 1;
  const date = textFlag(values, "date") ?? "";
  if (!Number.isFinite(Date.parse(`${date}T00:00:00Z`)))
    throw new UsageError(`--date is a day such as 2025-02-05, not "${date}"`);
  const evening = new Evening(await readGames(source, games), {
    date,
    seed,
    edits: number(values, "edits", 1),
    stalls: values["stalls"] === true,
    postponed: (textFlag(values, "postpone") ?? "").split(",").filter((id) => id !== ""),
  });
  const server = await serveFeed({
    evening,
    speed,
    seed,
    errors: number(values, "errors", 1),
    port: integerFlag(values, "port", PORTS) ?? 0,
    host: String(values["host"]),
  });
  const ready = {
    ready: true,
    service: "feed",
    port: server.port,
    games: evening.gameIds,
    evening_s: Math.round((evening.endMs - evening.startMs) / 1000 / speed),
  };
  context.stdout(`${JSON.stringify(ready)}\n`);
  if (!signal.aborted) await once(signal, "abort");
  await server.close();
  return 0;
}

function number(values: CommandContext["values"], name: string, max: number): number {
  const text = textFlag(values, name) ?? "";
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= 0 && value <= max) return value;
  throw new UsageError(
    `--${name} must be a number from 0${max === 1 ? " to 1" : ""}, not "${text}"`,
  );
}

/** @throws NoGamesError */
async function readGames(file: string, games: number): Promise<Json[]> {
  const found: Json[] = [];
  for await (const { lines } of fileLines(file)) {
    for (const line of lines) {
      const game = parseJson(line);
      if (member(game, "playbyplay") !== undefined && found.length < games) found.push(game);
    }
    if (found.length >= games) break;
  }
  if (found.length === 0) throw new NoGamesError(file, "no line is a recorded game");
  return found;
}
