import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Courtside, courtside, NBA, nbaMissing, sql } from "../support/courtside.ts";
import { currentDigests } from "../support/current-views.ts";

/**
 * Recorded games three ways through every real part: replayed in order, replayed by a careless feed, and followed
 * live from a local server. `EVENING_GAMES=12 EVENING_SPEED=60` plays a whole evening in nine minutes.
 */

const GAMES = Number(process.env["EVENING_GAMES"] ?? 2);
const SPEED = process.env["EVENING_SPEED"] ?? "3000";
const SEED = process.env["SEED"] ?? "1";
const RECORDED = join(NBA, "fixtures/cdn_raw_60_games_2025-02.jsonl.gz");
const LIMIT_MS = 900_000;

let folder = "";
let source = "";
let clean: Record<string, string> = {};

async function up(name: string, ...flags: readonly string[]): Promise<string> {
  const data = join(folder, name);
  const ends = ["--until-done", "--json", "--port-base", "0", "--data", data];
  const { code, stdout, stderr } = await courtside("up", ...flags, ...ends);
  expect(code, `${stderr}\n${stdout}`).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, games: GAMES, dead_letters: 0 });
  return data;
}

beforeAll(async () => {
  if (nbaMissing !== undefined) return;
  folder = await mkdtemp(join(tmpdir(), "courtside-convergence-"));
  source = join(folder, "games.jsonl");
  const lines = gunzipSync(readFileSync(RECORDED)).toString().split("\n");
  // One day, and one game of the day before: no result of them is known before any other of them.
  const chosen = [...lines.slice(12, 23), ...lines.slice(11, 12)].slice(0, GAMES);
  await writeFile(source, `${chosen.join("\n")}\n`);
  clean = await currentDigests(await up("clean", "--source", source, "--speed", "max"));
  // Each view has rows, and one for each of what it is about.
  for (const [view, digest] of Object.entries(clean))
    expect(digest, view).toMatch(/^(?!0)(\d+) rows of \1 \d+$/);
}, LIMIT_MS);

afterAll(async () => {
  if (folder !== "") await rm(folder, { recursive: true, force: true });
});

test.skipIf(nbaMissing)(
  "plays told late, out of order, twice, again and wrongly end in the tables of the clean replay",
  async () => {
    const flags = ["--delay=0.05", "--reorder=0.05", "--duplicate=0.05", "--drop-resend=0.02"];
    const seeded = ["--correct=0.05", `--disorder-seed=${SEED}`];
    const data = await up("careless", "--source", source, "--speed", "max", ...flags, ...seeded);
    expect(await currentDigests(data), `SEED=${SEED}`).toEqual(clean);
    const [history] = await sql<{ more: number }>(
      data,
      "SELECT toUInt32(count()) AS more FROM courtside.predictions WHERE edition > 0",
    );
    expect(history?.more).toBeGreaterThan(100);
  },
  LIMIT_MS,
);

test.skipIf(nbaMissing)(
  "an evening followed live, with errors, edits, stalls and a postponed game, ends in the tables of the replay",
  async () => {
    const evening = ["--source", source, "--games", String(GAMES), "--speed", SPEED];
    const faults = ["--errors", "0.05", "--stalls", "--postpone", "0022409999", "--seed", SEED];
    const feed = new Courtside(["feed", ...evening, ...faults, "--port", "0"]);
    await feed.says(/"port":\d+/);
    const port = /"port":(\d+)/.exec(feed.output)?.[1] ?? "";
    // At 60 times the speed a second is a minute of the evening: the follower keeps pace with it.
    const pace = { COURTSIDE_POLL_MS: "250", COURTSIDE_REQUESTS_PER_S: "60" };
    Object.assign(process.env, pace, { COURTSIDE_TIMEOUT_MS: "1000", COURTSIDE_SETTLE_S: "2" });
    const data = await up("live", "--source", "live", "--feed-url", `http://127.0.0.1:${port}`);
    feed.process.kill();
    await feed.finished;
    expect(await currentDigests(data), `SEED=${SEED}`).toEqual(clean);
  },
  LIMIT_MS,
);
