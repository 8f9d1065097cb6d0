import { type FastifyInstance, type FastifyRequest } from "fastify";
import { InvalidInputError, valueText } from "../handlers/validate.ts";
import { type ModelRegistry } from "../model/registry.ts";
import { infer, modelNamed, type InputTensor } from "../open-inference/infer.ts";
import { metadataOf, SERVER_NAME, SERVER_VERSION } from "../open-inference/metadata.ts";
import { HttpRequestError, toHttpError } from "./errors.ts";

/** Time for an answer. */
const CALL_DEADLINE_MS = 5_000;
/** Rows of 27 features as JSON take 0.3 KB each; 4 MB are parsed in 40 ms, so that REST gets a quarter of it. */
const MAX_INFER_BYTES = 1024 * 1024;

interface ModelParams {
  readonly name: string;
  readonly version?: string;
}

/** The REST form of the Open Inference Protocol, version 2; errors are `{"error": "text"}` as it wants. */
export function addOpenInferenceRoutes(
  app: FastifyInstance,
  registry: ModelRegistry,
  isReady: () => boolean,
): void {
  void app.register(
    (v2, _options, done) => {
      v2.setErrorHandler((error, request, reply) => {
        const { bodyLimit } = request.routeOptions;
        const { httpStatus, message, retryAfterMs } = toHttpError(error, bodyLimit);
        if (retryAfterMs !== undefined) {
          void reply.header("retry-after", String(Math.ceil(retryAfterMs / 1_000)));
        }
        void reply.code(httpStatus).send({ error: message });
      });
      v2.get("/", () => ({ name: SERVER_NAME, version: SERVER_VERSION, extensions: [] }));
      v2.get("/health/live", () => ({ live: true }));
      v2.get("/health/ready", (_request, reply) =>
        reply.code(isReady() ? 200 : 503).send({ ready: isReady() }),
      );
      for (const path of ["/models/:name", "/models/:name/versions/:version"]) {
        v2.get<{ Params: ModelParams }>(path, async ({ params }) => {
          const { properties: _, ...metadata } = await metadataOf(
            registry,
            params.name,
            params.version ?? "",
          );
          return metadata;
        });
        v2.get<{ Params: ModelParams }>(`${path}/ready`, async ({ params }, reply) => {
          const { name, version = "" } = params;
          await modelNamed(registry, name, version);
          return reply.code(isReady() ? 200 : 503).send({ name, ready: isReady() });
        });
        v2.post<{ Params: ModelParams }>(
          `${path}/infer`,
          { bodyLimit: MAX_INFER_BYTES },
          async (request) => inferBody(registry, request.params, request),
        );
      }
      done();
    },
    { prefix: "/v2" },
  );
}

async function inferBody(
  registry: ModelRegistry,
  { name, version = "" }: ModelParams,
  { body, raw }: Pick<FastifyRequest, "body" | "raw">,
): Promise<unknown> {
  if (!isObject(body)) {
    throw new HttpRequestError(400, "INVALID_ARGUMENT", "body must be a JSON object with inputs");
  }
  const { id, outputs } = body;
  if (id !== undefined && typeof id !== "string") refuse("id", id, "must be a string");
  const input = inputOf(body["inputs"]);
  const outputNames = outputNamesOf(outputs);
  const call = {
    deadlineMs: Date.now() + CALL_DEADLINE_MS,
    get cancelled() {
      return raw.socket.destroyed;
    },
  };
  const request = { modelName: name, modelVersion: version, input, outputNames };
  const answer = await infer(registry, request, call);
  return {
    model_name: name,
    model_version: answer.card.version,
    ...(id !== undefined && { id }),
    outputs: answer.outputs.map((output) => ({
      name: output.name,
      datatype: "FP32",
      shape: [answer.rows, 1],
      data: [...output.values],
    })),
  };
}

function inputOf(inputs: unknown): InputTensor {
  if (!Array.isArray(inputs)) return refuse("inputs", inputs, "must be an array of one tensor");
  const [tensor]: readonly unknown[] = inputs;
  if (inputs.length !== 1) {
    return refuse("inputs.length", inputs.length, "must be 1: exactly one tensor");
  }
  if (!isObject(tensor)) return refuse("inputs[0]", tensor, "must be a tensor");
  const { name, datatype, shape, data } = tensor;
  if (typeof name !== "string") return refuse("inputs[0].name", name, "must be a string");
  if (typeof datatype !== "string") return refuse("inputs[0].datatype", datatype, "must be FP32");
  if (!isNumbers(shape)) return refuse("inputs[0].shape", shape, "must be an array of numbers");
  if (!Array.isArray(data)) return refuse("inputs[0].data", data, "must be an array of numbers");
  // Flat or a row each: the protocol allows both.
  const flat: unknown[] = data.flat(2);
  const bad = flat.findIndex((value) => typeof value !== "number");
  if (bad >= 0) refuse(`inputs[0].data[${bad}]`, flat[bad], "must be a number");
  const values = Float32Array.from(flat as number[]);
  return { field: "inputs[0]", name, datatype, shape, values };
}

function outputNamesOf(outputs: unknown): string[] {
  if (outputs === undefined) return [];
  if (!Array.isArray(outputs)) return refuse("outputs", outputs, "must be an array");
  return outputs.map((output: unknown, i) => {
    const name = isObject(output) ? output["name"] : undefined;
    if (typeof name === "string") return name;
    return refuse(`outputs[${i}].name`, name, "must be a string");
  });
}

function refuse(field: string, value: unknown, rule: string): never {
  throw new InvalidInputError([{ field, value: valueText(value), rule }]);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}
