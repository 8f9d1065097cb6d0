import { type Comparison } from "./compare.ts";
import { estimateText } from "./bootstrap.ts";
import { type Judgement } from "./judge.ts";
import { type ReliabilityBin } from "./metrics.ts";

/** Where the numbers of a page come from. */
export interface PageSource {
  /** Command that makes the page again. */
  readonly command: string;
  /** What was scored, for a heading. */
  readonly title: string;
  /** Path of the reliability picture from the page; it is left out without one. */
  readonly picture?: string;
}

/** Markdown of all judgements on one data set. */
export function judgementPage(judgements: readonly Judgement[], source: PageSource): string {
  const parts = [
    `## Measured: ${source.title}`,
    `Made by \`${source.command}\`. Square brackets are 95 % intervals of the game bootstrap (2,000 resamples of whole games; ` +
      "differences are paired on the same plays, below 0 is better). ECE20 is the calibration error over 20 bins.",
    overview(judgements),
    ...judgements.flatMap((judgement) => [
      `### ${NAMES[judgement.basis] ?? judgement.basis}: by slice`,
      slices(judgement),
    ]),
    "### Next to others, on the same plays",
    comparisons(judgements),
    "### Calibration",
    ...(source.picture === undefined ? [] : [`![Reliability diagram](${source.picture})`]),
    ...judgements.map(
      (judgement) => `${NAMES[judgement.basis] ?? ""}:\n\n${bins(judgement.reliability)}`,
    ),
    "### Interval and scoring runs",
    intervals(judgements),
    runs(judgements),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

/** Bases by the names that people read. */
const NAMES: Readonly<Record<string, string>> = {
  "no-odds": "Without odds",
  odds: "With the closing spread",
};

function overview(judgements: readonly Judgement[]): string {
  return table(
    ["model", "version", "games", "plays", "Brier", "log loss", "AUC", "ECE20"],
    judgements.map(({ basis, version, games, rows, brier, logLoss, slices: [all] }) => [
      NAMES[basis] ?? basis,
      `\`${version}\``,
      String(games),
      count(rows),
      estimateText(brier),
      estimateText(logLoss),
      number(all?.model["auc"]),
      number(all?.model["ece20"], 3),
    ]),
  );
}

function slices({ slices: all }: Judgement): string {
  return table(
    ["slice", "plays", "Brier", "log loss", "AUC", "accuracy", "ECE20", "baseline Brier"],
    all.map(({ slice, rows, model, baseline }) => [
      slice,
      count(rows),
      number(model["brier"]),
      number(model["logLoss"]),
      number(model["auc"]),
      number(model["accuracy"], 3),
      number(model["ece20"], 3),
      number(baseline["brier"]),
    ]),
  );
}

function comparisons(judgements: readonly Judgement[]): string {
  const lines = judgements.flatMap(({ basis, comparisons: all }) =>
    all.map((one) => [NAMES[basis] ?? basis, ...comparisonCells(one)]),
  );
  return table(["ours", "other", "games", "plays", "our Brier", "theirs", "difference"], lines);
}

function comparisonCells({ other, games, rows, ours, theirs, difference }: Comparison): string[] {
  return [
    other,
    String(games),
    count(rows),
    number(ours),
    number(theirs),
    estimateText(difference),
  ];
}

function bins(all: readonly ReliabilityBin[]): string {
  return table(
    ["said", "plays", "games", "mean said", "home won"],
    all.map(({ low, high, rows, games, predicted, observed }) => [
      `${low.toFixed(2)}-${high.toFixed(2)}`,
      count(rows),
      String(games),
      number(predicted, 3),
      number(observed, 3),
    ]),
  );
}

function intervals(judgements: readonly Judgement[]): string {
  return judgements
    .flatMap(({ basis, interval }) =>
      interval === undefined
        ? []
        : `${NAMES[basis] ?? basis}: the interval is stated to cover ${percent(interval.stated)} of groups of plays; ` +
          `it covered ${percent(interval.measured)} of ${interval.groups} groups.`,
    )
    .join(" ");
}

function runs(judgements: readonly Judgement[]): string {
  const [first] = judgements;
  if (first?.runs === undefined) return "";
  return table(
    [
      "run of",
      "base rate",
      "Brier (of the base rate)",
      "AUC",
      "alarm on",
      "precision",
      "recall",
      "lift",
    ],
    Object.entries(first.runs).flatMap(([side, scores]) =>
      [1, 5, 10].map((rate) => [
        side,
        percent(scores["baseRate"], 1),
        `${number(scores["brier"])} (${number(scores["brierOfBaseRate"])})`,
        number(scores["auc"], 3),
        `${rate} % of plays`,
        percent(scores[`precisionAt${rate}`], 1),
        percent(scores[`recallAt${rate}`], 1),
        number(scores[`liftAt${rate}`], 2),
      ]),
    ),
  );
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}

function number(value: number | undefined, digits = 4): string {
  return value === undefined ? "-" : value.toFixed(digits);
}

function percent(value: number | undefined, digits = 0): string {
  return value === undefined ? "-" : `${(value * 100).toFixed(digits)} %`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** Picture of the reliability tables: said against happened, a curve a model, the diagonal is perfect. */
export function reliabilityPicture(judgements: readonly Judgement[]): string {
  const size = 360;
  const margin = 44;
  const at = (p: number): string => (margin + p * size).toFixed(1);
  const up = (p: number): string => (margin + (1 - p) * size).toFixed(1);
  const curves = judgements.map(({ basis, reliability: all }, i) => {
    const colour = COLOURS[i % COLOURS.length] as string;
    const points = all.map(({ predicted, observed }) => `${at(predicted)},${up(observed)}`);
    const dots = all.map(
      ({ predicted, observed }) =>
        `<circle cx="${at(predicted)}" cy="${up(observed)}" r="3" fill="${colour}"/>`,
    );
    const label = `<text x="${margin + 12}" y="${margin + 20 + 18 * i}" fill="${colour}">${NAMES[basis] ?? basis}</text>`;
    return `<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="1.5"/>${dots.join("")}${label}`;
  });
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((p) => [
    `<text x="${at(p)}" y="${margin + size + 18}" text-anchor="middle">${p}</text>`,
    `<text x="${margin - 8}" y="${up(p)}" text-anchor="end" dominant-baseline="middle">${p}</text>`,
    `<path d="M${at(p)} ${margin}v${size}M${margin} ${up(p)}h${size}" stroke="#d0d0d0"/>`,
  ]);
  const total = size + 2 * margin;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${total} ${total}" font-family="sans-serif" font-size="12">`,
    `<title>Reliability of the probability that the home team wins</title>`,
    `<rect width="${total}" height="${total}" fill="#fff"/>`,
    ...ticks,
    `<path d="M${at(0)} ${up(0)}L${at(1)} ${up(1)}" stroke="#888" stroke-dasharray="4 4"/>`,
    ...curves,
    `<text x="${total / 2}" y="${total - 6}" text-anchor="middle">probability said</text>`,
    `<text transform="translate(12 ${total / 2}) rotate(-90)" text-anchor="middle">share won by the home team</text>`,
    `</svg>`,
  ].join("\n")}\n`;
}

const COLOURS: readonly string[] = ["#1f5fbf", "#c2410c", "#15803d"];
