import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FEATURE_SCHEMA_HASH } from "../features/mod.ts";
import { Side } from "../proto/gen/courtside/v1/play_pb.ts";
import {
  PredictService,
  PredictStreamRequestSchema,
  type PredictStreamResponse,
} from "../proto/gen/courtside/v1/predict_service_pb.ts";
import { handMadeModel, temporaryModels, type ModelFolder } from "../tests/support/models.ts";
import { methodDefinition } from "./grpc.ts";
import { openRegistry, type ModelRegistry } from "./model/registry.ts";
import { ServingPortError, startServing } from "./server.ts";

let models: ModelFolder;
let registry: ModelRegistry;

beforeAll(async () => {
  models = await temporaryModels();
  await models.add(handMadeModel());
  registry = await openRegistry(models.folder, { schemaHash: FEATURE_SCHEMA_HASH });
});

afterAll(async () => {
  await registry.close();
  await models.remove();
});

const connect = (port: number): Client =>
  new Client(`127.0.0.1:${port}`, credentials.createInsecure());

const REFLECTION_PATH = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/** The raw answer to "list all services": the field number 7 of the request. */
function listServices(client: Client): Promise<string> {
  const bytes = (buffer: Buffer): Buffer => buffer;
  const stream = client.makeBidiStreamRequest(REFLECTION_PATH, bytes, bytes);
  return new Promise((resolve, reject) => {
    stream.on("data", (answer: Buffer) => {
      resolve(answer.toString("latin1"));
      stream.end();
    });
    stream.on("error", reject);
    stream.write(Buffer.from([0x3a, 0x01, 0x2a]));
  });
}

test("reflection lists the service", async () => {
  const serving = await startServing({ registry, port: 0 });
  const client = connect(serving.port);
  expect(await listServices(client)).toContain(PredictService.typeName);
  client.close();
  await serving.close();
});

test("health answers for the server and the service, and an open watch does not hold the end up", async () => {
  const serving = await startServing({ registry, port: 0 });
  const client = connect(serving.port);
  const { Check: check, Watch: watch } = healthService;
  if (check === undefined || watch === undefined) throw new Error("the health service has changed");
  const answer = await new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      check.path,
      check.requestSerialize,
      check.responseDeserialize,
      { service: PredictService.typeName },
      (error, response) => (error ? reject(error) : resolve(response)),
    );
  });
  expect(answer).toEqual({ status: "SERVING" });

  const seen: unknown[] = [];
  const stream = client.makeServerStreamRequest(
    watch.path,
    watch.requestSerialize,
    watch.responseDeserialize,
    { service: "" },
  );
  stream.on("error", () => {});
  const first = new Promise<void>((resolve) => {
    stream.on("data", (message: { status: string }) => {
      seen.push(message.status);
      resolve();
    });
  });
  const ended = new Promise<void>((resolve) => stream.on("end", resolve));
  await first;
  await serving.close();
  await ended;
  expect(seen).toEqual(["SERVING", "NOT_SERVING"]);
  client.close();
});

test("a closing server answers what a stream was sent and ends it", async () => {
  const serving = await startServing({ registry, port: 0 });
  const client = connect(serving.port);
  const method = methodDefinition(PredictService.method.predictStream);
  const stream = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
  );
  const answers: PredictStreamResponse[] = [];
  const first = new Promise<void>((resolve) => {
    stream.on("data", (answer: PredictStreamResponse) => {
      answers.push(answer);
      resolve();
    });
  });
  const ended = new Promise<ServiceError | undefined>((resolve) => {
    stream.on("end", () => resolve(undefined));
    stream.on("error", resolve as (error: Error) => void);
  });
  const value = {
    gameId: "g",
    homeTeam: "BOS",
    awayTeam: "NYK",
    homeScore: 1,
    awayScore: 0,
    period: 1,
    clockRemainingS: 1,
    possession: Side.NONE,
  };
  const request = { input: { case: "state" as const, value } };
  stream.write(create(PredictStreamRequestSchema, { id: 1n, request }));
  await first;
  await serving.close();
  expect(await ended).toBeUndefined();
  expect(answers.map(({ id }) => id)).toEqual([1n]);
  client.close();
});

test("a taken port is named together with its flag", async () => {
  const serving = await startServing({ registry, port: 0 });
  const second = startServing({ registry, port: serving.port });
  await expect(second).rejects.toThrow(ServingPortError);
  await expect(second).rejects.toThrow(new RegExp(`${serving.port}.*--port`, "u"));
  await serving.close();
});
