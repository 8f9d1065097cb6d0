import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { Cluster } from "./cluster.ts";
import { type Contents, contentsOf, differences } from "./contents.ts";
import { calmContents, chaos, sourceFlags } from "./run.ts";

/**
 * The insight job as several worker processes over recorded games (generated ones where there are none), disturbed in
 * every way, must leave what an undisturbed run leaves: all tables and every message of the output stream, without
 * FINAL and without a reader's refusing of repeats. `npm run test:chaos` runs more of the same.
 */

const GAMES = 4;
const SEED = Number(process.env["SEED"] ?? 1);
const KILLS = 25;
const LEASE_MS = 2000;
let calm: Contents;

beforeAll(async () => {
  calm = await calmContents(GAMES);
}, 120_000);

test(`${String(KILLS)} kills and freezes of workers, broker, store and model server lose and double nothing`, async () => {
  const said: string[] = [];
  const report = await chaos(calm, {
    kills: KILLS,
    seed: SEED,
    games: GAMES,
    workers: 3,
    leaseMs: LEASE_MS,
    say: (text) => void said.push(text),
  });
  console.log(`seed ${String(SEED)}: ${JSON.stringify(Object.fromEntries(report.storm.done))}`);
  expect(report.differences, `seed ${String(SEED)}\n${said.join("\n")}`).toEqual([]);
}, 300_000);

test("savepoints move games from four regions on two workers to three on three to one on one", async () => {
  const cluster = await Cluster.start({ workers: 2, regions: 4, leaseMs: LEASE_MS });
  const control = [`--nats-url=${cluster.natsUrl}`, `--checkpoints=${cluster.folder}/checkpoints`];
  const rescale = async (name: string, regions: number, workers: number): Promise<void> => {
    await cluster.command("savepoint", "stop", "insight", `--name=${name}`, ...control);
    await Promise.all(cluster.workers.splice(0).map(async (worker) => worker.stop()));
    const flags = [`--savepoint=${name}`, `--regions=${String(regions)}`];
    await cluster.command("restore", "insight", ...flags, ...control);
    for (let i = 0; i < workers; i += 1) await cluster.addWorker();
  };
  try {
    const replaying = cluster.replay(sourceFlags(GAMES, "700"));
    await delay(3000);
    await rescale("two", 3, 3);
    await delay(2000);
    await rescale("three", 1, 1);
    const replay = await replaying;
    expect(differences(calm, await contentsOf(cluster, replay))).toEqual([]);
    const jobs = JSON.parse(await cluster.command("jobs", "--json", ...control)) as {
      generation: number;
      regions: { state: string; key_groups: string; sequence: number }[];
    };
    expect(jobs).toMatchObject({
      generation: 3,
      regions: [{ state: "running", key_groups: "0-127" }],
    });
    const list = await cluster.command("savepoint", "list", ...control);
    expect(list).toMatch(/two/);
    expect(list).toMatch(/three/);
    const details = await cluster.command("savepoint", "describe", "three", ...control);
    expect(details).toMatch(/game +players +value +courtside.v1.PlayersFold/);
    expect(details).toMatch(/PLAYS \d+/);
    await cluster.command("savepoint", "delete", "two", ...control);
    expect(await cluster.command("savepoint", "list", ...control)).not.toMatch(/two/);
    expect(await cluster.command("checkpoints", "list", ...control)).toMatch(/g3-0/);
  } finally {
    await cluster.stop();
  }
}, 180_000);
