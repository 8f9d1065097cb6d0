import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { silentLog } from "../../base/log.ts";
import { noMetrics } from "../../base/metrics.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { migrate } from "../../data/clickhouse/migrate.ts";
import { type ClickHouseChild, startClickHouse } from "../../local/clickhouse/child.ts";
import { Judge } from "./judge.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let server: ClickHouseChild;
let client: ClickHouseClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-judge-"));
  server = await startClickHouse(folder);
  client = await openClickHouse(server.url);
  await migrate(client);
});

afterAll(async () => {
  await client.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

/** A game in which a model said the same after each of a hundred plays. */
function game(number: number, role: string, prob: number, homeWon: boolean): object {
  const bin = Math.min(99, Math.floor(prob * 100));
  const bins = (value: number): number[] =>
    Array.from({ length: 100 }, (_, i) => (i === bin ? value : 0));
  return {
    game_id: `g${String(number)}`,
    edition: 1,
    season: 2023,
    game_date: "2024-01-10",
    model_name: "m",
    model_version: role === "served" ? "old" : "new",
    role,
    slice_kind: "all",
    slice: "all",
    plays: 100,
    home_won: homeWon,
    brier_sum: 100 * (prob - Number(homeWon)) ** 2,
    log_loss_sum: -100 * Math.log(homeWon ? prob : 1 - prob),
    bin_plays: bins(100),
    bin_prob_sums: bins(100 * prob),
  };
}

test("a bad week, a drifted input, a better challenger and broken parity are told, once however often one looks", async () => {
  const gauges = new Map<string, () => number>();
  const metrics = {
    ...noMetrics,
    gauge: (name: string, _unit: string, _description: string, read: () => number) =>
      void gauges.set(name, read),
  };
  const judge = new Judge(client, metrics, silentLog);
  expect(await judge.look()).toEqual([]);
  const games = Array.from({ length: 60 }, (_, i) => i);
  // Sure of the wrong side in every other game; the challenger is right more often.
  const values = games.flatMap((i) => [
    game(i, "served", i % 2 === 0 ? 0.8 : 0.7, i % 3 === 0),
    game(i, "challenger", i % 3 === 0 ? 0.7 + (i % 5) / 50 : 0.3, i % 3 === 0),
  ]);
  await client.insert({ table: "model_scores", values, format: "JSONEachRow" });
  await client.insert({
    table: "feature_drift",
    values: games.slice(0, 12).map((i) => ({
      game_id: `g${String(i)}`,
      edition: 1,
      game_date: "2024-01-10",
      schema_hash: "h",
      feature: "margin",
      plays: 10,
      bin_plays: i === 7 ? [0, 10] : [2, 8],
      reference_shares: [0.6, 0.4],
      psi: i === 7 ? 3 : 0.5,
      ks: 0.4,
    })),
    format: "JSONEachRow",
  });
  const parity = [
    { game_id: "g9", vectors: 400, missing: 0, differences: 2, first_difference: "x" },
  ];
  await client.insert({ table: "feature_parity", values: parity, format: "JSONEachRow" });
  for (const each of [judge, judge, new Judge(client, noMetrics, silentLog)]) await each.look();
  const result = await client.query({
    query:
      "SELECT alarm, subject, value > threshold AS over, game_ids FROM model_alarms ORDER BY alarm",
    format: "JSONEachRow",
  });
  const alarms = await result.json<{
    alarm: string;
    subject: string;
    over: number;
    game_ids: string[];
  }>();
  expect(alarms.map(({ alarm, subject }) => `${alarm} ${subject}`)).toEqual([
    "brier old",
    "calibration old",
    "challenger_better new",
    "drift margin",
    "parity g9",
  ]);
  expect(alarms.every(({ over }) => over === 1)).toBe(true);
  expect(alarms.find(({ alarm }) => alarm === "drift")?.game_ids[0]).toBe("g7");
  expect(gauges.get("courtside.model.games")?.()).toBe(60);
  expect(gauges.get("courtside.model.brier")?.()).toBeCloseTo(
    games.reduce((sum, i) => sum + ((i % 2 === 0 ? 0.8 : 0.7) - Number(i % 3 === 0)) ** 2, 0) / 60,
    9,
  );
  expect(gauges.get("courtside.parity.differences")?.()).toBe(2);
  expect(gauges.get("courtside.model.alarms")?.()).toBe(5);
});

test("the area under the curve is the share of pairs in order, ties half", async () => {
  await client.command({ query: "TRUNCATE TABLE model_scores" });
  const values = [
    game(1, "served", 0.9, true),
    game(2, "served", 0.5, true),
    game(3, "served", 0.5, false),
    game(4, "served", 0.2, false),
  ];
  await client.insert({ table: "model_scores", values, format: "JSONEachRow" });
  const result = await client.query({
    query: "SELECT auc, calibration_error FROM model_quality WHERE slice_kind = 'all'",
    format: "JSONEachRow",
  });
  const [row] = await result.json<{ auc: number; calibration_error: number }>();
  // Pairs (won, lost): 0.9 over both, 0.5 ties with 0.5 and is over 0.2.
  expect(row?.auc).toBeCloseTo(3.5 / 4, 12);
  expect(row?.calibration_error).toBeCloseTo((0.1 + 0 + 0.2) / 4, 12);
});
