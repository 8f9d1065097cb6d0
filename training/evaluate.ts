import { type CardSlice } from "../serving/model/card.ts";
import { type Dataset } from "./dataset.ts";
import { fitLogistic, probabilities, type Design } from "./fit.ts";
import { scoresOf, type Scores } from "./metrics.ts";
import { type LogisticModel } from "./onnx/graph.ts";
import { seasonName } from "./split.ts";

/** Some of the rows of a dataset, by a name for people. */
interface Slice {
  readonly slice: string;
  readonly indices: Uint32Array;
}

/** Scores of the model and of the baseline on all rows and by slice; empty slices are left out. */
export function evaluate(
  data: Dataset,
  model: ArrayLike<number>,
  baseline: ArrayLike<number>,
): CardSlice[] {
  const slices = slicesOf(data)
    .filter(({ indices }) => indices.length > 0)
    .map(({ slice, indices }) => ({
      slice,
      rows: indices.length,
      model: finite(scoresOf(model, data.homeWon, indices)),
      baseline: finite(scoresOf(baseline, data.homeWon, indices)),
    }));
  const all = Uint32Array.from({ length: data.rows }, (_, i) => i);
  const timeOf = secondsHeld(data);
  const weight = (i: number): number => timeOf[i] as number;
  if (all.every((i) => weight(i) === 0)) return slices;
  const weighted = {
    slice: BY_TIME_SLICE,
    rows: data.rows,
    model: finite(scoresOf(model, data.homeWon, all, weight)),
    baseline: finite(scoresOf(baseline, data.homeWon, all, weight)),
  };
  return [...slices.slice(0, 1), weighted, ...slices.slice(1)];
}

/** All plays, each counted for the game seconds until the next one. */
export const BY_TIME_SLICE = "all plays, by the time they stand";

/** Game seconds that the state after each play lasted. */
function secondsHeld(data: Dataset): Float64Array {
  const held = new Float64Array(data.rows);
  const elapsed = (i: number): number => {
    const period = data.period[i] as number;
    const clockS = data.clockRemainingS[i] as number;
    const before = Math.max(0, period - REGULATION_PERIODS) * OVERTIME_S;
    return period <= REGULATION_PERIODS
      ? REGULATION_S - secondsLeft(period, clockS)
      : REGULATION_S + before - clockS;
  };
  for (let i = 0; i + 1 < data.rows; i += 1) {
    if (data.game[i] === data.game[i + 1]) held[i] = Math.max(0, elapsed(i + 1) - elapsed(i));
  }
  return held;
}

/** A slice in which every game ended alike has no area under the curve, and JSON no word for it. */
function finite(scores: Scores): Record<string, number> {
  return Object.fromEntries(Object.entries(scores).filter(([, value]) => Number.isFinite(value)));
}

/** The least that a model must beat: a logistic on score and time alone, fitted on the same rows. */
export function fitBaseline(data: Dataset): LogisticModel {
  return fitLogistic(baselineDesign(data));
}

/** Probability of a home win by row. */
export function scoreBaseline(model: LogisticModel, data: Dataset): Float64Array {
  return probabilities(model, baselineDesign(data).values, data.rows);
}

const REGULATION_S = 2_880;
const PERIOD_S = 720;
const OVERTIME_S = 300;
const REGULATION_PERIODS = 4;
/** Keeps the last seconds finite; by the last row the margin decides all the same. */
const BASELINE_SOFTENING_S = 10;

/** Margin, margin/√(s+10), margin/(s+10), share of regulation left, margin x share; s = seconds left. */
function baselineDesign(data: Dataset): Design {
  const columns = 5;
  const values = new Float32Array(data.rows * columns);
  for (let i = 0; i < data.rows; i += 1) {
    const margin = data.margin[i] ?? 0;
    const leftS = secondsLeft(data.period[i] ?? 0, data.clockRemainingS[i] ?? 0);
    const share = leftS / REGULATION_S;
    const softened = leftS + BASELINE_SOFTENING_S;
    const terms = [margin, margin / Math.sqrt(softened), margin / softened, share, margin * share];
    values.set(terms, i * columns);
  }
  return { columns, rows: data.rows, values, outcomes: data.homeWon };
}

/** Seconds left in regulation, or in the overtime under way. */
export function secondsLeft(period: number, clockRemainingS: number): number {
  return Math.max(0, REGULATION_PERIODS - period) * PERIOD_S + clockRemainingS;
}

function slicesOf(data: Dataset): Slice[] {
  const leftS = Float32Array.from(data.period, (period, i) =>
    secondsLeft(period, data.clockRemainingS[i] ?? 0),
  );
  const period = (i: number): number => data.period[i] ?? 0;
  const left = (i: number): number => leftS[i] ?? 0;
  const inLastQuarter =
    (fromS: number, toS: number) =>
    (i: number): boolean =>
      period(i) === REGULATION_PERIODS && left(i) <= fromS && left(i) > toS;
  const filters: readonly [string, (i: number) => boolean][] = [
    ["all plays", () => true],
    ["quarter 1", (i) => period(i) === 1],
    ["quarter 2", (i) => period(i) === 2],
    ["quarter 3", (i) => period(i) === 3],
    ["quarter 4, 12-6 min left", inLastQuarter(PERIOD_S, 360)],
    ["quarter 4, 6-3 min left", inLastQuarter(360, 180)],
    ["quarter 4, 3-1 min left", inLastQuarter(180, 60)],
    ["quarter 4, under 1 min left", inLastQuarter(60, -1)],
    ["last 5 minutes of regulation", inLastQuarter(300, -1)],
    ["last 2 minutes of regulation", inLastQuarter(120, -1)],
    ["last minute of regulation", inLastQuarter(60, -1)],
    ["overtime", (i) => period(i) > REGULATION_PERIODS],
    ["margin 0-5", (i) => Math.abs(data.margin[i] ?? 0) <= 5],
    [
      "margin 6-15",
      (i) => Math.abs(data.margin[i] ?? 0) > 5 && Math.abs(data.margin[i] ?? 0) <= 15,
    ],
    ["margin over 15", (i) => Math.abs(data.margin[i] ?? 0) > 15],
  ];
  const seasons = [...new Set(data.gameSeasons)];
  const bySeason = seasons.map((year): [string, (i: number) => boolean] => [
    `season ${seasonName(year)}`,
    (i) => data.gameSeasons[data.game[i] as number] === year,
  ]);
  const slices = [...filters, ...(seasons.length > 1 ? bySeason : [])].map(([slice, fits]) => ({
    slice,
    indices: rowsWhere(data.rows, fits),
  }));
  const moments: readonly [string, number][] = [
    ["at tip-off", REGULATION_S],
    ["at the start of quarter 2", 2_160],
    ["at half-time", 1_440],
    ["at the start of quarter 4", 720],
    ["at 5:00 left", 300],
    ["at 2:00 left", 120],
  ];
  return [
    ...slices,
    ...moments.map(([slice, atS]) => ({ slice, indices: lastRowsBefore(data, leftS, atS) })),
  ];
}

function rowsWhere(rows: number, fits: (i: number) => boolean): Uint32Array {
  const indices: number[] = [];
  for (let i = 0; i < rows; i += 1) if (fits(i)) indices.push(i);
  return Uint32Array.from(indices);
}

/** By game, the last regulation row with at least so much time left. */
function lastRowsBefore(data: Dataset, leftS: Float32Array, atS: number): Uint32Array {
  const found: number[] = [];
  for (const [game, start] of data.gameStarts.entries()) {
    const end = data.gameStarts[game + 1] ?? start;
    let last = -1;
    for (let i = start; i < end; i += 1) {
      if ((data.period[i] ?? 0) <= REGULATION_PERIODS && (leftS[i] ?? 0) >= atS) last = i;
    }
    if (last >= 0) found.push(last);
  }
  return Uint32Array.from(found);
}
