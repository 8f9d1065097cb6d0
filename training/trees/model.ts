/** One regression tree; node 0 is the root. A row goes left when its value is below the threshold. */
export interface Tree {
  /** Feature that a node splits on; -1 for a leaf. */
  readonly feature: Int32Array;
  /** Float32, as the file keeps them. */
  readonly threshold: Float32Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** Value of a leaf, logit; float32. */
  readonly value: Float32Array;
  /** Gain in log loss by the split; 0 for a leaf. */
  readonly gain: Float32Array;
}

/** Boosted trees: the sum of their leaves, plus a constant, is added to a logit. */
export class TreeModel {
  readonly features: number;
  readonly base: number;
  readonly trees: readonly Tree[];

  constructor(features: number, base: number, trees: readonly Tree[]) {
    this.features = features;
    this.base = base;
    this.trees = trees;
  }

  /** Logit of the row that starts at `offset`. Values must be numbers: the vector has no gaps. */
  margin(values: Float32Array, offset: number): number {
    let z = this.base;
    for (const tree of this.trees) z += treeValue(tree, values, offset);
    return z;
  }
}

/** Value of the leaf that a row falls into. */
export function treeValue(
  { feature, threshold, left, right, value }: Tree,
  values: Float32Array,
  offset: number,
): number {
  let node = 0;
  for (let f = feature[0] as number; f >= 0; f = feature[node] as number) {
    const isLeft = (values[offset + f] as number) < (threshold[node] as number);
    node = (isLeft ? left[node] : right[node]) as number;
  }
  return value[node] as number;
}
