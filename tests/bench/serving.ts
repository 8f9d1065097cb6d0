/**
 * Latency and throughput of the scoring server over a real socket: `node tests/bench/serving.ts`. Server and
 * client share this process, so figures hold both sides' work.
 */
import { create } from "@bufbuild/protobuf";
import { FEATURE_SCHEMA_HASH, featureVectorOf } from "../../features/mod.ts";
import { GameStateSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import {
  PredictRequestSchema,
  type PredictRequest,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { connectPredict, type PredictClient } from "../../serving/client.ts";
import { openRegistry } from "../../serving/model/registry.ts";
import { startServing } from "../../serving/server.ts";
import { handMadeModel, temporaryModels } from "../support/models.ts";

const WARM_UP_CALLS = 500;
const CALLS = 4_000;
const BATCH_ROWS = [1, 16, 256, 4_096] as const;
const BATCHED_ROWS = 200_000;
const DEADLINE = { deadlineMs: 10_000 };

const models = await temporaryModels();
await models.add(handMadeModel());
const registry = await openRegistry(models.folder, { schemaHash: FEATURE_SCHEMA_HASH });
const serving = await startServing({ registry, port: 0 });
const client = connectPredict(`127.0.0.1:${serving.port}`);

const report: Record<string, number> = {};
for (const [name, request] of [
  ["state", stateRequest()],
  ["features", featuresRequest()],
] as const) {
  await latencies(client, request, WARM_UP_CALLS);
  const sorted = await latencies(client, request, CALLS);
  report[`${name}_latency_ms_p50`] = at(sorted, 0.5);
  report[`${name}_latency_ms_p99`] = at(sorted, 0.99);
  for (const rows of BATCH_ROWS) {
    const batch = Array.from({ length: rows }, () => request);
    report[`${name}_rows_per_s_batch_${rows}`] = await rowsPerSecond(client, batch);
  }
}
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);

client.close();
await serving.close();
await registry.close();
await models.remove();

function gameState() {
  return create(GameStateSchema, {
    gameId: "0022300001",
    homeTeam: "BOS",
    awayTeam: "NYK",
    homeScore: 88,
    awayScore: 84,
    period: 4,
    clockRemainingS: 312.4,
    possession: Side.HOME,
    homeElo: 1600,
    awayElo: 1480,
    homeTeamFouls: 3,
    awayTeamFouls: 4,
    currentRun: 5,
    leadChanges: 7,
  });
}

function stateRequest(): PredictRequest {
  return create(PredictRequestSchema, { input: { case: "state", value: gameState() } });
}

function featuresRequest(): PredictRequest {
  const values = [...featureVectorOf(gameState())];
  const value = { schemaHash: FEATURE_SCHEMA_HASH, values, gameId: "0022300001", playNumber: 400 };
  return create(PredictRequestSchema, { input: { case: "features", value } });
}

/** One call after the other; sorted, milliseconds. */
async function latencies(
  to: PredictClient,
  request: PredictRequest,
  calls: number,
): Promise<Float64Array> {
  const times = new Float64Array(calls);
  for (let i = 0; i < calls; i += 1) {
    const startMs = performance.now();
    await to.predictBatch([request], DEADLINE);
    times[i] = performance.now() - startMs;
  }
  return times.sort();
}

/** Two calls under way at a time, so that one side works while the other waits. */
async function rowsPerSecond(to: PredictClient, batch: readonly PredictRequest[]): Promise<number> {
  const calls = Math.max(
    1,
    Math.floor(Math.min(BATCHED_ROWS, 3_000 * batch.length) / batch.length),
  );
  const startMs = performance.now();
  const half = async (): Promise<void> => {
    for (let i = 0; i < calls / 2; i += 1) await to.predictBatch(batch, DEADLINE);
  };
  await Promise.all([half(), half()]);
  return Math.round((calls * batch.length) / ((performance.now() - startMs) / 1000));
}

function at(sorted: Float64Array, quantile: number): number {
  const value = sorted[Math.floor(sorted.length * quantile)] ?? Number.NaN;
  return Math.round(value * 1000) / 1000;
}
