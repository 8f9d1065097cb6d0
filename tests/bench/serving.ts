/**
 * Rates and latencies of the scoring server: `node tests/bench/serving.ts [--quick]`. Server and client are two
 * processes, a core each when the machine has them; every ratio is taken in one run, round after round.
 */
import { createPredictor } from "../../serving/handlers/predict.ts";
import { FEATURE_SCHEMA_HASH } from "../../features/mod.ts";
import { startOnnxThread } from "../../serving/model/onnx-thread.ts";
import { openRegistry } from "../../serving/model/registry.ts";
import path from "node:path";
import {
  closedLoop,
  EMPTY,
  openLoop,
  PREDICT,
  quantile,
  rawClient,
  startServer,
  stateRequest,
} from "./serving-load.ts";

const isQuick = process.argv.includes("--quick");
const ROUNDS = isQuick ? 2 : 5;
const ROUND_MS = isQuick ? 800 : 2_000;
const HALF_LOAD_MS = isQuick ? 2_000 : 10_000;
const CONCURRENCY = 64;
const STREAMED = isQuick ? 20_000 : 60_000;
const STREAM_WINDOW = 512;
const BATCH_ROWS = 256;
const MODELS = path.join(import.meta.dirname, "../../serving/models");

const server = await startServer(MODELS);
const client = rawClient(server.address);
const report: Record<string, number> = {};

const rates: Record<string, number[]> = { empty: [], predict: [], stream: [] };
const call = (what: typeof EMPTY) => () => client.call(what.path, what.request);
// The compilers of both sides have seen everything once.
for (const what of [EMPTY, PREDICT]) await closedLoop(call(what), CONCURRENCY, 1_500);
await client.stream(STREAMED / 4, STREAM_WINDOW);
for (let round = 0; round < ROUNDS; round += 1) {
  rates["empty"]?.push(await closedLoop(call(EMPTY), CONCURRENCY, ROUND_MS));
  rates["predict"]?.push(await closedLoop(call(PREDICT), CONCURRENCY, ROUND_MS));
  const startMs = performance.now();
  await client.stream(STREAMED, STREAM_WINDOW);
  rates["stream"]?.push((STREAMED / (performance.now() - startMs)) * 1_000);
}
const rate = (name: string): number => Math.round(quantile(rates[name] ?? [], 0.5));
report["empty_calls_per_s"] = rate("empty");
report["predict_calls_per_s"] = rate("predict");
report["stream_states_per_s"] = rate("stream");
report["predict_of_empty"] = ratio(rate("predict"), rate("empty"));
report["stream_of_predict"] = ratio(rate("stream"), rate("predict"));

const latencies: number[] = [];
const timed = async (): Promise<void> => {
  const startMs = performance.now();
  await client.call(PREDICT.path, PREDICT.request);
  latencies.push(performance.now() - startMs);
};
await openLoop(timed, rate("predict") / 2, HALF_LOAD_MS);
report["half_load_latency_ms_p50"] = quantile(latencies, 0.5);
report["half_load_latency_ms_p99"] = quantile(latencies, 0.99);
client.close();
await server.stop();

report["batch_256_states_per_s"] = await modelLayer();
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);

function ratio(a: number, b: number): number {
  return Number((a / b).toFixed(2));
}

/** States that are checked, turned into features and scored, 256 at once, in the server's own way but in this process. */
async function modelLayer(): Promise<number> {
  const thread = startOnnxThread();
  const registry = await openRegistry(MODELS, { schemaHash: FEATURE_SCHEMA_HASH, thread });
  const predictor = createPredictor(registry);
  const batch = Array.from({ length: BATCH_ROWS }, (_, i) => stateRequest(60 + (i % 50)));
  const score = () => predictor.predictBatch(batch);
  await closedLoop(score, 1, 1_000);
  const found: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    found.push((await closedLoop(score, 1, ROUND_MS)) * BATCH_ROWS);
  }
  await registry.close();
  await thread.close();
  return Math.round(quantile(found, 0.5));
}
