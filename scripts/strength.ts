import { mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import { openSource } from "../data/readers/mod.ts";
import { readReference } from "../data/readers/reference.ts";
import { createLedger } from "../data/strength/ledger.ts";
import { STRENGTH_FOLDER, writeStart } from "../data/strength/snapshot.ts";

/**
 * Writes `data/strength/seasons/<year>.csv`, the strengths of players and teams on the morning of each season, from
 * the play-by-play of all seasons before it: `node scripts/strength.ts ../shared/nba/pbp`.
 */

/** Parts of a season in the order in which they are played; of a season in several feeds the first counts. */
const PARTS: readonly (readonly string[])[] = [
  ["v3_%_regular", "cdn_%_regular", "v2_%_regular"],
  ["proc_%_seeding"],
  ["v3_%_playoffs", "cdn_%_playoffs", "v2_%_playoffs"],
];

const folder = process.argv[2] ?? "../shared/nba/pbp";
const names = new Set(await readdir(folder));
const years = [...names]
  .map((name) => /_(\d{4})-\d\d_/u.exec(name)?.[1])
  .filter((year) => year !== undefined)
  .map(Number);
const elo = await startingElo();
const ledger = createLedger(() => undefined);
await mkdir(STRENGTH_FOLDER, { recursive: true });
for (let year = Math.min(...years); year <= Math.max(...years); year += 1) {
  await write(year);
  const season = `${year}-${String((year + 1) % 100).padStart(2, "0")}`;
  for (const part of PARTS) {
    const name = part
      .map((pattern) => `${pattern.replace("%", season)}.csv.gz`)
      .find((candidate) => names.has(candidate));
    if (name === undefined) continue;
    let games = 0;
    for await (const _ of openSource(path.join(folder, name), { strength: ledger })) games += 1;
    process.stdout.write(`${name}: ${games} games\n`);
  }
}
await write(Math.max(...years) + 1);

/** Results of all seasons are in one table, so ratings of teams come from there: play-by-play lacks some play-offs. */
async function startingElo(): Promise<ReadonlyMap<number, ReadonlyMap<number, number>>> {
  const { games, forms } = await readReference(folder);
  const starts = new Map<number, Map<number, number>>();
  const byDate = [...games.values()].sort((a, b) => (a.date < b.date ? -1 : 1));
  for (const { gameId, season } of byDate) {
    const start = starts.get(season) ?? new Map<number, number>();
    starts.set(season, start);
    for (const [team, form] of forms.get(gameId) ?? []) {
      if (!start.has(team)) start.set(team, form.elo);
    }
  }
  return starts;
}

async function write(year: number): Promise<void> {
  const start = ledger.nextStart(year);
  if (start === undefined) return;
  await writeStart(STRENGTH_FOLDER, { ...start, elo: elo.get(year) ?? start.elo });
}
