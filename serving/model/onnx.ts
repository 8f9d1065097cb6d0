import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { CourtsideError, errorText } from "../../base/errors.ts";
import { ModelProtoSchema } from "../../proto/gen/onnx/onnx_pb.ts";

/** The bytes are no ONNX model that takes float32 `x` of `[N, features]` and gives float32 `p` of `[N, 1]`. */
export class BadOnnxError extends CourtsideError {
  override readonly code = "BAD_ONNX";
  override readonly retryable = false;
}

/** What a model says of rows, one number a row in each. */
export interface ModelOutputs {
  /** Probability that the home team wins. */
  readonly p: Float32Array;
  /** Bounds of the interval around it. */
  readonly low?: Float32Array;
  readonly high?: Float32Array;
  /** Probability of a scoring run of either side. */
  readonly home_run?: Float32Array;
  readonly away_run?: Float32Array;
}

/** Outputs in the file, by name; all but `p` are optional. */
export const OUTPUT_NAMES = ["p", "low", "high", "home_run", "away_run"] as const;

/** An ONNX model that can be asked. */
export interface OnnxModel {
  /** Number of inputs a row. */
  readonly features: number;
  /** The file's `metadata_props`. */
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * All that the model says, in the order of the rows.
   * @param values - row after row, `rows * features` numbers; they may be gone afterwards.
   * @param rows - any number; at most {@link MAX_ROWS_PER_RUN} go through the model at once.
   */
  run(values: Float32Array, rows: number): Promise<ModelOutputs>;
  /** The probabilities alone. */
  score(values: Float32Array, rows: number): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Rows of one call into ONNX Runtime, which holds the event loop for as long as it computes: a logistic
 * model needs about 0.1 µs a row, so 4,096 rows are under 1 ms.
 */
export const MAX_ROWS_PER_RUN = 4_096;

const INPUT_NAME = "x";

/**
 * Loads a model and runs it once, so that the first request does not pay for it.
 * @param threads - of one run; more than one helps trees from 64 rows on, and costs a logistic model time.
 * @throws BadOnnxError when the bytes are no such model.
 */
export async function loadOnnx(bytes: Uint8Array, threads = 1): Promise<OnnxModel> {
  const description = readOnnx(bytes);
  // Loaded on demand: the runtime's shared library costs 30 MB, and most commands have no use for it.
  const { InferenceSession, Tensor } = await import("onnxruntime-node");
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
  }).catch((error: unknown) => {
    throw new BadOnnxError(`ONNX Runtime refuses the model: ${errorText(error)}`, { cause: error });
  });
  const { features, metadata } = description;
  const names = OUTPUT_NAMES.filter((name) => session.outputNames.includes(name));
  if (!names.includes("p")) throw new BadOnnxError('the model must give an output "p"');

  const runOnce = async (values: Float32Array, rows: number): Promise<ModelOutputs> => {
    const input = new Tensor("float32", values, [rows, features]);
    const outputs = await session.run({ [INPUT_NAME]: input }, names);
    const read: Partial<Record<(typeof OUTPUT_NAMES)[number], Float32Array>> = {};
    for (const name of names) {
      const data = outputs[name]?.data;
      if (!(data instanceof Float32Array) || data.length !== rows) {
        throw new BadOnnxError(`the model must give float32 "${name}" of one number a row`);
      }
      read[name] = data;
    }
    const { p = new Float32Array(rows) } = read;
    return { ...read, p };
  };
  await runOnce(new Float32Array(features), 1);

  const run = async (values: Float32Array, rows: number): Promise<ModelOutputs> => {
    assert(values.length === rows * features, "values must hold rows * features numbers");
    if (rows === 0) return { p: new Float32Array(0) };
    if (rows <= MAX_ROWS_PER_RUN) return runOnce(values, rows);
    const parts: ModelOutputs[] = [];
    for (let from = 0; from < rows; from += MAX_ROWS_PER_RUN) {
      const to = Math.min(rows, from + MAX_ROWS_PER_RUN);
      parts.push(await runOnce(values.subarray(from * features, to * features), to - from));
    }
    return joined(parts, rows);
  };
  return {
    features,
    metadata,
    run,
    score: async (values, rows) => (await run(values, rows)).p,
    close: () => session.release(),
  };
}

/** One after the other; all parts have the same outputs. */
export function joined(parts: readonly ModelOutputs[], rows: number): ModelOutputs {
  const whole: Partial<Record<(typeof OUTPUT_NAMES)[number], Float32Array>> = {};
  for (const name of OUTPUT_NAMES) {
    if (parts[0]?.[name] === undefined) continue;
    const column = new Float32Array(rows);
    let at = 0;
    for (const part of parts) {
      column.set(part[name] ?? [], at);
      at += part.p.length;
    }
    whole[name] = column;
  }
  return { ...whole, p: whole.p ?? new Float32Array(0) };
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
