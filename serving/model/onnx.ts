import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { CourtsideError, errorText } from "../../base/errors.ts";
import { ModelProtoSchema } from "../../proto/gen/onnx/onnx_pb.ts";

/** The bytes are no ONNX model that takes float32 `x` of `[N, features]` and gives float32 `p` of `[N, 1]`. */
export class BadOnnxError extends CourtsideError {
  override readonly code = "BAD_ONNX";
  override readonly retryable = false;
}

/** An ONNX model in this process. */
export interface OnnxModel {
  /** Number of inputs a row. */
  readonly features: number;
  /** The file's `metadata_props`. */
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * One probability a row, in the order of the rows.
   * @param values - row after row, `rows * features` numbers.
   * @param rows - any number; at most {@link MAX_ROWS_PER_RUN} go through the model at once.
   */
  score(values: Float32Array, rows: number): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Rows of one call into ONNX Runtime, which holds the event loop for as long as it computes: a logistic
 * model needs about 0.1 µs a row, so 4,096 rows are under 1 ms.
 */
export const MAX_ROWS_PER_RUN = 4_096;

const INPUT_NAME = "x";
const OUTPUT_NAME = "p";

/**
 * Loads a model and runs it once, so that the first request does not pay for it.
 * @throws BadOnnxError when the bytes are no such model.
 */
export async function loadOnnx(bytes: Uint8Array): Promise<OnnxModel> {
  const description = readOnnx(bytes);
  // Loaded on demand: the runtime's shared library costs 30 MB, and most commands have no use for it.
  const { InferenceSession, Tensor } = await import("onnxruntime-node");
  const session = await InferenceSession.create(bytes, {
    // One thread: a row is a few multiplications, and the cores have other work.
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: "sequential",
  }).catch((error: unknown) => {
    throw new BadOnnxError(`ONNX Runtime refuses the model: ${errorText(error)}`, { cause: error });
  });
  const { features, metadata } = description;

  const run = async (values: Float32Array, rows: number): Promise<Float32Array> => {
    const input = new Tensor("float32", values, [rows, features]);
    const output = (await session.run({ [INPUT_NAME]: input }))[OUTPUT_NAME];
    const data = output?.data;
    if (!(data instanceof Float32Array) || data.length !== rows) {
      throw new BadOnnxError(`the model must give float32 "${OUTPUT_NAME}" of one number a row`);
    }
    return data;
  };
  await run(new Float32Array(features), 1);

  return {
    features,
    metadata,
    async score(values, rows) {
      assert(values.length === rows * features, "values must hold rows * features numbers");
      if (rows === 0) return new Float32Array(0);
      if (rows <= MAX_ROWS_PER_RUN) return run(values, rows);
      const scores = new Float32Array(rows);
      for (let from = 0; from < rows; from += MAX_ROWS_PER_RUN) {
        const to = Math.min(rows, from + MAX_ROWS_PER_RUN);
        scores.set(await run(values.subarray(from * features, to * features), to - from), from);
      }
      return scores;
    },
    close: () => session.release(),
  };
}

/**
 * What the file says of itself; ONNX Runtime's session does not show its metadata.
 * @throws BadOnnxError when the bytes are no model with a two-dimensional input `x`.
 */
export function readOnnx(bytes: Uint8Array): Pick<OnnxModel, "features" | "metadata"> {
  let model;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    throw new BadOnnxError(`not an ONNX file: ${errorText(error)}`, { cause: error });
  }
  const input = model.graph?.input.find((value) => value.name === INPUT_NAME);
  const columns = input?.type?.tensorType?.shape?.dim[1]?.value;
  if (columns?.case !== "dimValue" || columns.value < 1n) {
    throw new BadOnnxError(
      `the model must take "${INPUT_NAME}" of [rows, features] with a known number of features`,
    );
  }
  return {
    features: Number(columns.value),
    metadata: new Map(model.metadataProps.map(({ key, value }) => [key, value])),
  };
}
