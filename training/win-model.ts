import { calibrate, type Calibration, NO_CALIBRATION } from "./calibrate.ts";
import { sigmoid } from "./fit.ts";
import { type LogisticModel } from "./onnx/graph.ts";
import { type TreeModel } from "./trees/model.ts";

/** Everything that one model file computes from a vector. */
export interface WinModel {
  /** Logit of a home win, over the whole schema. */
  readonly win: LogisticModel;
  /** Trees whose sum is added to that logit. */
  readonly trees?: TreeModel;
  readonly calibration: Calibration;
  /** Half the width of the interval on the calibrated logit, over the whole schema. */
  readonly halfWidth?: LogisticModel;
  /** Logits of a scoring run of either side. */
  readonly homeRun?: LogisticModel;
  readonly awayRun?: LogisticModel;
}

/** Outputs of a model file by name, a number a row. */
export type Outputs = Readonly<Record<string, ArrayLike<number>>>;

/** A plain logistic as a whole model. */
export function plain(win: LogisticModel): WinModel {
  return { win, calibration: NO_CALIBRATION };
}

/** A correction by a slope is the same as other weights; what is left of the model is a plain sum again. */
export function folded(model: WinModel): WinModel {
  const { calibration, win, trees } = model;
  if (calibration.kind !== "platt" || trees !== undefined) return model;
  const { slope } = calibration;
  const scaled = { bias: win.bias * slope, weights: win.weights.map((weight) => weight * slope) };
  return { ...model, win: scaled, calibration: NO_CALIBRATION };
}

/** Logit of a linear model for the row that starts at `offset`. */
export function logit(
  { weights, bias }: LogisticModel,
  values: Float32Array,
  offset: number,
): number {
  let z = bias;
  for (let j = 0; j < weights.length; j += 1) {
    z += (weights[j] as number) * (values[offset + j] as number);
  }
  return z;
}

/** Logit of a home win before calibration, trees included. */
export function rawLogit(model: WinModel, values: Float32Array, offset: number): number {
  const z = logit(model.win, values, offset);
  return model.trees === undefined ? z : z + model.trees.margin(values, offset);
}

/** Calibrated logits of all rows. */
export function logits(model: WinModel, values: Float32Array, rows: number): Float64Array {
  const features = model.win.weights.length;
  return Float64Array.from({ length: rows }, (_, i) =>
    calibrate(model.calibration, rawLogit(model, values, i * features)),
  );
}

/** What the file must compute, in float64. */
export function outputsOf(model: WinModel, values: Float32Array, rows: number): Outputs {
  const features = model.win.weights.length;
  const z = logits(model, values, rows);
  const outputs: Record<string, ArrayLike<number>> = { p: z.map(sigmoid) };
  const { halfWidth, homeRun, awayRun } = model;
  if (halfWidth !== undefined) {
    const half = z.map((_, i) => logit(halfWidth, values, i * features));
    outputs["low"] = z.map((value, i) => sigmoid(value - (half[i] as number)));
    outputs["high"] = z.map((value, i) => sigmoid(value + (half[i] as number)));
  }
  const runs = { home_run: homeRun, away_run: awayRun };
  for (const [name, run] of Object.entries(runs)) {
    if (run === undefined) continue;
    outputs[name] = z.map((_, i) => sigmoid(logit(run, values, i * features)));
  }
  return outputs;
}
