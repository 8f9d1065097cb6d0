import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  Client,
  credentials,
  Metadata,
  status,
  type MethodDefinition,
  type ServiceError,
} from "@grpc/grpc-js";
import { CourtsideError } from "../base/errors.ts";
import { noTracing, type Tracing } from "../base/tracing.ts";
import { type Prediction } from "../proto/gen/courtside/v1/insight_pb.ts";
import {
  GetModelRequestSchema,
  PredictBatchRequestSchema,
  PredictService,
  type Model,
  type PredictRequest,
} from "../proto/gen/courtside/v1/predict_service_pb.ts";
import { TRACEPARENT_HEADER } from "../proto/subjects.ts";
import { methodDefinition } from "./grpc.ts";

/** Connection to a scoring server. Lost connections come back by themselves. */
export interface PredictClient {
  /**
   * Scores states or feature vectors; answers are in the order of the requests.
   * @param requests - any number; more than 4,096 are sent in several calls, one after the other.
   * @throws PredictUnavailableError, PredictDeadlineError, PredictRejectedError
   */
  predictBatch(requests: readonly PredictRequest[], options: CallOptions): Promise<Prediction[]>;
  /**
   * Describes a model of the server; empty for the champion.
   * @throws as `predictBatch`
   */
  model(version: string, options: CallOptions): Promise<Model>;
  /**
   * Resolves once the server answers.
   * @throws PredictUnavailableError when it does not within the time.
   */
  waitReady(timeoutMs: number): Promise<void>;
  /** Ends the connection; calls under way fail. */
  close(): void;
}

export interface CallOptions {
  /** Time for the whole call, tries included, milliseconds. */
  readonly deadlineMs: number;
  /** W3C `traceparent` of the play that the call is for; without one nothing is traced. */
  readonly traceparent?: string;
}

/** The server cannot be reached, and the tries are used up. */
export class PredictUnavailableError extends CourtsideError {
  override readonly code = "PREDICT_UNAVAILABLE";
  override readonly retryable = true;
}

/** No answer within the deadline. */
export class PredictDeadlineError extends CourtsideError {
  override readonly code = "PREDICT_DEADLINE";
  override readonly retryable = true;
}

/** The server refuses the request; `status` is the gRPC status code, for example INVALID_ARGUMENT. */
export class PredictRejectedError extends CourtsideError {
  override readonly code = "PREDICT_REJECTED";
  override readonly retryable: boolean;
  readonly status: keyof typeof status;

  constructor(error: ServiceError) {
    super(error.details, { cause: error });
    this.status = (status[error.code] ?? "UNKNOWN") as keyof typeof status;
    this.retryable = error.code === status.RESOURCE_EXHAUSTED;
  }
}

/** Tries of one call while the server is away; with the pauses below they span about 3 s. */
const MAX_TRIES = 8;
/** Pause after the first failed try; doubled after each, up to the largest. */
const FIRST_PAUSE_MS = 25;
const LARGEST_PAUSE_MS = 1_000;
/** Requests of one call; the server takes no more. */
const MAX_BATCH_REQUESTS = 4_096;
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

const BATCH = methodDefinition(PredictService.method.predictBatch);
const MODEL = methodDefinition(PredictService.method.getModel);

/** @param address - `host:port`; the connection is made with the first call. */
export function connectPredict(
  address: string,
  { tracing = noTracing }: { readonly tracing?: Tracing } = {},
): PredictClient {
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    // The library's own pause grows to two minutes; a local server is back within a second.
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 1_000,
    // A live game may be silent for minutes; a dead connection is noticed all the same.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 5_000,
  });

  /** One call with tries; spans only for calls that carry a trace. */
  const call = async <I, O>(
    method: MethodDefinition<I, O>,
    request: I,
    { deadlineMs, traceparent }: CallOptions,
  ): Promise<O> => {
    const span =
      traceparent === undefined
        ? undefined
        : tracing.start("predict call", { kind: "client", parent: traceparent });
    const metadata = new Metadata();
    // A tracing that traces nothing has no traceparent of its own: the caller's goes on.
    const carried = span?.traceparent === "" ? traceparent : span?.traceparent;
    if (carried !== undefined) metadata.set(TRACEPARENT_HEADER, carried);
    try {
      return await withTries(address, deadlineMs, (deadline) =>
        unary(client, method, request, metadata, deadline),
      );
    } catch (error) {
      span?.fail(error);
      throw error;
    } finally {
      span?.end();
    }
  };

  return {
    async predictBatch(requests, options) {
      const predictions: Prediction[] = [];
      for (let from = 0; from < requests.length; from += MAX_BATCH_REQUESTS) {
        const part = requests.slice(from, from + MAX_BATCH_REQUESTS);
        const response = await call(
          BATCH,
          create(PredictBatchRequestSchema, { requests: part }),
          options,
        );
        assert.equal(response.predictions.length, part.length, "the server must answer every row");
        for (const prediction of response.predictions) predictions.push(prediction);
      }
      return predictions;
    },
    async model(modelVersion, options) {
      const response = await call(MODEL, create(GetModelRequestSchema, { modelVersion }), options);
      assert(response.model !== undefined, "the server must answer with a model");
      return response.model;
    },
    waitReady: (timeoutMs) =>
      new Promise((resolve, reject) => {
        client.waitForReady(Date.now() + timeoutMs, (error) => {
          if (error === undefined) return resolve();
          const message = `no scoring server answers at ${address} within ${timeoutMs} ms`;
          return reject(new PredictUnavailableError(message, { cause: error }));
        });
      }),
    close: () => client.close(),
  };
}

function unary<I, O>(
  client: Client,
  { path, requestSerialize, responseDeserialize }: MethodDefinition<I, O>,
  request: I,
  metadata: Metadata,
  deadline: number,
): Promise<O> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      (error, response) => {
        if (error !== null) return reject(error);
        assert(response !== undefined, "a call without an error has a response");
        return resolve(response);
      },
    );
  });
}

async function withTries<O>(
  address: string,
  deadlineMs: number,
  attempt: (deadline: number) => Promise<O>,
): Promise<O> {
  const deadline = Date.now() + deadlineMs;
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt(deadline);
    } catch (error) {
      if (!isServiceError(error)) throw error;
      if (error.code === status.DEADLINE_EXCEEDED) {
        const message = `no answer from the scoring server at ${address} within ${deadlineMs} ms`;
        throw new PredictDeadlineError(message, { cause: error });
      }
      if (error.code !== status.UNAVAILABLE) throw new PredictRejectedError(error);
      const pauseMs = Math.min(LARGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tries - 1));
      if (tries >= MAX_TRIES || Date.now() + pauseMs >= deadline) {
        const message = `the scoring server at ${address} is away (${tries} tries): ${error.details}`;
        throw new PredictUnavailableError(message, { cause: error });
      }
      await pause(pauseMs);
    }
  }
}

/** Between half and all of the time, so that many clients do not come back at once. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms * (0.5 + Math.random() / 2)));
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}
