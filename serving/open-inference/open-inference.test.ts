import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { Client, credentials, status, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FEATURES } from "../../features/mod.ts";
import {
  GRPCInferenceService,
  ModelInferRequestSchema,
  ModelMetadataRequestSchema,
  ModelReadyRequestSchema,
  ServerMetadataRequestSchema,
  ServerReadyRequestSchema,
  type ModelInferResponse,
} from "../../proto/gen/inference/open_inference_pb.ts";
import { startTestServing, type TestServing } from "../../tests/support/serving.ts";
import { methodDefinition } from "../grpc.ts";

/** Requests as the specification of the protocol writes them: github.com/kserve/open-inference-protocol. */

const MODEL = "win-probability";
const COLUMNS = FEATURES.length;
const ROWS = 3;
/** Three rows that differ. */
const VALUES = Array.from({ length: ROWS * COLUMNS }, (_, i) => Math.fround((i % 11) / 10));

let server: TestServing;
let client: Client;

beforeAll(async () => {
  server = await startTestServing();
  client = new Client(`127.0.0.1:${server.serving.port}`, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await server.close();
});

type Methods = typeof GRPCInferenceService.method;

function call<M extends Methods[keyof Methods]>(
  method: M,
  request: MessageShape<M["input"]>,
): Promise<MessageShape<M["output"]>> {
  const definition = methodDefinition<DescMessage, DescMessage>(method);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      definition.path,
      definition.requestSerialize,
      definition.responseDeserialize,
      request,
      (error, answer) => {
        if (error !== null || answer === undefined) return reject(error);
        return resolve(answer as MessageShape<M["output"]>);
      },
    );
  });
}

const tensor = { name: "x", datatype: "FP32", shape: [BigInt(ROWS), BigInt(COLUMNS)] };
const rawBytes = (values: readonly number[]): Uint8Array => {
  const bytes = new DataView(new ArrayBuffer(values.length * 4));
  for (const [i, value] of values.entries()) bytes.setFloat32(i * 4, value, true);
  return new Uint8Array(bytes.buffer);
};

async function expected(): Promise<number[]> {
  const { onnx } = server.registry.champion;
  return [...(await onnx.score(Float32Array.from(VALUES), ROWS))];
}

async function rest(path: string, body?: unknown) {
  const response = await fetch(`${server.base}/v2${path}`, {
    ...(body !== undefined && {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test("server and model tell of themselves over gRPC", async () => {
  const methods = GRPCInferenceService.method;
  expect(await call(methods.serverReady, create(ServerReadyRequestSchema))).toMatchObject({
    ready: true,
  });
  const about = await call(methods.serverMetadata, create(ServerMetadataRequestSchema));
  expect(about).toMatchObject({ name: "courtside", extensions: [] });
  const named = { name: MODEL };
  expect(await call(methods.modelReady, create(ModelReadyRequestSchema, named))).toMatchObject({
    ready: true,
  });
  const model = await call(methods.modelMetadata, create(ModelMetadataRequestSchema, named));
  expect(model).toMatchObject({
    name: MODEL,
    versions: [server.registry.champion.card.version],
    platform: "onnx_onnxv1",
    inputs: [{ name: "x", datatype: "FP32", shape: [-1n, BigInt(COLUMNS)] }],
    outputs: [{ name: "p", datatype: "FP32", shape: [-1n, 1n] }],
  });
});

test("tensors are inferred over gRPC, typed and raw, and answered in the way they came", async () => {
  const { modelInfer } = GRPCInferenceService.method;
  const typed = await call(
    modelInfer,
    create(ModelInferRequestSchema, {
      modelName: MODEL,
      id: "typed",
      inputs: [{ ...tensor, contents: { fp32Contents: VALUES } }],
      outputs: [{ name: "p" }],
    }),
  );
  expect(typed).toMatchObject({ id: "typed", modelName: MODEL });
  expect(typed.outputs[0]).toMatchObject({ name: "p", datatype: "FP32", shape: [3n, 1n] });
  expect(typed.outputs[0]?.contents?.fp32Contents).toEqual(await expected());
  expect(typed.rawOutputContents).toEqual([]);

  const raw: ModelInferResponse = await call(
    modelInfer,
    create(ModelInferRequestSchema, {
      modelName: "champion",
      inputs: [tensor],
      rawInputContents: [rawBytes(VALUES)],
    }),
  );
  expect(raw.outputs[0]?.contents).toBeUndefined();
  expect(Buffer.from(raw.rawOutputContents[0] ?? [])).toEqual(
    Buffer.from(rawBytes(await expected())),
  );
});

test.each([
  [{ modelName: "nope", inputs: [tensor] }, status.NOT_FOUND, /model "nope" is not known/u],
  [{ modelName: MODEL, inputs: [] }, status.INVALID_ARGUMENT, /inputs\.length must be/u],
  [
    { modelName: MODEL, inputs: [{ ...tensor, name: "y" }] },
    status.INVALID_ARGUMENT,
    /inputs\[0\]\.name must be x.*got "y"/u,
  ],
  [
    { modelName: MODEL, inputs: [{ ...tensor, datatype: "INT64" }] },
    status.INVALID_ARGUMENT,
    /inputs\[0\]\.datatype must be FP32; got "INT64"/u,
  ],
  [
    { modelName: MODEL, inputs: [{ ...tensor, shape: [3n, 4n] }] },
    status.INVALID_ARGUMENT,
    /inputs\[0\]\.shape must be/u,
  ],
  [
    { modelName: MODEL, inputs: [tensor], rawInputContents: [new Uint8Array(7)] },
    status.INVALID_ARGUMENT,
    /raw_input_contents\[0\] must be float32.*got 7 bytes/u,
  ],
  [
    { modelName: MODEL, inputs: [tensor], rawInputContents: [new Uint8Array(8)] },
    status.INVALID_ARGUMENT,
    /inputs\[0\]\.data\.length must be \d+.*got 2/u,
  ],
  [
    {
      modelName: MODEL,
      inputs: [tensor],
      rawInputContents: [rawBytes(VALUES.map((_, i) => (i === COLUMNS ? Number.NaN : 0)))],
    },
    status.INVALID_ARGUMENT,
    /must be a finite float32 \(row 1, margin\); got NaN/u,
  ],
])("a wrong request is refused by field, value and rule: %#", async (init, code, text) => {
  const request = create(ModelInferRequestSchema, init);
  const error = (await call(GRPCInferenceService.method.modelInfer, request).catch(
    (reason: unknown) => reason,
  )) as ServiceError;
  expect(error.code).toBe(code);
  expect(error.details).toMatch(text);
});

test("the REST form tells of server and model", async () => {
  expect(await rest("/health/live")).toEqual({ status: 200, body: { live: true } });
  expect(await rest("/health/ready")).toEqual({ status: 200, body: { ready: true } });
  expect((await rest("")).body).toEqual({ name: "courtside", version: "1", extensions: [] });
  const { version } = server.registry.champion.card;
  for (const path of [`/models/${MODEL}`, `/models/${MODEL}/versions/${version}`]) {
    const { body } = await rest(path);
    expect(body).toMatchObject({ name: MODEL, versions: [version], platform: "onnx_onnxv1" });
    expect(await rest(`${path}/ready`)).toMatchObject({ status: 200, body: { ready: true } });
  }
  const unknown = await rest("/models/nope/ready");
  expect(unknown).toMatchObject({ status: 404, body: { error: expect.stringContaining("nope") } });
});

test("the REST form infers, flat or a row each", async () => {
  const x = { name: "x", shape: [ROWS, COLUMNS], datatype: "FP32" };
  const rows = Array.from({ length: ROWS }, (_, i) => VALUES.slice(i * COLUMNS, (i + 1) * COLUMNS));
  for (const data of [VALUES, rows]) {
    const { status: code, body } = await rest(`/models/${MODEL}/infer`, {
      id: "42",
      inputs: [{ ...x, data }],
      outputs: [{ name: "p" }],
    });
    expect(code).toBe(200);
    expect(body).toMatchObject({
      model_name: MODEL,
      id: "42",
      outputs: [{ name: "p", shape: [ROWS, 1], datatype: "FP32", data: await expected() }],
    });
  }
  const wrong = await rest(`/models/${MODEL}/infer`, { inputs: [{ ...x, data: ["a"] }] });
  expect(wrong.status).toBe(400);
  expect(wrong.body["error"]).toMatch(/inputs\[0\]\.data\[0\] must be a number; got "a"/u);
});
