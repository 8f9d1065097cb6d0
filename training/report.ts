import { type CardSlice } from "../serving/model/card.ts";

/** Scores by slice as a table for people; `baseline` columns are the score-and-time logistic. */
export function scoreTable(slices: readonly CardSlice[]): string {
  const lines = slices.map(({ slice, rows, model, baseline }) => [
    slice,
    String(rows),
    ...["brier", "logLoss", "auc", "accuracy", "ece20"].map((name) => shown(model[name])),
    shown(baseline["brier"]),
    shown(baseline["logLoss"]),
  ]);
  const table = [HEADER, ...lines];
  const widths = HEADER.map((_, column) =>
    Math.max(...table.map((line) => line[column]?.length ?? 0)),
  );
  const row = (line: readonly string[]): string =>
    line
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ");
  return `${table.map(row).join("\n")}\n`;
}

const HEADER: readonly string[] = [
  "slice",
  "rows",
  "Brier",
  "log loss",
  "AUC",
  "accuracy",
  "ECE20",
].concat(["baseline Brier", "baseline log loss"]);

function shown(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "-" : value.toFixed(4);
}
