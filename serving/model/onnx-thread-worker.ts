/** Runs models on a thread of its own, for `onnx-thread.ts`. */
import { parentPort } from "node:worker_threads";
import { errorText } from "../../base/errors.ts";
import { loadOnnx, type ModelOutputs, type OnnxModel } from "./onnx.ts";
import { type ThreadAnswer, type ThreadRequest } from "./onnx-thread.ts";

const models = new Map<number, OnnxModel>();

parentPort?.on("message", (request: ThreadRequest) => void handle(request));

async function handle(request: ThreadRequest): Promise<void> {
  const { call } = request;
  try {
    const [answer, transfer] = await answerTo(request);
    parentPort?.postMessage({ call, ok: true, ...answer } satisfies ThreadAnswer, transfer);
  } catch (error) {
    parentPort?.postMessage(
      { call, ok: false, error: errorText(error) } satisfies ThreadAnswer,
      [],
    );
  }
}

interface Answer {
  readonly outputs?: ModelOutputs;
  readonly loaded?: { features: number; metadata: ReadonlyMap<string, string>; createMs: number };
}

async function answerTo(request: ThreadRequest): Promise<[Answer, ArrayBuffer[]]> {
  switch (request.kind) {
    case "load": {
      const startMs = performance.now();
      const model = await loadOnnx(request.bytes, request.threads);
      models.set(request.model, model);
      const { features, metadata } = model;
      return [{ loaded: { features, metadata, createMs: performance.now() - startMs } }, []];
    }
    case "run": {
      const model = models.get(request.model);
      if (model === undefined) throw new RangeError("the model is closed");
      // What ONNX Runtime gives lies in memory of its own, which cannot change its thread.
      const outputs = copied(await model.run(request.values, request.rows));
      return [{ outputs }, Object.values(outputs).map(({ buffer }) => buffer as ArrayBuffer)];
    }
    case "close":
      await models.get(request.model)?.close();
      models.delete(request.model);
      return [{}, []];
    default:
      return request satisfies never;
  }
}

function copied(outputs: ModelOutputs): ModelOutputs {
  const entries = Object.entries(outputs).map(([name, column]: [string, Float32Array]) => [
    name,
    Float32Array.from(column),
  ]);
  return Object.fromEntries(entries) as ModelOutputs;
}
