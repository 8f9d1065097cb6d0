import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Span, type SpanOptions, type Tracing } from "../base/tracing.ts";
import { FEATURE_SCHEMA_HASH, FEATURES, featureVectorOf } from "../features/mod.ts";
import { GameStateSchema } from "../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../proto/gen/courtside/v1/play_pb.ts";
import {
  PredictBatchRequestSchema,
  PredictRequestSchema,
  PredictService,
  PredictStreamRequestSchema,
  type PredictResponse,
  type PredictStreamResponse,
} from "../proto/gen/courtside/v1/predict_service_pb.ts";
import { handMadeModel, temporaryModels, type ModelFolder } from "../tests/support/models.ts";
import { probability } from "../training/fit.ts";
import { methodDefinition } from "./grpc.ts";
import { openRegistry, type ModelRegistry } from "./model/registry.ts";
import { startServing, type Serving } from "./server.ts";

const MODEL = handMadeModel();
const STATE = {
  gameId: "0022300001",
  homeTeam: "BOS",
  awayTeam: "NYK",
  homeScore: 88,
  awayScore: 84,
  period: 4,
  clockRemainingS: 312.4,
  possession: Side.HOME,
} as const;

let models: ModelFolder;
let registry: ModelRegistry;
let serving: Serving;
let client: Client;
const spans: { name: string; options: SpanOptions | undefined }[] = [];
const tracing: Tracing = {
  start(name, options) {
    spans.push({ name, options });
    const span: Span = { traceparent: "x", traceId: "x", setAttributes() {}, fail() {}, end() {} };
    return span;
  },
  shutdown: () => Promise.resolve(),
};

beforeAll(async () => {
  models = await temporaryModels();
  await models.add(handMadeModel(0.5));
  await models.add(MODEL);
  registry = await openRegistry(models.folder, { schemaHash: FEATURE_SCHEMA_HASH });
  serving = await startServing({ registry, port: 0, tracing });
  client = new Client(`127.0.0.1:${serving.port}`, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await serving.close();
  await registry.close();
  await models.remove();
});

function predict(
  input: MessageInitShape<typeof PredictRequestSchema>["input"],
  modelVersion = "",
  metadata = new Metadata(),
): Promise<PredictResponse> {
  const method = methodDefinition(PredictService.method.predict);
  const request = create(PredictRequestSchema, { modelVersion, ...(input && { input }) });
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata,
      { deadline: Date.now() + 5_000 },
      (error, response) => (response ? resolve(response) : reject(error as Error)),
    );
  });
}

const state = (changes: MessageInitShape<typeof GameStateSchema> = {}) => ({
  case: "state" as const,
  value: create(GameStateSchema, { ...STATE, ...changes }),
});

const expected = (changes: MessageInitShape<typeof GameStateSchema> = {}): number =>
  probability(MODEL, featureVectorOf(create(GameStateSchema, { ...STATE, ...changes })), 0);

async function failure(call: Promise<unknown>): Promise<ServiceError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as ServiceError;
}

test("a game state is scored by the champion", async () => {
  const { prediction } = await predict(state());
  expect(prediction?.homeWinProb).toBeCloseTo(expected(), 6);
  expect(prediction?.gameId).toBe(STATE.gameId);
  expect(prediction?.modelVersion).toBe(registry.champion.card.version);
  expect(prediction?.schemaHash).toBe(FEATURE_SCHEMA_HASH);
});

test("a feature vector gives the same probability as the state it was made of", async () => {
  const values = [...featureVectorOf(create(GameStateSchema, STATE))];
  const features = {
    schemaHash: FEATURE_SCHEMA_HASH,
    values,
    gameId: "g",
    playNumber: 7,
    revision: 2,
  };
  const { prediction } = await predict({ case: "features", value: features });
  expect(prediction?.homeWinProb).toBeCloseTo(expected(), 6);
  expect(prediction).toMatchObject({ gameId: "g", playNumber: 7, revision: 2 });
});

test("a lead with no time left is certain and a tie is not", async () => {
  const over = { gameOver: true, clockRemainingS: 0, homeScore: 100 };
  const won = await predict(state({ ...over, awayScore: 99 }));
  expect(won.prediction?.homeWinProb).toBeGreaterThan(0.999);
  const lost = await predict(state({ ...over, awayScore: 101 }));
  expect(lost.prediction?.homeWinProb).toBeLessThan(0.001);
  const tied = await predict(state({ clockRemainingS: 0, homeScore: 99, awayScore: 99 }));
  expect(Math.abs((tied.prediction?.homeWinProb ?? 0) - 0.5)).toBeLessThan(0.3);
});

test("another version is scored by itself and an unknown one is not found", async () => {
  const other = registry.list().find((card) => card !== registry.champion.card);
  const { prediction } = await predict(state(), other?.version);
  expect(prediction?.modelVersion).toBe(other?.version);
  expect(prediction?.homeWinProb).not.toBeCloseTo(expected(), 3);
  const error = await failure(predict(state(), "nope"));
  expect(error.code).toBe(status.NOT_FOUND);
  expect(error.details).toContain('"nope"');
});

test.each([
  ["home_score", { homeScore: 401 }, "401"],
  ["period", { period: 0 }, "0"],
  ["clock_remaining_s", { clockRemainingS: 720.1 }, "720.1"],
  ["clock_remaining_s", { clockRemainingS: Number.NaN }, "NaN"],
  ["clock_remaining_s", { period: 5, clockRemainingS: 301 }, "301"],
  ["possession", { possession: Side.UNSPECIFIED }, "0"],
  ["game_id", { gameId: "" }, '""'],
  ["home_team", { homeTeam: "B".repeat(65) }, '"BBBB'],
  ["away_team", { awayTeam: "BOS" }, '"BOS"'],
  ["home_pregame_win_prob", { homePregameWinProb: 1.2 }, "1.2"],
])("a bad %s is refused by field, value and rule", async (field, changes, value) => {
  const error = await failure(predict(state(changes)));
  expect(error.code).toBe(status.INVALID_ARGUMENT);
  expect(error.details).toContain(`state.${field} `);
  expect(error.details).toContain(`got ${value}`);
  expect(error.details).toMatch(/must|is required/u);
});

test("a missing field is named as absent", async () => {
  const { period: _, ...rest } = STATE;
  const value = create(GameStateSchema, rest);
  const error = await failure(predict({ case: "state", value }));
  expect(error.details).toMatch(/state\.period is required.*got absent/u);
});

test("features of a foreign schema are a failed precondition", async () => {
  const value = { schemaHash: "0000000000000000", values: FEATURES.map(() => 0) };
  const error = await failure(predict({ case: "features", value }));
  expect(error.code).toBe(status.FAILED_PRECONDITION);
  expect(error.details).toContain(FEATURE_SCHEMA_HASH);
});

test("features that are too few or not finite are refused by name", async () => {
  const few = { schemaHash: FEATURE_SCHEMA_HASH, values: [1] };
  const short = await failure(predict({ case: "features", value: few }));
  expect(short.details).toContain(`must have ${FEATURES.length} numbers`);
  const values = FEATURES.map((_, i) => (i === 4 ? Number.NaN : 0));
  const value = { schemaHash: FEATURE_SCHEMA_HASH, values };
  const broken = await failure(predict({ case: "features", value }));
  expect(broken.code).toBe(status.INVALID_ARGUMENT);
  expect(broken.details).toContain(FEATURES[4]?.name);
});

test("a request without input is refused", async () => {
  const error = await failure(predict(undefined));
  expect(error.code).toBe(status.INVALID_ARGUMENT);
});

test("a message over the limit is refused", async () => {
  const method = methodDefinition(PredictService.method.predictBatch);
  const values = Array.from({ length: 1_200_000 }, () => 1);
  const request = create(PredictBatchRequestSchema, {
    requests: [{ input: { case: "features", value: { values } } }],
  });
  expect(toBinary(PredictBatchRequestSchema, request).length).toBeGreaterThan(4 * 1024 * 1024);
  const call = new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      (error, response) => (error ? reject(error) : resolve(response)),
    );
  });
  expect((await failure(call)).code).toBe(status.RESOURCE_EXHAUSTED);
});

test("a call is traced only when its caller is", async () => {
  spans.length = 0;
  await predict(state());
  expect(spans).toEqual([]);
  const metadata = new Metadata();
  const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  metadata.set("traceparent", parent);
  await predict(state(), "", metadata);
  expect(spans).toMatchObject([{ name: "predict", options: { kind: "server", parent } }]);
});

test("a stream is answered in order and ends with its caller", async () => {
  const method = methodDefinition(PredictService.method.predictStream);
  const stream = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
  );
  const count = 3_000;
  const answers: PredictStreamResponse[] = [];
  stream.on("data", (answer: PredictStreamResponse) => answers.push(answer));
  const ended = new Promise<void>((resolve, reject) => {
    stream.on("end", resolve);
    stream.on("error", reject);
  });
  for (let i = 0; i < count; i += 1) {
    const request = { input: state({ homeScore: 60 + (i % 40) }) };
    stream.write(create(PredictStreamRequestSchema, { id: BigInt(i), request }));
  }
  stream.end();
  await ended;
  expect(answers.map(({ id }) => Number(id))).toEqual(Array.from({ length: count }, (_, i) => i));
  expect(answers[7]?.prediction?.homeWinProb).toBeCloseTo(expected({ homeScore: 67 }), 6);
});

test("a bad request ends its stream after the answers before it", async () => {
  const method = methodDefinition(PredictService.method.predictStream);
  const stream = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
  );
  const answers: PredictStreamResponse[] = [];
  stream.on("data", (answer: PredictStreamResponse) => answers.push(answer));
  const ended = new Promise<ServiceError>((resolve) => stream.on("error", resolve));
  stream.write(create(PredictStreamRequestSchema, { id: 1n, request: { input: state() } }));
  const bad = { input: state({ period: 99 }) };
  stream.write(create(PredictStreamRequestSchema, { id: 2n, request: bad }));
  const error = await ended;
  expect((error as unknown as { code: number }).code).toBe(status.INVALID_ARGUMENT);
  expect(answers.map(({ id }) => id)).toEqual([1n]);
});

test("a stream that is quicker than the model waits for it and is not refused", async () => {
  const slow = await temporaryModels();
  await slow.add(MODEL);
  const limits = { maxWaitMs: 1, maxWaitingRows: 8, maxBatchRows: 4 };
  const small = await openRegistry(slow.folder, { schemaHash: FEATURE_SCHEMA_HASH, limits });
  const server = await startServing({ registry: small, port: 0 });
  const caller = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
  const method = methodDefinition(PredictService.method.predictStream);
  const stream = caller.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
  );
  const ids: number[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    stream.on("data", ({ id }: PredictStreamResponse) => ids.push(Number(id)));
    stream.on("end", resolve);
    stream.on("error", reject);
  });
  for (let i = 0; i < 400; i += 1) {
    const request = { input: state({ homeScore: 60 + (i % 40) }) };
    stream.write(create(PredictStreamRequestSchema, { id: BigInt(i), request }));
  }
  stream.end();
  await ended;
  expect(ids).toEqual(Array.from({ length: 400 }, (_, i) => i));
  caller.close();
  await server.close();
  await small.close();
  await slow.remove();
});
