import { fitLogistic, sigmoid } from "./fit.ts";

/**
 * A correction of the logit z that never turns its order:
 * - `none`: z;
 * - `platt`: slope x z (Platt 1999, without a shift, so that the sides stay alike);
 * - `beta`: -a softplus(-z) + b softplus(z) (Kull, Silva Filho and Flach 2017, without a shift);
 * - `isotonic`: straight lines between knots, slope 1 outside (pool-adjacent-violators on fine bins).
 */
export type Calibration =
  | { readonly kind: "none" }
  | { readonly kind: "platt"; readonly slope: number }
  | { readonly kind: "beta"; readonly a: number; readonly b: number }
  | { readonly kind: "isotonic"; readonly knots: readonly Knot[] };

/** A logit and what it becomes. */
export interface Knot {
  readonly from: number;
  readonly to: number;
}

export const NO_CALIBRATION: Calibration = { kind: "none" };

/** Logits beyond are left as they are: decided games, and too few rows to learn from. */
const LOGIT_MAX = 5;
/** Bins of equal width over the logits that an isotonic fit starts from. */
const ISOTONIC_BINS = 40;
/** Knots closer than this would make the curve steeper than float32 can follow. */
const KNOT_GAP_MIN = 1e-3;

/** The four corrections fitted on logits of rows that their model never saw. */
export function fitCalibrations(logits: Float64Array, outcomes: Uint8Array): Calibration[] {
  const rows = logits.length;
  const beta = new Float32Array(rows * 2);
  for (const [i, z] of logits.entries()) {
    beta[2 * i] = -softplus(-z);
    beta[2 * i + 1] = softplus(z);
  }
  const platt = fitLogistic({
    columns: 1,
    rows,
    values: Float32Array.from(logits),
    outcomes,
    intercept: false,
  });
  const both = fitLogistic({ columns: 2, rows, values: beta, outcomes, intercept: false });
  const [a = 1, b = 1] = both.weights;
  const fitted: Calibration[] = [NO_CALIBRATION, { kind: "platt", slope: platt.weights[0] ?? 1 }];
  // Outside of these the curve would turn the order of two logits.
  if (a > 0 && b > 0) fitted.push({ kind: "beta", a, b });
  return [...fitted, { kind: "isotonic", knots: isotonic(logits, outcomes) }];
}

/** The corrected logit. */
export function calibrate(calibration: Calibration, z: number): number {
  switch (calibration.kind) {
    case "none":
      return z;
    case "platt":
      return calibration.slope * z;
    case "beta":
      return -calibration.a * softplus(-z) + calibration.b * softplus(z);
    case "isotonic":
      return along(calibration.knots, z);
    default:
      return calibration satisfies never;
  }
}

/** The correction under which unseen rows have the least log loss; of equals the simplest. */
export function bestCalibration(
  candidates: readonly Calibration[],
  logits: Float64Array,
  outcomes: Uint8Array,
): { readonly chosen: Calibration; readonly logLoss: ReadonlyMap<string, number> } {
  const logLoss = new Map<string, number>();
  let chosen = NO_CALIBRATION;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    let loss = 0;
    for (const [i, z] of logits.entries()) {
      const own = calibrate(candidate, z);
      loss += softplus(outcomes[i] === 1 ? -own : own);
    }
    loss /= logits.length;
    logLoss.set(candidate.kind, loss);
    if (loss < least - LOSS_TIE) {
      least = loss;
      chosen = candidate;
    }
  }
  return { chosen, logLoss };
}

/** Smaller differences are noise of a season (the interval of a paired difference is wider): the simpler one wins. */
const LOSS_TIE = 1e-4;

export function softplus(z: number): number {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

function along(knots: readonly Knot[], z: number): number {
  const [first] = knots;
  const last = knots.at(-1);
  if (first === undefined || last === undefined) return z;
  if (z <= first.from) return first.to + (z - first.from);
  if (z >= last.from) return last.to + (z - last.from);
  const at = knots.findIndex(({ from }) => from > z);
  const [a, b] = [knots[at - 1] as Knot, knots[at] as Knot];
  return a.to + ((z - a.from) * (b.to - a.to)) / (b.from - a.from);
}

/** Pool-adjacent-violators over bins of the logit; a knot a pool, at the mean of its logits. */
function isotonic(logits: Float64Array, outcomes: Uint8Array): Knot[] {
  const bins = Array.from({ length: ISOTONIC_BINS }, () => ({ rows: 0, won: 0, logit: 0 }));
  const width = (2 * LOGIT_MAX) / ISOTONIC_BINS;
  for (const [i, z] of logits.entries()) {
    const bin = bins[Math.floor((z + LOGIT_MAX) / width)];
    if (bin === undefined) continue;
    bin.rows += 1;
    bin.won += outcomes[i] as number;
    bin.logit += z;
  }
  const pools: { rows: number; won: number; logit: number }[] = [];
  for (const bin of bins.filter(({ rows, won }) => won > 0 && won < rows)) {
    pools.push({ ...bin });
    for (;;) {
      const [a, b] = [pools.at(-2), pools.at(-1)];
      if (a === undefined || b === undefined || a.won / a.rows < b.won / b.rows) break;
      pools.splice(-2, 2, { rows: a.rows + b.rows, won: a.won + b.won, logit: a.logit + b.logit });
    }
  }
  const knots: Knot[] = [];
  for (const { rows, won, logit } of pools) {
    const knot = { from: logit / rows, to: Math.log(won / (rows - won)) };
    const before = knots.at(-1);
    if (before === undefined || knot.from - before.from > KNOT_GAP_MIN) knots.push(knot);
  }
  return knots;
}

/** Probability after correction. */
export function calibrated(calibration: Calibration, z: number): number {
  return sigmoid(calibrate(calibration, z));
}
