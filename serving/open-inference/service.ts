import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type UntypedServiceImplementation } from "@grpc/grpc-js";
import {
  ModelInferRequestSchema,
  ModelInferResponseSchema,
  ModelMetadataRequestSchema,
  ModelMetadataResponseSchema,
  ModelReadyRequestSchema,
  ModelReadyResponseSchema,
  ServerLiveRequestSchema,
  ServerLiveResponseSchema,
  ServerMetadataRequestSchema,
  ServerMetadataResponseSchema,
  ServerReadyRequestSchema,
  ServerReadyResponseSchema,
  type ModelInferRequest,
} from "../../proto/gen/inference/open_inference_pb.ts";
import { answered, decoded } from "../handlers/call.ts";
import { observedUnary, type ServiceTools } from "../handlers/service.ts";
import { InvalidInputError, valueText } from "../handlers/validate.ts";
import { type ModelRegistry } from "../model/registry.ts";
import { infer, modelNamed, type InputTensor } from "./infer.ts";
import { metadataOf, SERVER_NAME, SERVER_VERSION } from "./metadata.ts";

/** `inference.GRPCInferenceService` for grpc-js. */
export function openInferenceHandlers(
  registry: ModelRegistry,
  isReady: () => boolean,
  tools: ServiceTools,
): UntypedServiceImplementation {
  const unary = observedUnary(tools);
  return {
    serverLive: unary("ServerLive", (bytes) => {
      decoded(ServerLiveRequestSchema, bytes);
      return answered(ServerLiveResponseSchema, create(ServerLiveResponseSchema, { live: true }));
    }),
    serverReady: unary("ServerReady", (bytes) => {
      decoded(ServerReadyRequestSchema, bytes);
      const response = create(ServerReadyResponseSchema, { ready: isReady() });
      return answered(ServerReadyResponseSchema, response);
    }),
    modelReady: unary("ModelReady", async (bytes) => {
      const { name, version } = decoded(ModelReadyRequestSchema, bytes);
      await modelNamed(registry, name, version);
      const response = create(ModelReadyResponseSchema, { ready: isReady() });
      return answered(ModelReadyResponseSchema, response);
    }),
    serverMetadata: unary("ServerMetadata", (bytes) => {
      decoded(ServerMetadataRequestSchema, bytes);
      const about = { name: SERVER_NAME, version: SERVER_VERSION, extensions: [] };
      const response = create(ServerMetadataResponseSchema, about);
      return answered(ServerMetadataResponseSchema, response);
    }),
    modelMetadata: unary("ModelMetadata", async (bytes) => {
      const { name, version } = decoded(ModelMetadataRequestSchema, bytes);
      const { inputs, outputs, ...rest } = await metadataOf(registry, name, version);
      const response = create(ModelMetadataResponseSchema, {
        ...rest,
        inputs: inputs.map(tensorMetadata),
        outputs: outputs.map(tensorMetadata),
      });
      return answered(ModelMetadataResponseSchema, response);
    }),
    modelInfer: unary("ModelInfer", async (bytes, call) => {
      const request = decoded(ModelInferRequestSchema, bytes);
      const isRaw = request.rawInputContents.length > 0;
      const { modelName, modelVersion } = request;
      const outputNames = request.outputs.map(({ name }) => name);
      const input = inputOf(request);
      const answer = await infer(registry, { modelName, modelVersion, input, outputNames }, call);
      const response: MessageInitShape<typeof ModelInferResponseSchema> = {
        modelName,
        modelVersion: answer.card.version,
        id: request.id,
        outputs: answer.outputs.map(({ name, values }) => ({
          name,
          datatype: "FP32",
          shape: [BigInt(answer.rows), 1n],
          ...(!isRaw && { contents: { fp32Contents: [...values] } }),
        })),
        rawOutputContents: isRaw ? answer.outputs.map(({ values }) => littleEndian(values)) : [],
      };
      const { response: encoded } = await answered(
        ModelInferResponseSchema,
        create(ModelInferResponseSchema, response),
      );
      return { response: encoded, rows: answer.rows };
    }),
  };
}

function tensorMetadata({ shape, ...rest }: { name: string; datatype: string; shape: number[] }) {
  return { ...rest, shape: shape.map(BigInt) };
}

function inputOf({ inputs, rawInputContents }: ModelInferRequest): InputTensor {
  const [tensor] = inputs;
  if (tensor === undefined || inputs.length > 1) {
    const rule = "must be exactly one tensor";
    throw new InvalidInputError([{ field: "inputs.length", value: String(inputs.length), rule }]);
  }
  const { name, datatype, contents } = tensor;
  const shape = tensor.shape.map(Number);
  const about = { field: "inputs[0]", name, datatype, shape };
  const [raw] = rawInputContents;
  if (raw === undefined)
    return { ...about, values: Float32Array.from(contents?.fp32Contents ?? []) };
  if (rawInputContents.length > 1 || contents !== undefined) {
    const rule = "must be one entry for each input, and inputs then have no contents";
    const value = valueText(rawInputContents.length);
    throw new InvalidInputError([{ field: "raw_input_contents", value, rule }]);
  }
  if (raw.length % Float32Array.BYTES_PER_ELEMENT !== 0) {
    const rule = "must be float32 numbers of four bytes each";
    const value = `${raw.length} bytes`;
    throw new InvalidInputError([{ field: "raw_input_contents[0]", value, rule }]);
  }
  return { ...about, values: floatsOf(raw) };
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The protocol's numbers are little endian; a copy, because bytes in a message begin anywhere. */
function floatsOf(bytes: Uint8Array): Float32Array {
  if (IS_LITTLE_ENDIAN) return new Float32Array(new Uint8Array(bytes).buffer);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(i * 4, true));
}

function littleEndian(values: Float32Array): Uint8Array {
  if (IS_LITTLE_ENDIAN) return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const view = new DataView(new ArrayBuffer(values.byteLength));
  for (const [i, value] of values.entries()) view.setFloat32(i * 4, value, true);
  return new Uint8Array(view.buffer);
}
