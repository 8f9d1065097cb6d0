import { type Dataset } from "./dataset.ts";
import { logits as calibratedLogits, type WinModel } from "./win-model.ts";
import { isDecided, WIN_TERMS } from "./terms.ts";
import { boostTrees, type TreeRows } from "./trees/boost.ts";
import { TreeModel } from "./trees/model.ts";

/** Inputs of the trees beside those of the logistic: the clock, and what the vector tells of the last minutes. */
const TREE_TERMS: readonly string[] = [
  ...WIN_TERMS,
  "margin",
  "seconds_remaining",
  "possession",
  "pregame_logit",
];

/** Inputs of which more may never lower the answer. */
const RISING: ReadonlySet<string> = new Set([
  "margin_per_sqrt_second",
  "margin_per_second",
  "margin_by_share_left",
  "margin",
  "possession",
  "possession_per_sqrt_second",
  "pregame_logit",
  "pregame_logit_by_sqrt_share_left",
  "pregame_logit_by_share_left",
]);

/** Settings that did best out of season among depths of 2 to 6: more of anything only fits the seasons' luck. */
const TREES_MAX = 150;
const DEPTH = 3;
const RATE = 0.05;
/** Sum of p (1 - p) over the rows of a leaf: a leaf is worth about ten games. */
const LEAF_CURVATURE_MIN = 400;
const SHARE = 0.7;
const PATIENCE = 20;
const THREADS = 2;

export interface TreeFitInput {
  readonly names: readonly string[];
  readonly training: Dataset;
  /** Stops the growth; all trees are grown without it. */
  readonly validation: Dataset | undefined;
  /** What the trees start from. */
  readonly model: WinModel;
  readonly seed: number;
  readonly progress: (line: string) => void;
}

/** Boosted trees that correct a logistic model, over the whole schema. */
export async function fitTrees(input: TreeFitInput): Promise<TreeModel> {
  const { names, training, validation, model, seed, progress } = input;
  const columns = TREE_TERMS.map((name) => names.indexOf(name));
  const judged = validation && treeRows(validation, columns, model);
  const small = await boostTrees(treeRows(training, columns, model), {
    trees: TREES_MAX,
    depth: DEPTH,
    rate: RATE,
    rowShare: SHARE,
    columnShare: SHARE,
    curvatureMin: LEAF_CURVATURE_MIN,
    monotone: TREE_TERMS.map((name) => Number(RISING.has(name))),
    threads: THREADS,
    seed,
    ...(judged && { validation: judged, patience: PATIENCE }),
  });
  progress(`${small.trees.length} trees of depth ${DEPTH}`);
  const trees = small.trees.map((tree) =>
    Object.assign({}, tree, {
      feature: tree.feature.map((column) => (column < 0 ? column : (columns[column] ?? -1))),
    }),
  );
  return new TreeModel(names.length, small.base, trees);
}

function treeRows(data: Dataset, columns: readonly number[], model: WinModel): TreeRows {
  const start = calibratedLogits(model, data.values, data.rows);
  const rows = Uint32Array.from({ length: data.rows }, (_, i) => i).filter(
    (i) => !isDecided(data, i),
  );
  const values = new Float32Array(rows.length * columns.length);
  for (const [row, i] of rows.entries()) {
    for (const [j, column] of columns.entries()) {
      values[row * columns.length + j] = data.values[i * data.features + column] as number;
    }
  }
  return {
    columns: columns.length,
    rows: rows.length,
    values,
    outcomes: Uint8Array.from(rows, (i) => data.homeWon[i] as number),
    start: Float64Array.from(rows, (i) => start[i] as number),
  };
}
