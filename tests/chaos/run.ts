import { existsSync } from "node:fs";
import { join } from "node:path";
import { NBA } from "../support/courtside.ts";
import { Cluster } from "./cluster.ts";
import { type Contents, contentsOf, differences } from "./contents.ts";
import { storm, type StormReport } from "./storm.ts";

/** Wall-clock length of a game, tip-off to end. */
const GAME_S = 8400;
const SEASON = join(NBA, "pbp/v3_2023-24_regular.csv.gz");
/** Time between disturbances: a worker is up again in about a second. */
const EVERY_MS = 900;

export interface ChaosOptions {
  readonly kills: number;
  readonly seed: number;
  readonly games: number;
  readonly workers: number;
  readonly leaseMs: number;
  readonly say: (text: string) => void;
}

export interface ChaosReport {
  readonly storm: StormReport;
  readonly plays: number;
  readonly differences: readonly string[];
  /** Where logs and stores are, when something differs. */
  readonly folder: string | undefined;
}

export function sourceFlags(games: number, speed: string): string[] {
  const source = existsSync(SEASON) ? SEASON : "synthetic";
  const count = String(games);
  const what = [`--source=${source}`, `--games=${count}`, `--concurrent=${count}`];
  return [...what, `--speed=${speed}`, "--trace-rate=0"];
}

/** The undisturbed run. */
export async function calmContents(games: number): Promise<Contents> {
  const cluster = await Cluster.start({ workers: 1, leaseMs: 6000 });
  try {
    return await contentsOf(cluster, await cluster.replay(sourceFlags(games, "max")));
  } finally {
    await cluster.stop();
  }
}

/** Replays games while everything is killed again and again, and compares with the undisturbed run. */
export async function chaos(calm: Contents, options: ChaosOptions): Promise<ChaosReport> {
  const { games, workers, leaseMs, kills, say } = options;
  const cluster = await Cluster.start({ workers, leaseMs });
  let found: readonly string[] = ["it did not come to an end"];
  try {
    const speed = Math.max(1, Math.round(GAME_S / ((kills * (EVERY_MS + 300)) / 1000)));
    const replaying = cluster.replay(sourceFlags(games, String(speed)));
    const [report, replay] = await Promise.all([
      storm(cluster, { ...options, everyMs: EVERY_MS }),
      replaying,
    ]);
    say("the storm is over; waiting for the rest");
    found = differences(calm, await contentsOf(cluster, replay));
    const folder = found.length === 0 ? undefined : cluster.folder;
    return { storm: report, plays: replay.plays, differences: found, folder };
  } finally {
    await cluster.stop(found.length > 0);
    if (found.length > 0) say(`logs and stores are in ${cluster.folder}`);
  }
}
