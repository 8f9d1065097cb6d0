import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { seededRandom } from "../../base/random.ts";
import { cutsOf } from "./bins.ts";
import { type Tree, TreeModel, treeValue } from "./model.ts";
import {
  HISTOGRAM_STRIDE,
  SAMPLE_SCALE,
  type SharedRows,
  SPLIT_ARGUMENTS,
  STEP,
  ThreadRows,
} from "./rows.ts";
import { bestCut, type Cut, type CutRules, leafValue, type OpenNode } from "./split.ts";

/** Rows to learn from or to be judged on; row `i` has its values at `i * columns`. */
export interface TreeRows {
  readonly columns: number;
  readonly rows: number;
  readonly values: Float32Array;
  /** 1 or 0 by row. */
  readonly outcomes: ArrayLike<number>;
  /** Logit that the trees start from, by row; the share of ones when absent. */
  readonly start?: ArrayLike<number>;
}

export interface BoostOptions extends Partial<Omit<CutRules, "monotone">> {
  /** Trees at most. */
  readonly trees: number;
  /** Levels of a tree, 1 to 10. */
  readonly depth: number;
  /** Leaves of a tree at most; 2^depth when absent. */
  readonly leaves?: number;
  /** Share of a tree's answer that is taken. */
  readonly rate: number;
  /** Share of rows and of columns that a tree sees, 0..1. */
  readonly rowShare?: number;
  readonly columnShare?: number;
  /** By column: 1 when a higher value may not lower the answer, -1 the other way, 0 free. */
  readonly monotone?: ArrayLike<number>;
  /** Stops after so many trees that did not help the validation rows; never when absent. */
  readonly patience?: number;
  readonly validation?: TreeRows;
  readonly threads?: number;
  readonly seed?: number;
  readonly progress?: (trees: number, validationLogLoss: number | undefined) => void;
}

const DEPTH_MAX = 10;
/** Improvement of the validation loss that counts. */
const HELP_MIN = 1e-7;

/**
 * Gradient boosted trees on log loss: second-order gains, histograms of at most 256 bins, monotone columns, sampling of
 * rows and columns, early stopping. The same seed and number of threads give the same trees to the bit.
 */
export async function boostTrees(data: TreeRows, options: BoostOptions): Promise<TreeModel> {
  assert(
    data.rows > 0 && options.depth >= 1 && options.depth <= DEPTH_MAX,
    "rows, and a depth of 1 to 10",
  );
  const threads = options.threads ?? 1;
  const shared = share(data, options, threads);
  const crew = new Crew(shared);
  try {
    return grow(data, options, shared, crew);
  } finally {
    await crew.end();
  }
}

function share(
  { rows, columns, values, outcomes }: TreeRows,
  { depth }: BoostOptions,
  threads: number,
): SharedRows {
  const slotsMax = 2 ** (depth - 1);
  const nodesMax = 2 ** (depth + 1);
  const copy = new SharedArrayBuffer(rows * columns * 4);
  new Float32Array(copy).set(values.subarray(0, rows * columns));
  const won = new SharedArrayBuffer(rows * 4);
  new Float32Array(won).set(Float32Array.from({ length: rows }, (_, i) => outcomes[i] ?? 0));
  const stepNumbers = 1 + Math.max(4, SPLIT_ARGUMENTS) * nodesMax;
  return {
    rows,
    columns,
    threads,
    nodesMax,
    slotsMax,
    cuts: cutsOf(values, rows, columns),
    values: copy,
    outcomes: won,
    scores: new SharedArrayBuffer(rows * 4),
    bins: new SharedArrayBuffer(rows * columns),
    histograms: new SharedArrayBuffer(threads * slotsMax * columns * HISTOGRAM_STRIDE * 8),
    sums: new SharedArrayBuffer(threads * 16),
    step: new SharedArrayBuffer(stepNumbers * 4),
    control: new SharedArrayBuffer(12),
  };
}

/** The threads; the caller's is the first of them. */
class Crew {
  readonly #shared: SharedRows;
  readonly #own: ThreadRows;
  readonly #workers: readonly Worker[];
  readonly #control: Int32Array;
  readonly args: Int32Array;
  readonly floats: Float32Array;

  constructor(shared: SharedRows) {
    this.#shared = shared;
    this.#own = new ThreadRows(shared, 0);
    this.#control = new Int32Array(shared.control);
    this.args = new Int32Array(shared.step);
    this.floats = new Float32Array(shared.step);
    this.#workers = Array.from(
      { length: shared.threads - 1 },
      (_, i) =>
        new Worker(new URL("./worker.ts", import.meta.url), {
          workerData: { shared, thread: i + 1 },
        }),
    );
  }

  /** All threads take a step; returns when all are done. */
  take(step: number): void {
    const control = this.#control;
    Atomics.store(control, 1, step);
    Atomics.store(control, 2, 0);
    Atomics.add(control, 0, 1);
    Atomics.notify(control, 0);
    this.#own.take(step);
    for (;;) {
      const done = Atomics.load(control, 2);
      if (done === this.#shared.threads - 1) return;
      Atomics.wait(control, 2, done, WAIT_MS);
    }
  }

  async end(): Promise<void> {
    Atomics.store(this.#control, 1, STEP.end);
    Atomics.add(this.#control, 0, 1);
    Atomics.notify(this.#control, 0);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** A notification cannot be lost, but a thread that died would keep the others waiting without a sign of life. */
const WAIT_MS = 1_000;

function grow(data: TreeRows, options: BoostOptions, shared: SharedRows, crew: Crew): TreeModel {
  const { rowShare = 1, seed = 1, validation, patience } = options;
  const random = seededRandom(seed);
  const base = data.start === undefined ? logitOfShare(data) : 0;
  const scores = new Float32Array(shared.scores);
  if (data.start === undefined) scores.fill(base);
  else scores.set(Float32Array.from(data.start));
  crew.take(STEP.bin);
  const judge = validation === undefined ? undefined : new Judge(validation, base);
  const trees: Tree[] = [];
  let best = { loss: Number.POSITIVE_INFINITY, trees: 0 };
  while (trees.length < options.trees) {
    crew.args[0] = Math.round(rowShare * SAMPLE_SCALE);
    crew.args[1] = random.int(2 ** 31);
    crew.take(STEP.gradients);
    const tree = growTree(options, shared, crew, drawColumns(shared.columns, options, random));
    trees.push(tree);
    const loss = judge?.add(tree);
    options.progress?.(trees.length, loss);
    if (loss === undefined || patience === undefined) continue;
    if (loss < best.loss - HELP_MIN) best = { loss, trees: trees.length };
    else if (trees.length - best.trees >= patience) break;
  }
  const kept = judge === undefined || patience === undefined ? trees : trees.slice(0, best.trees);
  return new TreeModel(data.columns, base, kept);
}

function drawColumns(
  columns: number,
  { columnShare = 1 }: BoostOptions,
  random: ReturnType<typeof seededRandom>,
): number[] {
  const all = Array.from({ length: columns }, (_, column) => column);
  if (columnShare >= 1) return all;
  const count = Math.max(1, Math.round(columnShare * columns));
  for (let i = 0; i < count; i += 1) {
    const j = i + random.int(columns - i);
    [all[i], all[j]] = [all[j] as number, all[i] as number];
  }
  return all.slice(0, count).sort((a, b) => a - b);
}

interface Grown {
  readonly node: OpenNode;
  cut?: Cut;
  left?: number;
  right?: number;
}

/** Level by level; where leaves are limited the level's best cuts come first. */
function growTree(
  options: BoostOptions,
  shared: SharedRows,
  crew: Crew,
  columns: readonly number[],
): Tree {
  const { depth, lambda = 1, gamma = 0, curvatureMin = 1, rate } = options;
  const monotone = Int8Array.from(options.monotone ?? new Int8Array(shared.columns));
  const rules: CutRules = { lambda, gamma, curvatureMin, monotone };
  const cutCounts = shared.cuts.map((cuts) => cuts.length);
  const leavesMax = options.leaves ?? 2 ** depth;
  const sums = new Float64Array(shared.sums);
  let [gradient, curvature] = [0, 0];
  for (let t = 0; t < shared.threads; t += 1) {
    gradient += sums[2 * t] as number;
    curvature += sums[2 * t + 1] as number;
  }
  const root = { id: 0, gradient, curvature, low: -Infinity, high: Infinity, slot: 0 };
  const all: Grown[] = [{ node: root }];
  let level: Grown[] = [all[0] as Grown];
  let leaves = 1;
  let parents = new Map<number, Float64Array>();
  for (let d = 0; d < depth && level.length > 0; d += 1) {
    const histograms = levelHistograms(level, parents, shared, crew);
    const found = level.map((grown) => {
      const histogram = histograms.get(grown.node.id) as Float64Array;
      return { grown, cut: bestCut(grown.node, histogram, columns, cutCounts, rules) };
    });
    const wanted = found.filter(({ cut }) => cut !== undefined);
    wanted.sort(
      (a, b) => (b.cut?.gain ?? 0) - (a.cut?.gain ?? 0) || a.grown.node.id - b.grown.node.id,
    );
    const taken = wanted.slice(0, Math.max(0, leavesMax - leaves));
    taken.sort((a, b) => a.grown.node.id - b.grown.node.id);
    leaves += taken.length;
    level = [];
    parents = new Map();
    for (const { grown, cut } of taken) {
      if (cut === undefined) continue;
      const [left, right] = childrenOf(grown.node, cut, monotone[cut.column] as number, all.length);
      Object.assign(grown, { cut, left: left.id, right: right.id });
      parents.set(left.id, histograms.get(grown.node.id) as Float64Array);
      const pair = [{ node: left }, { node: right }];
      all.push(...pair);
      level.push(...pair);
    }
    split(
      taken.map(({ grown }) => grown),
      crew,
    );
  }
  addLeaves(all, rules, rate, crew);
  return treeOf(all, rules, rate, shared.cuts);
}

/** The children of a cut; a monotone one lets neither side cross the middle between their values. */
function childrenOf(
  node: OpenNode,
  cut: Cut,
  direction: number,
  nextId: number,
): [OpenNode, OpenNode] {
  const middle = (cut.leftValue + cut.rightValue) / 2;
  const left = {
    id: nextId,
    gradient: cut.leftGradient,
    curvature: cut.leftCurvature,
    low: direction < 0 ? middle : node.low,
    high: direction > 0 ? middle : node.high,
    slot: 0,
  };
  const right = {
    id: nextId + 1,
    gradient: node.gradient - cut.leftGradient,
    curvature: node.curvature - cut.leftCurvature,
    low: direction > 0 ? middle : node.low,
    high: direction < 0 ? middle : node.high,
    slot: 0,
  };
  return [left, right];
}

/** Histograms of a level by node id: the lighter of two siblings is counted, the other one is what is left. */
function levelHistograms(
  level: readonly Grown[],
  parents: ReadonlyMap<number, Float64Array>,
  shared: SharedRows,
  crew: Crew,
): Map<number, Float64Array> {
  const size = shared.columns * HISTOGRAM_STRIDE;
  const counted: OpenNode[] = [];
  const derived: {
    readonly node: OpenNode;
    readonly sibling: OpenNode;
    readonly parent: Float64Array;
  }[] = [];
  for (let i = 0; i < level.length; i += 1) {
    const { node } = level[i] as Grown;
    const parent = parents.get(node.id);
    if (parent === undefined) {
      counted.push(node);
      continue;
    }
    const other = (level[i + 1] as Grown).node;
    i += 1;
    const [small, large] = node.curvature <= other.curvature ? [node, other] : [other, node];
    counted.push(small);
    derived.push({ node: large, sibling: small, parent });
  }
  crew.args[0] = counted.length;
  for (const [slot, node] of counted.entries()) {
    crew.args[1 + 2 * slot] = node.id;
    crew.args[2 + 2 * slot] = slot;
  }
  crew.take(STEP.histograms);
  const all = new Float64Array(shared.histograms);
  const found = new Map<number, Float64Array>();
  for (const [slot, node] of counted.entries()) {
    const sum = all.slice(slot * size, (slot + 1) * size);
    for (let t = 1; t < shared.threads; t += 1) {
      const from = (t * shared.slotsMax + slot) * size;
      for (let i = 0; i < size; i += 1) sum[i] = (sum[i] as number) + (all[from + i] as number);
    }
    found.set(node.id, sum);
  }
  for (const { node, sibling, parent } of derived) {
    const counts = found.get(sibling.id) as Float64Array;
    // The parent's histogram is needed no longer: it becomes the heavier child's.
    for (let i = 0; i < size; i += 1) parent[i] = (parent[i] as number) - (counts[i] as number);
    found.set(node.id, parent);
  }
  return found;
}

function split(taken: readonly Grown[], crew: Crew): void {
  crew.args[0] = taken.length;
  for (const [i, { node, cut, left, right }] of taken.entries()) {
    crew.args.set(
      [node.id, cut?.column ?? 0, cut?.bin ?? 0, left ?? 0, right ?? 0],
      1 + i * SPLIT_ARGUMENTS,
    );
  }
  if (taken.length > 0) crew.take(STEP.split);
}

function addLeaves(all: readonly Grown[], { lambda }: CutRules, rate: number, crew: Crew): void {
  crew.args[0] = all.length;
  for (const [i, { node, cut, left, right }] of all.entries()) {
    const at = 1 + 4 * i;
    if (cut === undefined) {
      crew.args[at] = -1;
      crew.floats[at + 1] = rate * leafValue(node, node.gradient, node.curvature, lambda);
    } else crew.args.set([cut.column, cut.bin, left ?? 0, right ?? 0], at);
  }
  crew.take(STEP.leaves);
}

function treeOf(
  all: readonly Grown[],
  { lambda }: CutRules,
  rate: number,
  cuts: readonly Float32Array[],
): Tree {
  return {
    feature: Int32Array.from(all, ({ cut }) => cut?.column ?? -1),
    threshold: Float32Array.from(all, ({ cut }) =>
      cut === undefined ? 0 : (cuts[cut.column]?.[cut.bin] ?? 0),
    ),
    left: Int32Array.from(all, ({ left }) => left ?? 0),
    right: Int32Array.from(all, ({ right }) => right ?? 0),
    value: Float32Array.from(all, ({ node, cut }) =>
      cut === undefined ? rate * leafValue(node, node.gradient, node.curvature, lambda) : 0,
    ),
    gain: Float32Array.from(all, ({ cut }) => cut?.gain ?? 0),
  };
}

/** Log loss of rows that the trees do not see. */
class Judge {
  readonly #rows: TreeRows;
  readonly #scores: Float64Array;

  constructor(rows: TreeRows, base: number) {
    this.#rows = rows;
    this.#scores =
      rows.start === undefined
        ? new Float64Array(rows.rows).fill(base)
        : Float64Array.from(rows.start);
  }

  add(tree: Tree): number {
    const { rows, columns, values, outcomes } = this.#rows;
    let loss = 0;
    for (let i = 0; i < rows; i += 1) {
      const z = (this.#scores[i] as number) + treeValue(tree, values, i * columns);
      this.#scores[i] = z;
      loss += Math.log1p(Math.exp(outcomes[i] === 1 ? -z : z));
    }
    return loss / rows;
  }
}

function logitOfShare({ rows, outcomes }: TreeRows): number {
  let ones = 0;
  for (let i = 0; i < rows; i += 1) ones += outcomes[i] as number;
  assert(ones > 0 && ones < rows, "both outcomes must occur");
  return Math.log(ones / (rows - ones));
}
