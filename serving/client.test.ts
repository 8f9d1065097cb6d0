import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type handleUnaryCall } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FEATURE_SCHEMA_HASH, featureVectorOf } from "../features/mod.ts";
import { GameStateSchema } from "../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../proto/gen/courtside/v1/play_pb.ts";
import {
  PredictRequestSchema,
  PredictResponseSchema,
  PredictService,
  type PredictRequest,
  type PredictResponse,
} from "../proto/gen/courtside/v1/predict_service_pb.ts";
import { handMadeModel, temporaryModels, type ModelFolder } from "../tests/support/models.ts";
import { probability } from "../training/fit.ts";
import {
  connectPredict,
  PredictDeadlineError,
  PredictRejectedError,
  PredictThrottledError,
  PredictUnavailableError,
} from "./client.ts";
import { methodDefinition } from "./grpc.ts";
import { createAdmission } from "./limits.ts";
import { openRegistry, type ModelRegistry } from "./model/registry.ts";
import { startServing } from "./server.ts";

const MODEL = handMadeModel();
let models: ModelFolder;
let registry: ModelRegistry;

beforeAll(async () => {
  models = await temporaryModels();
  await models.add(MODEL);
  registry = await openRegistry(models.folder, { schemaHash: FEATURE_SCHEMA_HASH });
});

afterAll(async () => {
  await registry.close();
  await models.remove();
});

function stateOf(homeScore: number, changes: MessageInitShape<typeof GameStateSchema> = {}) {
  return create(GameStateSchema, {
    gameId: "0022300001",
    homeTeam: "BOS",
    awayTeam: "NYK",
    homeScore,
    awayScore: 80,
    period: 3,
    clockRemainingS: 60,
    possession: Side.NONE,
    ...changes,
  });
}

function requestOf(homeScore: number): PredictRequest {
  return create(PredictRequestSchema, { input: { case: "state", value: stateOf(homeScore) } });
}

test("a batch beyond the limit of one call is answered in order", async () => {
  const serving = await startServing({ registry, port: 0 });
  const client = connectPredict(`127.0.0.1:${serving.port}`);
  const scores = Array.from({ length: 5_000 }, (_, i) => 60 + (i % 41));
  const answers = await client.predictBatch(scores.map(requestOf), { deadlineMs: 10_000 });
  expect(answers).toHaveLength(scores.length);
  for (const i of [0, 1, 4_095, 4_096, 4_999]) {
    const expected = probability(MODEL, featureVectorOf(stateOf(scores[i] ?? 0)), 0);
    expect(answers[i]?.homeWinProb).toBeCloseTo(expected, 6);
  }
  client.close();
  await serving.close();
});

test("a server that comes back within the deadline is not noticed", async () => {
  const first = await startServing({ registry, port: 0 });
  const client = connectPredict(`127.0.0.1:${first.port}`);
  await client.predictBatch([requestOf(80)], { deadlineMs: 5_000 });
  await first.close();
  const answer = client.predictBatch([requestOf(90)], { deadlineMs: 10_000 });
  await new Promise((resolve) => setTimeout(resolve, 400));
  const second = await startServing({ registry, port: first.port });
  expect((await answer)[0]?.homeWinProb).toBeGreaterThan(0.5);
  client.close();
  await second.close();
});

test("a server that stays away is reported with its address once the time is up", async () => {
  const serving = await startServing({ registry, port: 0 });
  await serving.close();
  const address = `127.0.0.1:${serving.port}`;
  const client = connectPredict(address);
  const call = client.predictBatch([requestOf(80)], { deadlineMs: 600 });
  await expect(call).rejects.toThrow(address);
  await expect(call).rejects.toSatisfy(
    (error) => error instanceof PredictUnavailableError || error instanceof PredictDeadlineError,
  );
  await expect(client.waitReady(200)).rejects.toThrow(PredictUnavailableError);
  client.close();
});

test("a refused batch names the bad request and is not tried again", async () => {
  const serving = await startServing({ registry, port: 0 });
  const client = connectPredict(`127.0.0.1:${serving.port}`);
  const error: unknown = await client
    .predictBatch([requestOf(80), requestOf(500)], { deadlineMs: 5_000 })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PredictRejectedError);
  expect(error).toMatchObject({ status: "INVALID_ARGUMENT", retryable: false });
  expect(String(error)).toContain("requests[1].state.home_score");
  client.close();
  await serving.close();
});

test("the client describes the champion", async () => {
  const serving = await startServing({ registry, port: 0 });
  const client = connectPredict(`127.0.0.1:${serving.port}`);
  await client.waitReady(5_000);
  const model = await client.model("", { deadlineMs: 5_000 });
  expect(model).toMatchObject({ version: registry.champion.card.version, champion: true });
  client.close();
  await serving.close();
});

/** A server that lets its first call wait for ever and answers the others; tells how many came. */
async function stallingServer() {
  const server = new Server();
  const predict = PredictService.method.predict;
  let calls = 0;
  const handler: handleUnaryCall<PredictRequest, PredictResponse> = (_, answer) => {
    calls += 1;
    if (calls === 1) return;
    answer(null, create(PredictResponseSchema, { prediction: { gameId: "hedged" } }));
  };
  server.addService({ predict: methodDefinition(predict) }, { predict: handler });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, calls: () => calls, close: () => server.forceShutdown() };
}

test("a call is hedged only when that was asked for, and the first answer counts", async () => {
  const stalling = await stallingServer();
  const address = `127.0.0.1:${stalling.port}`;
  const patient = connectPredict(address);
  await expect(patient.predict(requestOf(1), { deadlineMs: 200 })).rejects.toThrow(
    PredictDeadlineError,
  );
  expect(stalling.calls()).toBe(1);
  stalling.close();

  const again = await stallingServer();
  const hedging = connectPredict(`127.0.0.1:${again.port}`, { hedgeAfterMs: 50 });
  const { prediction } = await hedging.predict(requestOf(1), { deadlineMs: 5_000 });
  expect(prediction.gameId).toBe("hedged");
  expect(again.calls()).toBe(2);
  for (const client of [patient, hedging]) client.close();
  again.close();
});

test("calls beyond the client's own limit are refused at once, and a refusal says how long to wait", async () => {
  const stalling = await stallingServer();
  const client = connectPredict(`127.0.0.1:${stalling.port}`, { maxCalls: 1 });
  const first = client.predict(requestOf(1), { deadlineMs: 300 });
  await expect(client.predict(requestOf(2), { deadlineMs: 300 })).rejects.toThrow(
    PredictThrottledError,
  );
  await expect(first).rejects.toThrow(PredictDeadlineError);
  client.close();
  stalling.close();

  const admission = createAdmission({ maxCallsPerClient: 1 });
  const serving = await startServing({ registry, port: 0, admission });
  admission.enter("127.0.0.1");
  const refused = connectPredict(`127.0.0.1:${serving.port}`);
  const error: unknown = await refused
    .predict(requestOf(1), { deadlineMs: 1_000 })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PredictRejectedError);
  expect(error).toMatchObject({ status: "RESOURCE_EXHAUSTED", retryAfterMs: 50, retryable: true });
  refused.close();
  await serving.close();
});

test("an explanation comes with the answer that asked for it, alone and in a batch", async () => {
  const serving = await startServing({ registry, port: 0 });
  const client = connectPredict(`127.0.0.1:${serving.port}`);
  const explained = { ...requestOf(90), explain: true };
  const one = await client.predict(explained, { deadlineMs: 5_000 });
  expect(one.explanation?.contributions[0]?.feature).toBe("tip_off");
  const requests = [requestOf(70), explained, requestOf(75)];
  const answers = await client.answers(requests, { deadlineMs: 5_000 });
  expect(answers.map(({ explanation }) => explanation !== undefined)).toEqual([false, true, false]);
  expect(answers[1]?.explanation).toEqual(one.explanation);
  client.close();
  await serving.close();
});
