/**
 * Plays a second that come out of the readers: `node tests/bench/data.ts [SEASON.csv ...]`, on one core, from plain
 * CSV. Without files the seasons of ../shared/nba are unpacked to a temporary folder first. Beside each figure the
 * pace of a loop that only looks at every byte of the same file, so that a busy machine slows both; `plays_per_cpu_s`
 * counts the time that the process had a core, its garbage collector's threads included.
 */
import { createReadStream, createWriteStream, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { fileChunks } from "../../data/readers/file-bytes.ts";
import { openSource } from "../../data/readers/mod.ts";
import type { StrengthLedger } from "../../data/strength/ledger.ts";

const NBA = process.env["COURTSIDE_NBA"] ?? path.join(import.meta.dirname, "../../../shared/nba");
const SEASONS = ["v2_2018-19_regular", "v3_2023-24_regular", "cdn_2023-24_regular"];
const ROUNDS = 5;
/** Reading alone: ratings of players, which every game is told of before it begins, are a part of their own. */
const NO_RATINGS: StrengthLedger = {
  prepare: () => {},
  add: () => {},
  nextStart: () => undefined,
};

const folder = mkdtempSync(path.join(tmpdir(), "courtside-bench-"));
try {
  const files = process.argv.length > 2 ? process.argv.slice(2) : await unpacked();
  const report: Record<string, Record<string, number>> = {};
  for (const file of files) report[path.basename(file)] = await measure(file);
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}

async function measure(file: string): Promise<Record<string, number>> {
  const paces: number[] = [];
  const cpuPaces: number[] = [];
  const bytePaces: number[] = [];
  const ratedPaces: number[] = [];
  let plays = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    const startMs = performance.now();
    const startCpu = process.cpuUsage();
    plays = 0;
    for await (const game of openSource(file, { strength: NO_RATINGS })) plays += game.plays.length;
    const readMs = performance.now() - startMs;
    const { user, system } = process.cpuUsage(startCpu);
    const bytes = await byteLoop(file);
    const loopMs = performance.now() - startMs - readMs;
    // The first round warms the compiler up.
    if (round === 0) continue;
    paces.push((plays / readMs) * 1000);
    cpuPaces.push((plays / (user + system)) * 1e6);
    bytePaces.push((bytes / loopMs) * 1000);
    const ratedMs = performance.now();
    let rated = 0;
    for await (const game of openSource(file)) rated += game.plays.length;
    ratedPaces.push((rated / (performance.now() - ratedMs)) * 1000);
  }
  return {
    plays,
    plays_per_s: Math.round(median(paces)),
    plays_per_cpu_s: Math.round(median(cpuPaces)),
    plays_per_s_with_ratings: Math.round(median(ratedPaces)),
    plays_per_s_best: Math.round(Math.max(...paces)),
    byte_loop_mb_per_s: Math.round(median(bytePaces) / 1e6),
  };
}

/** Sums every byte; the sum keeps the compiler from leaving the loop out. */
async function byteLoop(file: string): Promise<number> {
  let count = 0;
  let sum = 0;
  for await (const { bytes } of fileChunks(file)) {
    for (let at = 0; at < bytes.length; at++) sum = (sum + (bytes[at] as number)) | 0;
    count += bytes.length;
  }
  return sum === 0 ? 0 : count;
}

async function unpacked(): Promise<string[]> {
  const files: string[] = [];
  for (const season of SEASONS) {
    const packed = path.join(NBA, "pbp", `${season}.csv.gz`);
    if (!existsSync(packed)) continue;
    const file = path.join(folder, `${season}.csv`);
    await pipeline(createReadStream(packed), createGunzip(), createWriteStream(file));
    files.push(file);
  }
  if (files.length === 0) throw new Error(`no seasons in ${NBA}; name a plain CSV file instead`);
  return files;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
