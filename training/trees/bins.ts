/** Largest number of bins of a column; a bin fits a byte. */
export const BINS_MAX = 256;

/** Rows that the cuts of a column are taken from: quantiles of them are good to a five-hundredth of a bin's share. */
const CUT_SAMPLE_ROWS = 65_536;

/**
 * Float32 cut points by column: bin b holds values below cut b and not below cut b - 1. A column with few values gets a
 * cut between each two of them, another one cuts at quantiles.
 */
export function cutsOf(values: Float32Array, rows: number, columns: number): Float32Array[] {
  const step = Math.max(1, Math.floor(rows / CUT_SAMPLE_ROWS));
  return Array.from({ length: columns }, (_, column) => {
    const sample = Float32Array.from(
      { length: Math.ceil(rows / step) },
      (__, i) => values[i * step * columns + column] as number,
    ).sort();
    const distinct = sample.filter((value, i) => i === 0 || value !== sample[i - 1]);
    if (distinct.length <= BINS_MAX) {
      return distinct.subarray(1).map((value, i) => (value + (distinct[i] as number)) / 2);
    }
    const cuts: number[] = [];
    for (let bin = 1; bin < BINS_MAX; bin += 1) {
      const cut = sample[Math.floor((bin * sample.length) / BINS_MAX)] as number;
      if (cut !== cuts.at(-1) && cut !== sample[0]) cuts.push(cut);
    }
    return Float32Array.from(cuts);
  });
}

/** Bins of rows `from` to `to`, row after row, into `bins`. */
export function binRows(
  values: Float32Array,
  bins: Uint8Array,
  cuts: readonly Float32Array[],
  range: { readonly from: number; readonly to: number },
): void {
  const columns = cuts.length;
  for (let column = 0; column < columns; column += 1) {
    const own = cuts[column] as Float32Array;
    for (let row = range.from; row < range.to; row += 1) {
      const at = row * columns + column;
      const value = values[at] as number;
      let low = 0;
      let high = own.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (value < (own[middle] as number)) high = middle;
        else low = middle + 1;
      }
      bins[at] = low;
    }
  }
}
