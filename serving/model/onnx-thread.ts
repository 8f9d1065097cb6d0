import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { BadOnnxError, type ModelOutputs, type OnnxModel } from "./onnx.ts";

/** Asks the thread for something; `call` numbers the answer. */
export type ThreadRequest = { readonly call: number; readonly model: number } & (
  | { readonly kind: "load"; readonly bytes: Uint8Array; readonly threads: number }
  | { readonly kind: "run"; readonly values: Float32Array; readonly rows: number }
  | { readonly kind: "close" }
);

/** The answer to the request of the same number. */
export type ThreadAnswer = { readonly call: number } & (
  | {
      readonly ok: true;
      readonly outputs?: ModelOutputs;
      readonly loaded?: {
        readonly features: number;
        readonly metadata: ReadonlyMap<string, string>;
        readonly createMs: number;
      };
    }
  | { readonly ok: false; readonly error: string }
);

/** A model on the thread; `createMs` says how long making it took there. */
export interface ThreadModel extends OnnxModel {
  readonly createMs: number;
}

/**
 * A thread that makes and runs models: ONNX Runtime holds the thread that calls it for as long as it computes, and
 * the event loop has calls to answer meanwhile. A hop there and back costs a quarter of a millisecond.
 */
export interface OnnxThread {
  /** @throws BadOnnxError */
  load(bytes: Uint8Array, threads: number): Promise<ThreadModel>;
  /** Ends the thread; what is under way fails. */
  close(): Promise<void>;
}

export function startOnnxThread(): OnnxThread {
  const worker = new Worker(new URL("./onnx-thread-worker.ts", import.meta.url));
  // A process that has nothing else to do may end.
  worker.unref();
  const waiting = new Map<number, (answer: ThreadAnswer) => void>();
  let calls = 0;
  let models = 0;
  let failure: string | undefined;

  const failAll = (error: string): void => {
    failure = error;
    for (const [call, settle] of waiting) settle({ call, ok: false, error });
    waiting.clear();
  };
  worker.on("message", (answer: ThreadAnswer) => {
    waiting.get(answer.call)?.(answer);
    waiting.delete(answer.call);
  });
  worker.on("error", (error) => failAll(`the model thread failed: ${error.message}`));
  worker.on("exit", () => failAll(failure ?? "the model thread has ended"));

  const ask = (
    request: DistributiveOmit<ThreadRequest, "call">,
    transfer: ArrayBuffer[] = [],
  ): Promise<ThreadAnswer & { ok: true }> =>
    new Promise((resolve, reject) => {
      if (failure !== undefined) return reject(new BadOnnxError(failure));
      const call = (calls += 1);
      waiting.set(call, (answer) =>
        answer.ok ? resolve(answer) : reject(new BadOnnxError(answer.error)),
      );
      return worker.postMessage({ ...request, call }, transfer);
    });

  return {
    async load(bytes, threads) {
      const model = (models += 1);
      const { loaded } = await ask({ kind: "load", model, bytes, threads });
      assert(loaded !== undefined, "a loaded model is described");
      const run = async (values: Float32Array, rows: number): Promise<ModelOutputs> => {
        const owned = ownedBuffer(values);
        const { outputs } = await ask({ kind: "run", model, values: owned, rows }, [owned.buffer]);
        assert(outputs !== undefined, "a run gives outputs");
        return outputs;
      };
      return {
        ...loaded,
        run,
        score: async (values, rows) => (await run(values, rows)).p,
        close: async () => void (await ask({ kind: "close", model })),
      };
    },
    async close() {
      failure ??= "the model thread has ended";
      await worker.terminate();
    },
  };
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** The same numbers in a buffer that can be given away whole. */
function ownedBuffer(values: Float32Array): Float32Array<ArrayBuffer> {
  const { buffer, byteLength } = values;
  const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  return isWhole ? (values as Float32Array<ArrayBuffer>) : Float32Array.from(values);
}
