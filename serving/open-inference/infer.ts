import { expiryOf, type CallState } from "../model/batcher.ts";
import { type ModelCard } from "../model/card.ts";
import { OUTPUT_NAMES } from "../model/onnx.ts";
import { UnknownModelError, type LoadedModel, type ModelRegistry } from "../model/registry.ts";
import { InvalidInputError, valueText } from "../handlers/validate.ts";

/** The Open Inference Protocol, version 2, free of gRPC and JSON: one tensor of features in, columns out. */
export interface InferRequest {
  readonly modelName: string;
  /** Empty for the champion, or for what the name stands for. */
  readonly modelVersion: string;
  readonly input: InputTensor;
  /** Outputs that are wanted; empty for all. */
  readonly outputNames: readonly string[];
}

export interface InputTensor {
  /** How messages call it, for example `inputs[0]`. */
  readonly field: string;
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  /** Row after row. */
  readonly values: Float32Array;
}

export interface InferAnswer {
  readonly card: ModelCard;
  readonly rows: number;
  readonly outputs: readonly { readonly name: OutputName; readonly values: Float32Array }[];
}

type OutputName = (typeof OUTPUT_NAMES)[number];

/** What the protocol calls a file of ONNX. */
export const PLATFORM = "onnx_onnxv1";
export const INPUT_NAME = "x";
export const DATATYPE = "FP32";
/** Rows of one call: as much as a message of 4 MB holds of today's features. */
const MAX_ROWS = 38_836;

/**
 * @throws InvalidInputError, UnknownModelError, OverloadedError, CallExpiredError
 */
export async function infer(
  registry: ModelRegistry,
  request: InferRequest,
  call: CallState,
): Promise<InferAnswer> {
  const expired = expiryOf(call, Date.now());
  if (expired !== undefined) throw expired;
  const model = await modelNamed(registry, request.modelName, request.modelVersion);
  const rows = checkInput(request.input, model);
  return registry.use(model, async () => {
    const outputs = await model.batcher.scoreMany(request.input.values, rows, call);
    const given = OUTPUT_NAMES.flatMap((name) => {
      const values = outputs[name];
      return values === undefined ? [] : [{ name, values }];
    });
    const wanted =
      request.outputNames.length === 0
        ? given
        : request.outputNames.map((name, i) => {
            const output = given.find((each) => each.name === name);
            if (output !== undefined) return output;
            const rule = `must be one of ${given.map((each) => each.name).join(", ")}`;
            throw new InvalidInputError([
              { field: `outputs[${i}].name`, value: valueText(name), rule },
            ]);
          });
    return { card: model.card, rows, outputs: wanted };
  });
}

/**
 * A model by the protocol's two names: a name or an alias, and a version of it or an alias again.
 * @throws UnknownModelError
 */
export async function modelNamed(
  registry: ModelRegistry,
  name: string,
  version: string,
): Promise<LoadedModel> {
  return registry.get(cardNamed(registry, name, version).version);
}

/** As `modelNamed`, without loading it. */
export function cardNamed(registry: ModelRegistry, name: string, version: string): ModelCard {
  const aliased = registry.alias(name)?.card;
  if (version === "") {
    if (aliased !== undefined) return aliased;
    const champion = registry.card("");
    if (champion.name === name) return champion;
    const other = registry.list().find((card) => card.name === name);
    if (other !== undefined) return other;
  } else {
    const card = registry.card(version);
    if (card.name === name || card.version === aliased?.version) return card;
  }
  const names = [...new Set(registry.list().map((card) => card.name))].join(", ");
  throw new UnknownModelError(
    `model ${valueText(name)}${version === "" ? "" : `, version ${valueText(version)},`} is not known; known models: ${names}`,
  );
}

function checkInput(
  { field, name, datatype, shape, values }: InputTensor,
  { onnx, card }: LoadedModel,
): number {
  const refuse = (part: string, value: unknown, rule: string): never => {
    throw new InvalidInputError([{ field: `${field}.${part}`, value: valueText(value), rule }]);
  };
  if (name !== INPUT_NAME) refuse("name", name, `must be ${INPUT_NAME}, the model's only input`);
  if (datatype !== DATATYPE) refuse("datatype", datatype, `must be ${DATATYPE}`);
  const [rows = 0, columns = 0] = shape;
  const fits = shape.length === 2 && Number.isInteger(rows) && rows >= 1 && rows <= MAX_ROWS;
  if (!fits || columns !== onnx.features) {
    refuse("shape", shape, `must be [rows, ${onnx.features}], rows 1 to ${MAX_ROWS}`);
  }
  if (values.length !== rows * columns) {
    refuse("data.length", values.length, `must be ${rows * columns}, as its shape says`);
  }
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    const feature = card.features[bad % columns]?.name ?? "";
    refuse(
      `data[${bad}]`,
      values[bad],
      `must be a finite float32 (row ${Math.floor(bad / columns)}, ${feature})`,
    );
  }
  return rows;
}
