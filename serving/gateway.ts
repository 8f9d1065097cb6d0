import { type IncomingMessage, type ServerResponse } from "node:http";
import { create, toJson } from "@bufbuild/protobuf";
import { CourtsideError } from "../base/errors.ts";
import { PredictionSchema, type Prediction } from "../proto/gen/courtside/v1/insight_pb.ts";
import { PredictRequestSchema } from "../proto/gen/courtside/v1/predict_service_pb.ts";
import {
  PredictDeadlineError,
  PredictRejectedError,
  PredictUnavailableError,
  type PredictClient,
} from "./client.ts";
import { parseGameState } from "./handlers/game-state-json.ts";
import { InvalidInputError, type Violation } from "./handlers/validate.ts";

/** Answers requests for `/v1/predict` and `/predict`; resolves to false for every other path. */
export type Gateway = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;

const PATHS: ReadonlySet<string> = new Set(["/v1/predict", "/predict"]);
/** A game state with every field takes about 2 KB. */
const MAX_BODY_BYTES = 64 * 1024;
/** Time for the scoring server; HTTP callers wait for an answer, so a try or two fit. */
const CALL_DEADLINE_MS = 2_000;
/** Time for a caller to send the body. */
const BODY_DEADLINE_MS = 10_000;

/**
 * `POST /v1/predict` and `POST /predict`: a game state as Protobuf JSON in, a prediction out. Errors are JSON
 * `{"error": {"code", "message", "violations": [{"field", "value", "rule"}]}}`.
 */
export function createGateway(client: Pick<PredictClient, "predictBatch">): Gateway {
  return async (request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    if (!PATHS.has(path)) return false;
    try {
      send(response, 200, await predict(client, request));
    } catch (error) {
      sendError(response, error);
    }
    return true;
  };
}

/** The request cannot be read as an HTTP request for a prediction. */
class HttpRequestError extends CourtsideError {
  override readonly code: string;
  override readonly retryable = false;
  readonly httpStatus: number;

  constructor(httpStatus: number, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.httpStatus = httpStatus;
    this.code = code;
  }
}

async function predict(
  client: Pick<PredictClient, "predictBatch">,
  request: IncomingMessage,
): Promise<unknown> {
  if (request.method !== "POST") {
    const message = `${String(request.method)} is not supported; send a game state with POST`;
    throw new HttpRequestError(405, "METHOD_NOT_ALLOWED", message);
  }
  const type = (request.headers["content-type"] ?? "application/json").split(";")[0]?.trim();
  if (type?.toLowerCase() !== "application/json") {
    const message = `content-type must be application/json; got ${JSON.stringify(type)}`;
    throw new HttpRequestError(415, "UNSUPPORTED_MEDIA_TYPE", message);
  }
  const { state, camelCase } = parseGameState(parseJson(await readBody(request)));
  const [prediction] = await client.predictBatch(
    [create(PredictRequestSchema, { input: { case: "state", value: state } })],
    { deadlineMs: CALL_DEADLINE_MS, ...traceOf(request) },
  );
  return predictionJson(prediction ?? create(PredictionSchema), camelCase);
}

function predictionJson(prediction: Prediction, camelCase: boolean): unknown {
  const options = { alwaysEmitImplicit: true, useProtoFieldName: !camelCase };
  const json = toJson(PredictionSchema, prediction, options) as object;
  return Object.fromEntries(Object.entries(json).filter(([key]) => !JOB_FIELDS.has(key)));
}

/** Fields of a prediction that only the insight job fills, in both spellings. */
const JOB_FIELDS: ReadonlySet<string> = new Set(
  [PredictionSchema.field.playNumber, PredictionSchema.field.revision]
    .concat([PredictionSchema.field.predictedTimeMs, PredictionSchema.field.traceId])
    .flatMap(({ name, jsonName }) => [name, jsonName]),
);

function traceOf(request: IncomingMessage): { traceparent?: string } {
  const { traceparent } = request.headers;
  return typeof traceparent === "string" ? { traceparent } : {};
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  const tooSlow = AbortSignal.timeout(BODY_DEADLINE_MS);
  const stop = (): void => {
    request.destroy(new Error("the body took too long"));
  };
  tooSlow.addEventListener("abort", stop, { once: true });
  try {
    // The default would close the socket with the loop, and the caller would never read why.
    const body = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    for await (const part of body) {
      bytes += part.length;
      if (bytes > MAX_BODY_BYTES) {
        const message = `the body must be at most ${MAX_BODY_BYTES} bytes`;
        throw new HttpRequestError(413, "BODY_TOO_LARGE", message);
      }
      parts.push(part);
    }
  } finally {
    tooSlow.removeEventListener("abort", stop);
  }
  return Buffer.concat(parts).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = `the body must be JSON, for example ${EXAMPLE}; got ${JSON.stringify(text.slice(0, 100))}`;
    throw new HttpRequestError(400, "INVALID_JSON", message, { cause: error });
  }
}

const EXAMPLE =
  '{"game_id":"0022300001","home_team":"BOS","away_team":"NYK","home_score":88,"away_score":84,' +
  '"period":4,"clock_remaining_s":312.4,"possession":"HOME"}';

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const { httpStatus, code, message, violations } = errorOf(error);
  if (httpStatus === 405) response.setHeader("allow", "POST");
  if (httpStatus === 503) response.setHeader("retry-after", "1");
  // The rest of a body that was not read would be taken for the next request.
  if (httpStatus === 413) response.setHeader("connection", "close");
  send(response, httpStatus, { error: { code, message, ...(violations && { violations }) } });
}

interface HttpError {
  readonly httpStatus: number;
  readonly code: string;
  readonly message: string;
  readonly violations?: readonly Violation[];
}

function errorOf(error: unknown): HttpError {
  if (error instanceof InvalidInputError) {
    const { message, violations } = error;
    return { httpStatus: 400, code: "INVALID_ARGUMENT", message, violations };
  }
  if (error instanceof HttpRequestError) return error;
  if (error instanceof PredictRejectedError) {
    const { status: code, message, retryable } = error;
    if (code === "INVALID_ARGUMENT") return { httpStatus: 400, code, message };
    if (retryable) return { httpStatus: 503, code, message };
  }
  if (error instanceof PredictUnavailableError || error instanceof PredictDeadlineError) {
    return { httpStatus: 503, code: error.code, message: error.message };
  }
  return { httpStatus: 500, code: "INTERNAL", message: "the scoring server failed; see its log" };
}

function send(response: ServerResponse, httpStatus: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(httpStatus, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
  });
  response.end(text);
}
