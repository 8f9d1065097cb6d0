import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Courtside, courtside, isAlive, pidOf, runFile, sql } from "../support/courtside.ts";

/**
 * The whole pipeline as real processes on a generated season: killed, stopped, started again. What it leaves
 * behind must not differ from what an undisturbed run leaves.
 */

const GAMES = 6;
let folder = "";
let calm: readonly string[] = [];

const dataDir = (name: string): string => join(folder, name);

function up(name: string, ...more: readonly string[]): Courtside {
  const run = ["up", "--games", String(GAMES), "--seed", "5", "--data", dataDir(name)];
  return new Courtside([...run, "--port-base", "0", "--until-done", "--json", ...more]);
}

/** Columns of processing time, which differ between any two runs. */
const VOLATILE = /^(?:ingest_time|predicted_at|inserted_at|trace_id|\w+_ms)$/;
const TABLES = [
  "games",
  "plays",
  "features",
  "predictions",
  "player_stats",
  "team_windows",
  "scoring_runs",
  "game_results",
  "dead_letters",
];

/** Number and hash of the rows of every table, without the volatile columns and in no order. */
async function contents(name: string): Promise<string[]> {
  const lines: string[] = [];
  for (const table of TABLES) {
    const columns = await sql<{ name: string }>(
      dataDir(name),
      `SELECT name FROM system.columns WHERE database = 'courtside' AND table = '${table}'
       AND default_kind != 'ALIAS' ORDER BY position`,
    );
    const kept = columns.map((each) => each.name).filter((each) => !VOLATILE.test(each));
    const [row] = await sql<{ rows: string; hash: string }>(
      dataDir(name),
      `SELECT toString(count()) AS rows, toString(sum(cityHash64(${kept.join(", ")}))) AS hash
       FROM courtside.${table}`,
    );
    lines.push(`${table}: ${String(row?.rows)} rows, hash ${String(row?.hash)}`);
  }
  return lines;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-e2e-"));
  const { code, stderr } = await up("calm").finished;
  expect(code, stderr).toBe(0);
  calm = await contents("calm");
}, 180_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("an undisturbed run stores every play once and is certain of every winner", async () => {
  const [plays] = await sql<Record<string, number>>(
    dataDir("calm"),
    `SELECT count() AS plays, uniqExact(game_id, play_number) AS different,
       (SELECT count() FROM courtside.predictions) AS predictions,
       (SELECT count() FROM courtside.game_results
        WHERE if(home_score > away_score, home_win_prob, 1 - home_win_prob) > 0.99) AS certain
     FROM courtside.plays`,
  );
  expect(Number(plays?.["plays"])).toBeGreaterThan(400 * GAMES);
  expect(plays?.["different"]).toEqual(plays?.["plays"]);
  expect(plays?.["predictions"]).toEqual(plays?.["plays"]);
  expect(Number(plays?.["certain"])).toBe(GAMES);
});

test.each(["insight", "nats", "clickhouse", "serve"])(
  "kill -9 of %s in the middle leaves the same tables",
  async (victim) => {
    const name = `kill-${victim}`;
    const run = up(name, "--speed", "2000");
    await run.says("processes are ready");
    const { processes } = await runFile(dataDir(name));
    const victims = processes.filter((each) => each.name.startsWith(victim));
    expect(victims, JSON.stringify(processes)).not.toEqual([]);
    await delay(2500);
    for (const each of victims) process.kill(each.pid, "SIGKILL");
    const { code, stderr } = await run.finished;
    expect(code, stderr).toBe(0);
    expect(await contents(name)).toEqual(calm);
  },
  180_000,
);

test("kill -9 of the whole run: started again with the same --data it comes to the same end", async () => {
  const first = up("kill-up", "--speed", "2000");
  await first.says("processes are ready");
  const run = await runFile(dataDir("kill-up"));
  await delay(2500);
  first.process.kill("SIGKILL");
  await first.finished;
  const { code, stdout, stderr } = await up("kill-up").finished;
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, games: GAMES });
  expect(await contents("kill-up")).toEqual(calm);
  expect(run.processes.filter(({ pid }) => isAlive(pid))).toEqual([]);
}, 180_000);

test("Ctrl-C leaves no process and no lock, and the run goes on when it is started again", async () => {
  const first = up("ctrl-c", "--speed", "2000");
  await first.says("processes are ready");
  const run = await runFile(dataDir("ctrl-c"));
  await delay(2000);
  first.process.kill("SIGINT");
  await first.finished;
  expect(run.processes.filter(({ pid }) => isAlive(pid))).toEqual([]);
  expect(await readdir(dataDir("ctrl-c"))).not.toContain("lock");
  const { code, stderr } = await up("ctrl-c").finished;
  expect(code, stderr).toBe(0);
  expect(await contents("ctrl-c")).toEqual(calm);
}, 180_000);

test("every part is traced: one trace leads from the publisher to the row", async () => {
  const traced = await up("traced", "--trace-rate", "1").finished;
  expect(traced.code, traced.stderr).toBe(0);
  const [trace] = await sql<{ names: string[] }>(
    dataDir("traced"),
    `SELECT groupUniqArray(SpanName) AS names FROM courtside.otel_traces
     WHERE TraceId = (SELECT trace_id FROM courtside.predictions WHERE trace_id != '' LIMIT 1)`,
  );
  expect(trace?.names).toEqual(
    expect.arrayContaining(["play", "task.process", "clickhouse.insert"]),
  );
}, 180_000);

test("a data directory in use and a season that is not there are one clear line, exit code 1", async () => {
  const running = up("busy", "--speed", "10");
  await running.says("processes are ready");
  const run = await runFile(dataDir("busy"));
  const second = await up("busy").finished;
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(String(running.process.pid));
  running.process.kill("SIGTERM");
  await running.finished;
  expect(isAlive(pidOf(run, "insight"))).toBe(false);
  const missing = await courtside(
    "up",
    "--source",
    "/no/such/season.csv",
    "--until-done",
    "--port-base",
    "0",
    "--data",
    dataDir("missing"),
  );
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain("/no/such/season.csv");
}, 180_000);
