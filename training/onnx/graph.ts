import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ModelProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "../../proto/gen/onnx/onnx_pb.ts";

/** A linear model on the logit: `p = 1 / (1 + exp(-(bias + weights · x)))`. */
export interface LogisticModel {
  readonly weights: Float64Array;
  readonly bias: number;
}

/** Name of the model's input: float32 `[N, features]`. */
export const INPUT_NAME = "x";
/** Name of the model's output: float32 `[N, 1]`, a probability. */
export const OUTPUT_NAME = "p";

// Values of TensorProto.DataType and AttributeProto.AttributeType in ONNX.
const FLOAT = 1;
const DOUBLE = 11;
const ATTRIBUTE_INT = 2;
/** Operator set 21 and format 10 are what ONNX 1.16 wrote; every ONNX Runtime since 1.18 reads them. */
const OPSET_VERSION = 21n;
const IR_VERSION = 10n;

/**
 * The ONNX file of a logistic model. Inputs are widened to float64 before anything is computed, so the weights
 * may have any scale and the answer differs from the trainer's only by the last rounding to float32 (6e-8).
 * @param metadata - put into `metadata_props`, sorted by key, so that equal models are equal files.
 */
export function logisticOnnx(
  model: LogisticModel,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const features = model.weights.length;
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: "courtside",
      opsetImport: [{ domain: "", version: OPSET_VERSION }],
      metadataProps: Object.entries(metadata)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => ({ key, value })),
      graph: {
        name: "logistic",
        node: [
          cast("to_double", INPUT_NAME, "x64", DOUBLE),
          { name: "weigh", opType: "MatMul", input: ["x64", "weights"], output: ["weighted"] },
          { name: "shift", opType: "Add", input: ["weighted", "bias"], output: ["logit"] },
          { name: "squash", opType: "Sigmoid", input: ["logit"], output: ["p64"] },
          cast("to_float", "p64", OUTPUT_NAME, FLOAT),
        ],
        initializer: [
          doubles("weights", [features, 1], model.weights),
          doubles("bias", [1], Float64Array.of(model.bias)),
        ],
        input: [rows(INPUT_NAME, features)],
        output: [rows(OUTPUT_NAME, 1)],
      },
    }),
  );
}

function cast(
  name: string,
  input: string,
  output: string,
  to: number,
): MessageInitShape<typeof NodeProtoSchema> {
  const attribute = [{ name: "to", type: ATTRIBUTE_INT, i: BigInt(to) }];
  return { name, opType: "Cast", input: [input], output: [output], attribute };
}

function doubles(
  name: string,
  dims: readonly number[],
  values: Float64Array,
): MessageInitShape<typeof TensorProtoSchema> {
  const rawData = new Uint8Array(values.length * Float64Array.BYTES_PER_ELEMENT);
  const view = new DataView(rawData.buffer);
  for (const [i, value] of values.entries()) {
    view.setFloat64(i * Float64Array.BYTES_PER_ELEMENT, value, true);
  }
  return { name, dims: dims.map(BigInt), dataType: DOUBLE, rawData };
}

/** A float32 value of any number of rows. */
function rows(name: string, columns: number): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = [
    { value: { case: "dimParam" as const, value: "N" } },
    { value: { case: "dimValue" as const, value: BigInt(columns) } },
  ];
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
}
