import { HISTOGRAM_STRIDE } from "./rows.ts";

/** What is known of a node that may be split. */
export interface OpenNode {
  readonly id: number;
  readonly gradient: number;
  readonly curvature: number;
  /** Bounds of its leaves by the monotone splits above it. */
  readonly low: number;
  readonly high: number;
  /** Place of its histogram. */
  readonly slot: number;
}

/** The best cut of a node; the left side holds bins up to `bin`. */
export interface Cut {
  readonly column: number;
  readonly bin: number;
  readonly gain: number;
  readonly leftGradient: number;
  readonly leftCurvature: number;
  readonly leftValue: number;
  readonly rightValue: number;
}

export interface CutRules {
  /** Penalty on squared leaf values. */
  readonly lambda: number;
  /** Least gain of a split. */
  readonly gamma: number;
  /** Least curvature of a side (rows x p x (1 - p)). */
  readonly curvatureMin: number;
  /** By column: 1 when a higher value may not lower the answer, -1 the other way, 0 free. */
  readonly monotone: Int8Array;
}

/** Gains below are rounding. */
const GAIN_MIN = 1e-9;

/** Leaf value that lowers the loss most, inside the node's bounds, before the learning rate. */
export function leafValue(
  node: OpenNode,
  gradient: number,
  curvature: number,
  lambda: number,
): number {
  return Math.min(node.high, Math.max(node.low, -gradient / (curvature + lambda)));
}

/**
 * The cut with the greatest gain in second-order log loss, or none.
 * @param histogram - of the node: gradient and curvature by column and bin.
 * @see Chen and Guestrin, "XGBoost", KDD 2016, equation 7; with monotone columns both sides take their bounded values.
 */
export function bestCut(
  node: OpenNode,
  histogram: Float64Array,
  columns: readonly number[],
  cutCounts: readonly number[],
  rules: CutRules,
): Cut | undefined {
  const { lambda, gamma, curvatureMin, monotone } = rules;
  const whole = loss(
    node.gradient,
    node.curvature,
    leafValue(node, node.gradient, node.curvature, lambda),
    lambda,
  );
  let best: Cut | undefined;
  let bestGain = gamma + GAIN_MIN;
  for (const column of columns) {
    const from = column * HISTOGRAM_STRIDE;
    const direction = monotone[column] as number;
    const cuts = cutCounts[column] as number;
    let gradient = 0;
    let curvature = 0;
    for (let bin = 0; bin < cuts; bin += 1) {
      gradient += histogram[from + 2 * bin] as number;
      curvature += histogram[from + 2 * bin + 1] as number;
      if (curvature < curvatureMin) continue;
      const rest = node.curvature - curvature;
      if (rest < curvatureMin) break;
      const right = node.gradient - gradient;
      const leftValue = leafValue(node, gradient, curvature, lambda);
      const rightValue = leafValue(node, right, rest, lambda);
      if (direction * (rightValue - leftValue) < 0) continue;
      const gain =
        whole -
        loss(gradient, curvature, leftValue, lambda) -
        loss(right, rest, rightValue, lambda);
      if (gain <= bestGain) continue;
      bestGain = gain;
      best = {
        column,
        bin,
        gain,
        leftGradient: gradient,
        leftCurvature: curvature,
        leftValue,
        rightValue,
      };
    }
  }
  return best;
}

/** Second-order loss of a leaf with a given value. */
function loss(gradient: number, curvature: number, value: number, lambda: number): number {
  return gradient * value + 0.5 * (curvature + lambda) * value * value;
}
