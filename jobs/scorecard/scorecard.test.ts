import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { TransactionalSink } from "../../operators/mod.ts";
import {
  GameResultSchema,
  GameStateSchema,
  type Insight,
  InsightSchema,
  OutputPositionSchema,
  PlayInsightSchema,
  PredictionSchema,
  ShadowPredictionSchema,
} from "../../proto/gen/courtside/v1/insight_pb.ts";
import { PlayEventSchema } from "../../proto/gen/courtside/v1/play_pb.ts";
import { type Step, survivesRestart } from "../../testing/mod.ts";
import { FEATURE_SCHEMA_HASH, FEATURES } from "../../features/mod.ts";
import { scorecardGraph, type ScoreRow, scoreProcess } from "./graph.ts";
import { binOf, kolmogorovSmirnov, stabilityIndex } from "./reference.ts";
import { Harness } from "../../testing/harness.ts";

const MARGIN = FEATURES.findIndex(({ name }) => name === "margin");
const REFERENCE = {
  schemaHash: FEATURE_SCHEMA_HASH,
  histograms: [{ feature: "margin", index: MARGIN, edges: [-5, 5], shares: [0.3, 0.4, 0.3] }],
};

let sequence = 0;

interface Play {
  readonly number: number;
  readonly prob: number;
  readonly homeScore?: number;
  readonly period?: number;
  readonly edition?: number;
  readonly shadow?: number;
  readonly retracted?: boolean;
  readonly gameOver?: boolean;
}

function insight(body: Insight["body"], gameId = "g"): Insight {
  sequence += 1;
  const position = create(OutputPositionSchema, { inputSequence: BigInt(sequence), index: 0 });
  return create(InsightSchema, { gameId, position, body });
}

function play(of: Play): Insight {
  const { number, prob, homeScore = 0, period = 1, edition = 0, shadow, retracted = false } = of;
  const shadows =
    shadow === undefined
      ? []
      : [
          create(ShadowPredictionSchema, {
            modelVersion: "new",
            homeWinProb: shadow,
            alias: "challenger",
          }),
        ];
  const prediction = create(PredictionSchema, {
    homeWinProb: prob,
    modelVersion: "old",
    schemaHash: FEATURE_SCHEMA_HASH,
    shadows,
  });
  const value = create(PlayInsightSchema, {
    play: create(PlayEventSchema, { gameId: "g", playNumber: number, retracted }),
    state: create(GameStateSchema, {
      homeScore,
      awayScore: 0,
      period,
      clockRemainingS: 60,
      gameOver: of.gameOver ?? false,
    }),
    edition,
    corrects: edition > 0,
    ...(!retracted && { prediction }),
  });
  return insight({ case: "play", value });
}

function result(homeScore: number, awayScore: number): Insight {
  return insight({ case: "result", value: create(GameResultSchema, { homeScore, awayScore }) });
}

function run(insights: readonly Insight[]): ScoreRow[] {
  const h = new Harness<Insight>((source, collect) =>
    collect(source.keyBy(({ gameId }) => gameId).process(scoreProcess(REFERENCE))),
  );
  for (const each of insights) h.record(each.gameId, each);
  return h.take<ScoreRow>();
}

function score(rows: readonly ScoreRow[], role: string, slice: string): Record<string, unknown> {
  const found = rows.find(
    ({ table, row }) =>
      table === "courtside.model_scores" && row["role"] === role && row["slice"] === slice,
  );
  expect(found, `${role} ${slice}`).toBeDefined();
  return { ...found?.row };
}

test("predictions wait for the result and are scored then, by slice and model", () => {
  const plays = [
    play({ number: 1, prob: 0.6, shadow: 0.9 }),
    play({ number: 2, prob: 0.8, homeScore: 10, period: 5, shadow: 0.9 }),
  ];
  expect(run(plays)).toEqual([]);
  const rows = run([...plays, result(100, 90)]);
  expect(score(rows, "served", "all")).toMatchObject({ plays: 2, home_won: true, edition: 1 });
  expect(score(rows, "served", "all")["brier_sum"]).toBeCloseTo(0.16 + 0.04, 12);
  expect(score(rows, "served", "all")["log_loss_sum"]).toBeCloseTo(
    -Math.log(0.6) - Math.log(0.8),
    12,
  );
  expect(score(rows, "challenger", "all")["brier_sum"]).toBeCloseTo(0.02, 12);
  expect(score(rows, "served", "overtime")).toMatchObject({ plays: 1 });
  expect(score(rows, "served", "8-14")).toMatchObject({ plays: 1 });
});

test("what comes again is not counted twice, what was corrected counts once, what was taken back not at all", () => {
  const first = play({ number: 1, prob: 0.2 });
  const rows = run([
    first,
    first,
    play({ number: 2, prob: 0.5 }),
    play({ number: 1, prob: 0.9, edition: 1 }),
    play({ number: 3, prob: 0.5 }),
    play({ number: 3, prob: 0, edition: 2, retracted: true }),
    play({ number: 4, prob: 1, gameOver: true }),
    result(1, 0),
  ]);
  expect(score(rows, "served", "all")).toMatchObject({ plays: 2 });
  expect(score(rows, "served", "all")["brier_sum"]).toBeCloseTo(0.01 + 0.25, 12);
});

test("a corrected result is scored again, as a later edition; a tie is no result", () => {
  const rows = run([play({ number: 1, prob: 0.7 }), result(3, 3), result(1, 0), result(0, 1)]);
  const all = rows.filter(({ row }) => row["slice"] === "all").map(({ row }) => row);
  expect(all.map((row) => [row["edition"], row["home_won"]])).toEqual([
    [1, true],
    [2, false],
  ]);
});

test("inputs are counted into the bins of the reference", () => {
  const rows = run([
    play({ number: 1, prob: 0.5, homeScore: 5 }),
    play({ number: 2, prob: 0.5, homeScore: 4 }),
    result(1, 0),
  ]);
  const drift = rows.find(({ table }) => table === "courtside.feature_drift");
  expect(drift?.row).toMatchObject({ feature: "margin", bin_plays: [0, 1, 1], plays: 2 });
});

test("scores survive a restart after every insight", () => {
  const insights = [
    ...Array.from({ length: 12 }, (_, i) =>
      play({ number: i + 1, prob: (i + 1) / 20, homeScore: i, shadow: 0.5 }),
    ),
    result(12, 3),
  ];
  const steps: Step<Insight>[] = insights.map((value) => ({ kind: "record", key: "g", value }));
  survivesRestart<Insight>((source, collect) => {
    collect(source.keyBy(({ gameId }) => gameId).process(scoreProcess(REFERENCE)));
  }, steps);
});

test("messages that are no insight are passed over, and the graph is sound", () => {
  const sink: TransactionalSink<ScoreRow> = {
    mode: "transactional",
    uid: "scores",
    open: () => Promise.resolve(),
    write() {},
    full: () => false,
    seal: () => [],
    commit: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  expect(() => scorecardGraph(undefined, sink).validate()).not.toThrow();
});

test("bins, stability index and distance are those of the books", () => {
  expect([-6, -5, 4.9, 5, 80].map((value) => binOf(value, [-5, 5]))).toEqual([0, 1, 1, 2, 2]);
  expect(stabilityIndex([30, 40, 30], [0.3, 0.4, 0.3])).toBeCloseTo(0, 12);
  // (0.5 - 0.25) ln 2 + (0.5 - 0.75) ln (2/3)
  expect(stabilityIndex([50, 50], [0.25, 0.75])).toBeCloseTo(
    0.25 * Math.log(2) - 0.25 * Math.log(2 / 3),
    12,
  );
  expect(stabilityIndex([100, 0], [0.5, 0.5])).toBeGreaterThan(0.25);
  expect(kolmogorovSmirnov([50, 50], [0.25, 0.75])).toBeCloseTo(0.25, 12);
  expect(kolmogorovSmirnov([0, 0, 10], [1, 0, 0])).toBeCloseTo(1, 12);
});
