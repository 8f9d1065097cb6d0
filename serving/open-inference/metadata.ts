import { type ModelRegistry } from "../model/registry.ts";
import { DATATYPE, INPUT_NAME, modelNamed, PLATFORM } from "./infer.ts";

/** What the server calls itself to clients of the Open Inference Protocol. */
export const SERVER_NAME = "courtside";
export const SERVER_VERSION = "1";

/** What the protocol tells of a model; `-1` in a shape is any length. */
export interface ModelMetadata {
  readonly name: string;
  readonly versions: string[];
  readonly platform: string;
  readonly inputs: { name: string; datatype: string; shape: number[] }[];
  readonly outputs: { name: string; datatype: string; shape: number[] }[];
  readonly properties: Record<string, string>;
}

/** @throws UnknownModelError and what loading the model throws */
export async function metadataOf(
  registry: ModelRegistry,
  name: string,
  version: string,
): Promise<ModelMetadata> {
  const { card, onnx } = await modelNamed(registry, name, version);
  const versions = registry.list().filter((each) => each.name === card.name);
  const { p, ...optional } = await onnx.run(new Float32Array(onnx.features), 1);
  const outputs = Object.keys({ p, ...optional });
  return {
    name,
    versions: versions.map((each) => each.version),
    platform: PLATFORM,
    inputs: [{ name: INPUT_NAME, datatype: DATATYPE, shape: [-1, onnx.features] }],
    outputs: outputs.map((output) => ({ name: output, datatype: DATATYPE, shape: [-1, 1] })),
    properties: {
      version: card.version,
      schema_hash: card.schemaHash,
      features: card.features.map((feature) => feature.name).join(","),
    },
  };
}
