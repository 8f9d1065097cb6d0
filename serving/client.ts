import assert from "node:assert/strict";
import { getCACertificates } from "node:tls";
import { create } from "@bufbuild/protobuf";
import {
  Client,
  credentials,
  Metadata,
  status,
  type ChannelCredentials,
  type ClientUnaryCall,
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
  type Explanation,
  type Model,
  type PredictRequest,
} from "../proto/gen/courtside/v1/predict_service_pb.ts";
import { TRACEPARENT_HEADER } from "../proto/subjects.ts";
import { createRetryBudget, createThrottle } from "./client-budget.ts";
import { methodDefinition } from "./grpc.ts";

/** Connection to a scoring server. Lost connections come back by themselves. */
export interface PredictClient {
  /**
   * Scores states or feature vectors; answers are in the order of the requests.
   * @param requests - any number; more than 4,096 are sent in several calls, one after the other.
   * @throws PredictUnavailableError, PredictDeadlineError, PredictRejectedError, PredictThrottledError
   */
  predictBatch(requests: readonly PredictRequest[], options: CallOptions): Promise<Prediction[]>;
  /** As `predictBatch`, with what the requests' `explain` asks for. */
  answers(requests: readonly PredictRequest[], options: CallOptions): Promise<PredictAnswer[]>;
  /** Scores one state. @throws as `predictBatch` */
  predict(request: PredictRequest, options: CallOptions): Promise<PredictAnswer>;
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

/** One answer; the explanation is there when the request asked for it. */
export interface PredictAnswer {
  readonly prediction: Prediction;
  readonly explanation: Explanation | undefined;
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
  /** How long the server wants to be left alone, milliseconds; undefined when it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(error: ServiceError) {
    super(error.details, { cause: error });
    this.retryAfterMs = pushbackOf(error);
    this.status = (status[error.code] ?? "UNKNOWN") as keyof typeof status;
    this.retryable = error.code === status.RESOURCE_EXHAUSTED;
  }
}

/** Not even sent: the server has refused so much of late that it would have refused this too. */
export class PredictThrottledError extends CourtsideError {
  override readonly code = "PREDICT_THROTTLED";
  override readonly retryable = true;
}

export interface ClientOptions {
  readonly tracing?: Tracing;
  /** Default: in the clear. */
  readonly credentials?: ChannelCredentials;
  /** Bearer token that the server asks for. */
  readonly token?: string | undefined;
  /** Calls at once; more are refused here at once, since they would only wait. */
  readonly maxCalls?: number;
  /**
   * Sends a call once more when it has not been answered after this time, and takes the first answer. Off by
   * default: it helps against a slow server among several, and loads a single one for nothing.
   */
  readonly hedgeAfterMs?: number | undefined;
}

/** Half of what the server lets one connection have: at 0.2 ms a call, the last is answered after 25 ms. */
const MAX_CALLS = 128;
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
const ONE = methodDefinition(PredictService.method.predict);

/** The library has a list of its own, which knows nothing of `NODE_EXTRA_CA_CERTS`. */
function authorities(): Buffer {
  return Buffer.from(getCACertificates("default").join("\n"));
}

/** Stands before an address whose server has a certificate; the authorities are those of Node (`NODE_EXTRA_CA_CERTS`). */
const TLS_SCHEME = "tls://";

/**
 * @param address - `host:port`, or `dns:///host:port` for all servers behind a name, each with its share of the calls;
 * `tls://` before either for an encrypted connection, which is made with the first call.
 */
export function connectPredict(address: string, options: ClientOptions = {}): PredictClient {
  const encrypted = address.startsWith(TLS_SCHEME);
  const client = new Client(
    encrypted ? address.slice(TLS_SCHEME.length) : address,
    options.credentials ??
      (encrypted ? credentials.createSsl(authorities()) : credentials.createInsecure()),
    CHANNEL_OPTIONS,
  );
  const call = createCaller(client, address, options);
  const answers: PredictClient["answers"] = async (requests, callOptions) => {
    const found: PredictAnswer[] = [];
    for (let from = 0; from < requests.length; from += MAX_BATCH_REQUESTS) {
      const part = requests.slice(from, from + MAX_BATCH_REQUESTS);
      const batch = create(PredictBatchRequestSchema, { requests: part });
      const { predictions, explanations } = await call(BATCH, batch, callOptions);
      assert.equal(predictions.length, part.length, "the server must answer every row");
      let explained = 0;
      for (const [i, prediction] of predictions.entries()) {
        const explanation = part[i]?.explain === true ? explanations[explained++] : undefined;
        found.push({ prediction, explanation });
      }
    }
    return found;
  };

  return {
    answers,
    predictBatch: async (requests, callOptions) =>
      (await answers(requests, callOptions)).map(({ prediction }) => prediction),
    async predict(request, callOptions) {
      const { prediction, explanation } = await call(ONE, request, callOptions);
      assert(prediction !== undefined, "the server must answer with a prediction");
      return { prediction, explanation };
    },
    async model(modelVersion, callOptions) {
      const request = create(GetModelRequestSchema, { modelVersion });
      const response = await call(MODEL, request, callOptions);
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

type Caller = <I, O>(
  method: MethodDefinition<I, O>,
  request: I,
  options: CallOptions,
) => Promise<O>;

/** Makes calls with tries, within the budget and the throttle of their connection. */
function createCaller(client: Client, address: string, options: ClientOptions): Caller {
  const { tracing = noTracing, token, maxCalls = MAX_CALLS, hedgeAfterMs } = options;
  const budget = createRetryBudget();
  const throttle = createThrottle();
  let calls = 0;

  /** One try, and a second beside it when calls are hedged; tells the throttle how it went. */
  const attempt = async <I, O>(
    method: MethodDefinition<I, O>,
    request: I,
    metadata: Metadata,
    deadline: number,
  ): Promise<O> => {
    try {
      const once = (): StartedCall<O> => unary(client, method, request, metadata, deadline);
      const response = await (hedgeAfterMs === undefined
        ? once().response
        : hedged(once, hedgeAfterMs, () => budget.take()));
      throttle.tell(true);
      budget.answered();
      return response;
    } catch (error) {
      const isRefused = isServiceError(error) && error.code === status.RESOURCE_EXHAUSTED;
      throttle.tell(!isRefused);
      throw error;
    }
  };
  // Spans are only for calls that carry a trace.
  return async (method, request, { deadlineMs, traceparent }) => {
    if (calls >= maxCalls || !throttle.mayAsk()) {
      const why = calls >= maxCalls ? `${maxCalls} calls are under way` : "it refuses most calls";
      throw new PredictThrottledError(`the scoring server at ${address} is full: ${why}`);
    }
    calls += 1;
    const span =
      traceparent === undefined
        ? undefined
        : tracing.start("predict call", { kind: "client", parent: traceparent });
    const metadata = new Metadata();
    // A tracing that traces nothing has no traceparent of its own: the caller's goes on.
    const carried = span?.traceparent === "" ? traceparent : span?.traceparent;
    if (carried !== undefined) metadata.set(TRACEPARENT_HEADER, carried);
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    try {
      return await withTries(
        address,
        deadlineMs,
        () => budget.take(),
        (deadline) => attempt(method, request, metadata, deadline),
      );
    } catch (error) {
      span?.fail(error);
      throw error;
    } finally {
      calls -= 1;
      span?.end();
    }
  };
}

const CHANNEL_OPTIONS = {
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  // The library's own pause grows to two minutes; a local server is back within a second.
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 1_000,
  // A live game may be silent for minutes; a dead connection is noticed all the same.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 5_000,
  // Tries are this client's, within its budget.
  "grpc.enable_retries": 0,
  // Of several servers behind one name each gets its share; the default would stay with the first.
  "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
};

interface StartedCall<O> {
  readonly response: Promise<O>;
  cancel(): void;
}

/** The first of two calls that is answered; the second is made when the first takes long. */
async function hedged<O>(
  once: () => StartedCall<O>,
  afterMs: number,
  mayHedge: () => boolean,
): Promise<O> {
  const first = once();
  const settled = first.response.then(
    () => true,
    () => true,
  );
  if (await Promise.race([settled, pauseExactly(afterMs).then(() => false)])) return first.response;
  if (!mayHedge()) return first.response;
  const second = once();
  try {
    return await Promise.any([first.response, second.response]);
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    first.cancel();
    second.cancel();
  }
}

function unary<I, O>(
  client: Client,
  { path, requestSerialize, responseDeserialize }: MethodDefinition<I, O>,
  request: I,
  metadata: Metadata,
  deadline: number,
): StartedCall<O> {
  let started: ClientUnaryCall | undefined;
  const response = new Promise<O>((resolve, reject) => {
    started = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      (error, message) => {
        if (error !== null) return reject(error);
        assert(message !== undefined, "a call without an error has a response");
        return resolve(message);
      },
    );
  });
  return { response, cancel: () => started?.cancel() };
}

async function withTries<O>(
  address: string,
  deadlineMs: number,
  mayRetry: () => boolean,
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
      if (tries >= MAX_TRIES || Date.now() + pauseMs >= deadline || !mayRetry()) {
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

function pauseExactly(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What the server's trailer says of when to try again (gRPC proposal A6). */
function pushbackOf({ metadata }: ServiceError): number | undefined {
  const [value] = metadata.get("grpc-retry-pushback-ms");
  const ms = Number(value ?? Number.NaN);
  return Number.isFinite(ms) ? ms : undefined;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}
