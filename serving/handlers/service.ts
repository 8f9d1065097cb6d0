import { create, type JsonObject } from "@bufbuild/protobuf";
import {
  type handleUnaryCall,
  type sendUnaryData,
  type ServerUnaryCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { type Log } from "../../base/log.ts";
import { type Metrics } from "../../base/metrics.ts";
import { type Tracing } from "../../base/tracing.ts";
import {
  GetModelRequestSchema,
  GetModelResponseSchema,
  ListModelsRequestSchema,
  ListModelsResponseSchema,
  PredictBatchRequestSchema,
  PredictRequestSchema,
  type PredictRequest,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { TRACEPARENT_HEADER } from "../../proto/subjects.ts";
import { toStatus } from "../status.ts";
import { startBreath } from "./breath.ts";
import { answered, decoded, stateOf, type BytesHandler } from "./call.ts";
import { encodeBatchPart, encodePredictResponse } from "./encode.ts";
import { MAX_BATCH_REQUESTS, type Answer, type Predictor } from "./predict.ts";
import { answerInOrder, logUnexpected, type PredictStreamCall } from "./stream.ts";
import { InvalidInputError } from "./validate.ts";
import { messagesIn, outerViolation } from "./wire.ts";

export interface ServiceTools {
  readonly log: Log;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
}

/** PredictService for grpc-js; `endStreams` finishes what streams have been sent and ends them. */
export interface PredictHandlers {
  readonly implementation: UntypedServiceImplementation;
  endStreams(): void;
}

export function predictHandlers(predictor: Predictor, tools: ServiceTools): PredictHandlers {
  const unary = observedUnary(tools);
  const streams = new Map<PredictStreamCall, () => void>();

  const predict = unary("Predict", async (bytes, call) => {
    const answer = await predictor.predict(decoded(PredictRequestSchema, bytes), call);
    return { response: encodePredictResponse(answer.prediction, answer.explanation), rows: 1 };
  });
  const predictBatch = unary("PredictBatch", async (bytes, call) => {
    const answers = await predictor.predictBatch(await decodedBatch(bytes), call);
    return { response: await encodedBatch(answers), rows: answers.length };
  });
  const listModels = unary("ListModels", (bytes) => {
    decoded(ListModelsRequestSchema, bytes);
    const response = create(ListModelsResponseSchema, { models: predictor.listModels() });
    return answered(ListModelsResponseSchema, response);
  });
  const getModel = unary("GetModel", async (bytes) => {
    const { modelVersion } = decoded(GetModelRequestSchema, bytes);
    const model = predictor.model(modelVersion);
    const card = JSON.parse(JSON.stringify(predictor.registry.card(modelVersion))) as JsonObject;
    return answered(GetModelResponseSchema, create(GetModelResponseSchema, { model, card }));
  });
  const predictStream = (stream: PredictStreamCall): void => {
    streams.set(stream, answerInOrder(stream, predictor, tools.log));
    const forget = (): void => void streams.delete(stream);
    stream.on("close", forget);
    stream.on("cancelled", forget);
    stream.on("finish", forget);
  };

  return {
    implementation: { predict, predictBatch, predictStream, listModels, getModel },
    endStreams() {
      for (const finish of streams.values()) finish();
    },
  };
}

/** A batch can be megabytes: its requests are decoded one by one, with room for other calls between. */
async function decodedBatch(bytes: Uint8Array): Promise<PredictRequest[]> {
  const outer = outerViolation(PredictBatchRequestSchema, bytes);
  if (outer !== undefined) throw new InvalidInputError([outer]);
  const requests: PredictRequest[] = [];
  const breath = startBreath();
  for (const part of messagesIn(bytes, PredictBatchRequestSchema.field.requests.number)) {
    if (requests.length >= MAX_BATCH_REQUESTS) {
      const rule = `must be at most ${MAX_BATCH_REQUESTS}`;
      throw new InvalidInputError([
        { field: "requests.length", value: `more than ${MAX_BATCH_REQUESTS}`, rule },
      ]);
    }
    const prefix = `requests[${requests.length}].`;
    requests.push(decoded(PredictRequestSchema, part, prefix));
    if (breath.isDue()) await breath.take();
  }
  return requests;
}

/** Answers that are encoded between two looks at the sockets; about 0.1 ms. */
const ENCODE_ROWS = 128;

async function encodedBatch(answers: readonly Answer[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  const breath = startBreath();
  for (let from = 0; from < answers.length; from += ENCODE_ROWS) {
    const some = answers.slice(from, from + ENCODE_ROWS);
    const explanations = some.flatMap(({ explanation }) => explanation ?? []);
    parts.push(
      encodeBatchPart(
        some.map(({ prediction }) => prediction),
        explanations,
      ),
    );
    if (breath.isDue()) await breath.take();
  }
  return Buffer.concat(parts);
}

type UnaryCall = ServerUnaryCall<Buffer, Buffer>;

/** Makes a unary handler that is timed, traced when the caller is traced, and maps errors. */
export function observedUnary({ log, tracing, metrics }: ServiceTools) {
  const duration = metrics.histogram("courtside.predict.duration", "ms", "Time in the handler");
  const rowCounter = metrics.counter("courtside.predict.rows", "{row}", "Rows that were scored");

  return (method: string, handle: BytesHandler): handleUnaryCall<Buffer, Buffer> => {
    const ok = { method, outcome: "ok" };
    const failed = { method, outcome: "error" };
    const answer = async (call: UnaryCall): Promise<Buffer> => {
      const startMs = performance.now();
      const parent = traceparentOf(call);
      const span = parent === undefined ? undefined : startSpan(tracing, method, parent);
      try {
        const { response, rows } = await handle(call.request, stateOf(call));
        if (rows > 0) rowCounter.add(rows);
        span?.setAttributes({ "courtside.rows": rows });
        duration.record(performance.now() - startMs, ok);
        return response;
      } catch (error) {
        span?.fail(error);
        duration.record(performance.now() - startMs, failed);
        throw error;
      } finally {
        span?.end();
      }
    };
    const respond = async (call: UnaryCall, callback: sendUnaryData<Buffer>): Promise<void> => {
      let response: Buffer;
      try {
        response = await answer(call);
      } catch (error) {
        logUnexpected(log, method, error);
        return callback(toStatus(error));
      }
      return callback(null, response);
    };
    return (call, callback) => void respond(call, callback);
  };
}

function startSpan(tracing: Tracing, method: string, parent: string) {
  const attributes = { "rpc.system": "grpc", "rpc.method": method };
  return tracing.start("predict", { kind: "server", parent, attributes });
}

function traceparentOf({ metadata }: UnaryCall): string | undefined {
  const [value] = metadata.get(TRACEPARENT_HEADER);
  return typeof value === "string" && value !== "" ? value : undefined;
}
