import assert from "node:assert/strict";
import { CholeskyDecomposition, Matrix } from "ml-matrix";
import { CourtsideError } from "../base/errors.ts";
import { type LogisticModel } from "./onnx/graph.ts";

/** Inputs and outcomes of a fit; row `i` has its inputs at `i * columns`. */
export interface Design {
  readonly columns: number;
  readonly rows: number;
  readonly values: Float32Array;
  /** 1 or 0 by row. */
  readonly outcomes: Uint8Array;
  /** False for a model without a constant, so that inputs of the other sign give the other side's probability. */
  readonly intercept?: boolean;
}

/** The likelihood did not settle: two inputs say the same, or one input decides every outcome. */
export class FitError extends CourtsideError {
  override readonly code = "FIT_FAILED";
  override readonly retryable = false;
}

/** A logistic fit takes six to ten Newton steps; more means that it never ends. */
const MAX_STEPS = 50;
/** Standard deviation as a share of the mean that is rounding: float64 sums of a million rows are good to 1e-12. */
const CONSTANT_SD = 1e-9;
/** Largest change of a weight, in standard deviations of its input, at which the fit is done. */
const SETTLED = 1e-9;
/**
 * Penalty on squared weights (of standardised inputs) as a number of rows: it keeps twins apart and weighs
 * nothing against millions of rows.
 */
const RIDGE_ROWS = 1;

/**
 * Logistic regression by Newton's method (iteratively reweighted least squares) with a small ridge on all but
 * the bias. Inputs are standardised inside; the answer is in their own units.
 * @throws FitError
 */
export function fitLogistic(design: Design): LogisticModel {
  const { columns, rows } = design;
  assert(rows > 0, "a fit needs rows");
  const scale = standardisation(design);
  const withIntercept = design.intercept ?? true;
  let weights = new Float64Array(columns + 1);
  for (let step = 1; ; step += 1) {
    if (step > MAX_STEPS) {
      throw new FitError(`the fit did not settle in ${MAX_STEPS} steps; remove inputs that decide`);
    }
    const { gradient, hessian } = derivatives(design, scale, weights);
    for (let j = 0; j < columns; j += 1) {
      gradient[j] = at(gradient, j) + RIDGE_ROWS * at(weights, j);
      hessian.set(j, j, hessian.get(j, j) + RIDGE_ROWS);
    }
    if (!withIntercept) fixLast(gradient, hessian);
    if (!gradient.every(Number.isFinite)) throw new FitError("inputs must be finite numbers");
    const factor = new CholeskyDecomposition(hessian);
    if (!factor.isPositiveDefinite()) {
      throw new FitError("inputs repeat each other; remove one of each pair");
    }
    const change = factor.solve(Matrix.columnVector([...gradient])).getColumn(0);
    weights = weights.map((weight, j) => weight - at(change, j));
    if (change.every((delta) => Math.abs(delta) < SETTLED)) break;
  }
  return unscaled(weights, scale);
}

/** Takes the constant out of a step: its change is 0 whatever the others do. */
function fixLast(gradient: Float64Array, hessian: Matrix): void {
  const last = gradient.length - 1;
  gradient[last] = 0;
  for (let j = 0; j < last; j += 1) {
    hessian.set(last, j, 0);
    hessian.set(j, last, 0);
  }
  hessian.set(last, last, 1);
}

/** Probability of outcome 1 for the row of `values` that starts at `offset`. */
export function probability(model: LogisticModel, values: Float32Array, offset: number): number {
  const { weights } = model;
  let logit = model.bias;
  for (let j = 0; j < weights.length; j += 1) {
    logit += at(weights, j) * at(values, offset + j);
  }
  return sigmoid(logit);
}

/** By row. */
export function probabilities(
  model: LogisticModel,
  values: Float32Array,
  rows: number,
): Float64Array {
  const columns = model.weights.length;
  return Float64Array.from({ length: rows }, (_, i) => probability(model, values, i * columns));
}

export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}

interface Scale {
  readonly mean: Float64Array;
  readonly sd: Float64Array;
}

function standardisation({ columns, rows, values, intercept = true }: Design): Scale {
  const mean = new Float64Array(columns);
  const sd = new Float64Array(columns);
  // Without a constant nothing may be moved, only stretched.
  const centred = intercept ? rows : 0;
  for (let i = 0, k = 0; i < centred; i += 1) {
    for (let j = 0; j < columns; j += 1, k += 1) mean[j] = at(mean, j) + at(values, k) / rows;
  }
  for (let i = 0, k = 0; i < rows; i += 1) {
    for (let j = 0; j < columns; j += 1, k += 1) {
      sd[j] = at(sd, j) + (at(values, k) - at(mean, j)) ** 2 / rows;
    }
  }
  // An input that varies by no more than rounding is constant and gets the weight 0; 1 avoids a division by zero.
  const isConstant = (j: number): boolean =>
    !(Math.sqrt(at(sd, j)) > CONSTANT_SD * Math.abs(at(mean, j)));
  return { mean, sd: sd.map((variance, j) => (isConstant(j) ? 1 : Math.sqrt(variance))) };
}

/** Of the negative log-likelihood; the bias is the last weight. Only the lower triangle is summed up. */
function derivatives(
  { columns, rows, values, outcomes }: Design,
  { mean, sd }: Scale,
  weights: Float64Array,
): { readonly gradient: Float64Array; readonly hessian: Matrix } {
  const size = columns + 1;
  const gradient = new Float64Array(size);
  const sums = new Float64Array(size * size);
  const z = new Float64Array(size);
  z[columns] = 1;
  for (let i = 0, k = 0; i < rows; i += 1) {
    let logit = at(weights, columns);
    for (let j = 0; j < columns; j += 1, k += 1) {
      const standardised = (at(values, k) - at(mean, j)) / at(sd, j);
      z[j] = standardised;
      logit += at(weights, j) * standardised;
    }
    const p = sigmoid(logit);
    const residual = p - at(outcomes, i);
    const curvature = p * (1 - p);
    for (let a = 0; a < size; a += 1) {
      const za = at(z, a);
      gradient[a] = at(gradient, a) + residual * za;
      const weighted = curvature * za;
      for (let b = 0, c = a * size; b <= a; b += 1, c += 1) {
        sums[c] = at(sums, c) + weighted * at(z, b);
      }
    }
  }
  const hessian = Matrix.zeros(size, size);
  for (let a = 0; a < size; a += 1) {
    for (let b = 0; b <= a; b += 1) {
      hessian.set(a, b, at(sums, a * size + b));
      hessian.set(b, a, at(sums, a * size + b));
    }
  }
  return { gradient, hessian };
}

function unscaled(weights: Float64Array, { mean, sd }: Scale): LogisticModel {
  const columns = mean.length;
  const own = weights.subarray(0, columns).map((weight, j) => weight / at(sd, j));
  let bias = at(weights, columns);
  for (let j = 0; j < columns; j += 1) bias -= at(own, j) * at(mean, j);
  return { weights: own, bias };
}

/** An element that is there: loops above stay inside of their arrays. */
function at(array: ArrayLike<number>, i: number): number {
  return array[i] as number;
}
