import { binRows, BINS_MAX } from "./bins.ts";

/** Memory that all threads see. */
export interface SharedRows {
  readonly rows: number;
  readonly columns: number;
  readonly threads: number;
  /** Nodes of a tree at most. */
  readonly nodesMax: number;
  /** Histograms of one level at most. */
  readonly slotsMax: number;
  readonly cuts: readonly Float32Array[];
  readonly values: SharedArrayBuffer;
  readonly outcomes: SharedArrayBuffer;
  /** Logit by row, float32: what the next tree corrects. */
  readonly scores: SharedArrayBuffer;
  readonly bins: SharedArrayBuffer;
  /** By thread, slot, column and bin: gradient and curvature, float64. */
  readonly histograms: SharedArrayBuffer;
  /** By thread: gradient and curvature of all its rows that count in this tree. */
  readonly sums: SharedArrayBuffer;
  /** Arguments of the step under way, int32 and float32. */
  readonly step: SharedArrayBuffer;
  /** [generation, kind of step, threads that are done]. */
  readonly control: SharedArrayBuffer;
}

/** Kinds of steps; every thread takes each of them on its own rows. */
export const STEP = { bin: 1, gradients: 2, histograms: 3, split: 4, leaves: 5, end: 6 } as const;

/** Numbers of a column's histogram: gradient and curvature a bin. */
export const HISTOGRAM_STRIDE = BINS_MAX * 2;
/** Arguments of one split: node, column, bin, left, right. */
export const SPLIT_ARGUMENTS = 5;
/** Curvature of a row that is as good as decided; keeps leaf values finite. */
const CURVATURE_MIN = 1e-16;
/** Scale of the share of rows that a tree sees. */
export const SAMPLE_SCALE = 65_536;

/**
 * The rows of one thread. Rows are fixed to threads and every sum is made in a fixed order, so that the same seed and
 * number of threads give the same trees to the bit.
 */
export class ThreadRows {
  readonly #shared: SharedRows;
  readonly #thread: number;
  readonly #from: number;
  readonly #to: number;
  readonly #gradients: Float32Array;
  readonly #order: Uint32Array;
  readonly #spare: Uint32Array;
  readonly #begin: Int32Array;
  readonly #end: Int32Array;
  readonly #leafOf: Int32Array;

  constructor(shared: SharedRows, thread: number) {
    this.#shared = shared;
    this.#thread = thread;
    this.#from = Math.floor((shared.rows * thread) / shared.threads);
    this.#to = Math.floor((shared.rows * (thread + 1)) / shared.threads);
    const own = this.#to - this.#from;
    this.#gradients = new Float32Array(own * 2);
    this.#order = new Uint32Array(own);
    this.#spare = new Uint32Array(own);
    this.#begin = new Int32Array(shared.nodesMax);
    this.#end = new Int32Array(shared.nodesMax);
    this.#leafOf = new Int32Array(own);
  }

  take(step: number): void {
    const args = new Int32Array(this.#shared.step);
    const count = args[0] as number;
    switch (step) {
      case STEP.bin:
        return this.#bin();
      case STEP.gradients:
        return this.#deriveGradients(count, args[1] as number);
      case STEP.histograms:
        for (let i = 0; i < count; i += 1) {
          this.#histogram(args[1 + 2 * i] as number, args[2 + 2 * i] as number);
        }
        return undefined;
      case STEP.split:
        for (let i = 0; i < count; i += 1) this.#split(args, 1 + i * SPLIT_ARGUMENTS);
        return undefined;
      case STEP.leaves:
        return this.#addLeaves(count);
      default:
        return undefined;
    }
  }

  #bin(): void {
    const { values, bins, cuts } = this.#shared;
    const range = { from: this.#from, to: this.#to };
    binRows(new Float32Array(values), new Uint8Array(bins), cuts, range);
  }

  /** Of the log loss by the logit; rows are drawn by a generator of this thread and tree. */
  #deriveGradients(share: number, seed: number): void {
    const { scores, outcomes, sums } = this.#shared;
    const score = new Float32Array(scores);
    const outcome = new Float32Array(outcomes);
    const rows = this.#to - this.#from;
    let random = (seed ^ Math.imul(this.#thread + 1, 0x9e3779b9)) | 1;
    let [taken, gradient, curvature] = [0, 0, 0];
    for (let i = 0; i < rows; i += 1) {
      const p = 1 / (1 + Math.exp(-(score[this.#from + i] as number)));
      this.#gradients[2 * i] = p - (outcome[this.#from + i] as number);
      this.#gradients[2 * i + 1] = Math.max(p * (1 - p), CURVATURE_MIN);
      if (share < SAMPLE_SCALE) {
        random ^= random << 13;
        random ^= random >>> 17;
        random ^= random << 5;
        if ((random & (SAMPLE_SCALE - 1)) >= share) continue;
      }
      this.#order[taken++] = i;
      gradient += this.#gradients[2 * i] as number;
      curvature += this.#gradients[2 * i + 1] as number;
    }
    this.#begin[0] = 0;
    this.#end[0] = taken;
    const sum = new Float64Array(sums);
    sum[2 * this.#thread] = gradient;
    sum[2 * this.#thread + 1] = curvature;
  }

  /** One pass over a node's rows, all columns at once: bins lie row after row. */
  #histogram(node: number, slot: number): void {
    const { columns, slotsMax, bins: shared, histograms } = this.#shared;
    const size = columns * HISTOGRAM_STRIDE;
    const all = new Float64Array(histograms);
    const base = (this.#thread * slotsMax + slot) * size;
    const sums = all.subarray(base, base + size);
    const bins = new Uint8Array(shared, this.#from * columns, (this.#to - this.#from) * columns);
    const gradients = this.#gradients;
    const order = this.#order;
    sums.fill(0);
    const end = this.#end[node] as number;
    for (let k = this.#begin[node] as number; k < end; k += 1) {
      const row = order[k] as number;
      const gradient = gradients[2 * row] as number;
      const curvature = gradients[2 * row + 1] as number;
      let at = row * columns;
      for (let o = 0; o < size; o += HISTOGRAM_STRIDE) {
        const cell = o + ((bins[at++] as number) << 1);
        sums[cell] = (sums[cell] as number) + gradient;
        sums[cell + 1] = (sums[cell + 1] as number) + curvature;
      }
    }
  }

  /** Puts the rows that go left before those that go right; both keep their order. */
  #split(args: Int32Array, from: number): void {
    const [node, column, bin, left, right] = args.subarray(
      from,
      from + SPLIT_ARGUMENTS,
    ) as unknown as [number, number, number, number, number];
    const { columns, bins } = this.#shared;
    const own = new Uint8Array(bins, this.#from * columns, (this.#to - this.#from) * columns);
    const begin = this.#begin[node] as number;
    const end = this.#end[node] as number;
    let lefts = begin;
    let rights = 0;
    for (let k = begin; k < end; k += 1) {
      const row = this.#order[k] as number;
      if ((own[row * columns + column] as number) <= bin) this.#order[lefts++] = row;
      else this.#spare[rights++] = row;
    }
    this.#order.set(this.#spare.subarray(0, rights), lefts);
    this.#begin[left] = begin;
    this.#end[left] = lefts;
    this.#begin[right] = lefts;
    this.#end[right] = end;
  }

  /** Adds the new tree to the logits of all rows, those that it did not see included. */
  #addLeaves(nodes: number): void {
    const { columns, bins, scores, step } = this.#shared;
    const own = new Uint8Array(bins, this.#from * columns, (this.#to - this.#from) * columns);
    const score = new Float32Array(scores);
    const args = new Int32Array(step);
    const values = new Float32Array(step);
    const rows = this.#to - this.#from;
    for (let row = 0; row < rows; row += 1) {
      let at = 1;
      // A node: column or -1, bin or value, left, right; nodes are numbered from 0.
      for (let column = args[at] as number; column >= 0; column = args[at] as number) {
        const isLeft = (own[row * columns + column] as number) <= (args[at + 1] as number);
        at = 1 + 4 * ((isLeft ? args[at + 2] : args[at + 3]) as number);
      }
      this.#leafOf[row] = at;
    }
    for (let row = 0; row < rows; row += 1) {
      const leaf = this.#leafOf[row] as number;
      score[this.#from + row] = (score[this.#from + row] as number) + (values[leaf + 1] as number);
    }
    if (nodes < 1) throw new RangeError("a tree has a root");
  }
}
