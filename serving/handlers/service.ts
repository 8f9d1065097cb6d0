import { create } from "@bufbuild/protobuf";
import {
  type handleUnaryCall,
  type Metadata,
  type sendUnaryData,
  type ServerUnaryCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { type Log } from "../../base/log.ts";
import { type Metrics } from "../../base/metrics.ts";
import { type Tracing } from "../../base/tracing.ts";
import {
  GetModelResponseSchema,
  ListModelsResponseSchema,
  PredictBatchResponseSchema,
  PredictResponseSchema,
  type GetModelRequest,
  type GetModelResponse,
  type ListModelsRequest,
  type ListModelsResponse,
  type PredictBatchRequest,
  type PredictBatchResponse,
  type PredictRequest,
  type PredictResponse,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { TRACEPARENT_HEADER } from "../../proto/subjects.ts";
import { toStatus } from "../status.ts";
import { type Predictor } from "./predict.ts";
import { answerInOrder, logUnexpected, type PredictStreamCall } from "./stream.ts";

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
  const observed = observe(tools);
  const streams = new Map<PredictStreamCall, () => void>();

  const predict: handleUnaryCall<PredictRequest, PredictResponse> = observed(
    "Predict",
    async (request) => {
      const prediction = await predictor.predict(request);
      return create(PredictResponseSchema, { prediction });
    },
    () => 1,
  );
  const predictBatch: handleUnaryCall<PredictBatchRequest, PredictBatchResponse> = observed(
    "PredictBatch",
    async ({ requests }) => {
      const predictions = await predictor.predictBatch(requests);
      return create(PredictBatchResponseSchema, { predictions });
    },
    ({ requests }) => requests.length,
  );
  const listModels: handleUnaryCall<ListModelsRequest, ListModelsResponse> = observed(
    "ListModels",
    () => create(ListModelsResponseSchema, { models: predictor.listModels() }),
  );
  const getModel: handleUnaryCall<GetModelRequest, GetModelResponse> = observed(
    "GetModel",
    ({ modelVersion }) => create(GetModelResponseSchema, { model: predictor.model(modelVersion) }),
  );
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

/** Makes a unary handler that is timed, traced when the caller is traced, and maps errors. */
function observe({ log, tracing, metrics }: ServiceTools) {
  const duration = metrics.histogram("courtside.predict.duration", "ms", "Time in the handler");
  const rows = metrics.counter("courtside.predict.rows", "{row}", "Rows that were scored");

  return <I, O>(
    method: string,
    handle: (request: I) => O | Promise<O>,
    rowsOf: (request: I) => number = () => 0,
  ): handleUnaryCall<I, O> => {
    const answer = async (request: I, metadata: Metadata): Promise<O> => {
      const startMs = performance.now();
      const parent = traceparentOf(metadata);
      const span = parent === undefined ? undefined : startSpan(tracing, method, parent);
      const labels = { method, outcome: "ok" };
      try {
        const response = await handle(request);
        rows.add(rowsOf(request));
        return response;
      } catch (error) {
        labels.outcome = "error";
        span?.fail(error);
        throw error;
      } finally {
        span?.setAttributes({ "courtside.rows": rowsOf(request) });
        span?.end();
        duration.record(performance.now() - startMs, labels);
      }
    };
    const respond = async (
      { request, metadata }: ServerUnaryCall<I, O>,
      callback: sendUnaryData<O>,
    ): Promise<void> => {
      let response: O;
      try {
        response = await answer(request, metadata);
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

function traceparentOf(metadata: Metadata): string | undefined {
  const [value] = metadata.get(TRACEPARENT_HEADER);
  return typeof value === "string" && value !== "" ? value : undefined;
}
