import { joined, loadOnnx, type ModelOutputs, type OnnxModel } from "./onnx.ts";
import { type OnnxThread } from "./onnx-thread.ts";

/**
 * Largest file that also gets a session on the event loop's thread: a logistic model takes 0.6 KB and 2 ms to make,
 * trees take a megabyte and up to 300 ms, which would hold up every call.
 */
const MAX_INLINE_BYTES = 64 * 1024;
/**
 * Most rows of a run on the event loop's thread. The smallest models need 0.1 to 0.3 µs a row, the largest that fit
 * the limit above about 10, so that a run stays under 3 ms.
 */
const MAX_INLINE_ROWS = 256;
/** Rows of one run on the thread: what waits behind it waits 10 ms at most, with trees of 10 µs a row. */
const MAX_THREAD_ROWS = 1_024;

/**
 * Loads a model so that it never holds the event loop for long: few rows of a small model are scored where the call
 * is, everything else on the thread.
 * @param thread - none: all on this thread, as commands do that have nobody to answer meanwhile.
 * @param threads - ONNX Runtime's threads of one run.
 * @throws BadOnnxError
 */
export async function loadScorer(
  bytes: Uint8Array,
  { thread, threads = 1 }: { readonly thread?: OnnxThread | undefined; readonly threads?: number },
): Promise<OnnxModel> {
  if (thread === undefined) return loadOnnx(bytes, threads);
  const far = await thread.load(bytes, threads);
  const near = bytes.length <= MAX_INLINE_BYTES ? await loadOnnx(bytes, threads) : undefined;
  const { features, metadata } = far;

  const run = async (values: Float32Array, rows: number): Promise<ModelOutputs> => {
    if (near !== undefined && rows <= MAX_INLINE_ROWS) return near.run(values, rows);
    if (rows <= MAX_THREAD_ROWS) return far.run(values, rows);
    const parts: Promise<ModelOutputs>[] = [];
    for (let from = 0; from < rows; from += MAX_THREAD_ROWS) {
      const to = Math.min(rows, from + MAX_THREAD_ROWS);
      parts.push(far.run(values.slice(from * features, to * features), to - from));
    }
    return joined(await Promise.all(parts), rows);
  };
  return {
    features,
    metadata,
    run,
    score: async (values, rows) => (await run(values, rows)).p,
    async close() {
      await Promise.all([near?.close(), far.close()]);
    },
  };
}
