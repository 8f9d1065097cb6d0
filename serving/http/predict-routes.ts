import { type IncomingMessage } from "node:http";
import { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { type JsonValue } from "@bufbuild/protobuf";
import { CourtsideError, errorText } from "../../base/errors.ts";
import { type Log } from "../../base/log.ts";
import { type PredictRequest } from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { startBreath } from "../handlers/breath.ts";
import { parseRequest, type ParsedRequest } from "../handlers/game-state-json.ts";
import { type Answer } from "../handlers/predict.ts";
import { InvalidInputError } from "../handlers/validate.ts";
import { type CallState } from "../model/batcher.ts";
import { HttpRequestError, toHttpError } from "./errors.ts";
import { answerJson, errorJson, EXAMPLE } from "./json.ts";

/** Who scores: this process, or a server elsewhere. Answers are in the order of the requests. */
export interface PredictBackend {
  predict(
    requests: readonly PredictRequest[],
    call: CallState & { readonly traceparent: string | undefined },
  ): Promise<readonly Answer[]>;
}

export const PREDICT_PATHS = ["/v1/predict", "/predict"] as const;
export const STREAM_PATH = "/v1/predict/stream";
/** States of one array; more go through the stream, or through gRPC. */
export const MAX_STATES = 512;
/** A game state with every field takes about 2 KB; 256 KB are parsed in 2 ms. */
export const MAX_BODY_BYTES = 256 * 1024;
/** Time for an answer; HTTP callers wait for it, so a try or two of a server elsewhere fit. */
const CALL_DEADLINE_MS = 2_000;

/** `POST /v1/predict` and `/predict`: a game state, or an array of them, as Protobuf JSON in; predictions out. */
export function addPredictRoutes(app: FastifyInstance, backend: PredictBackend, log: Log): void {
  for (const path of PREDICT_PATHS) {
    app.post(path, (request) => predictBody(backend, request));
  }
  app.post(STREAM_PATH, (request, reply) => stream(backend, request, reply, log));
}

async function predictBody(backend: PredictBackend, request: FastifyRequest): Promise<JsonValue> {
  const { body } = request;
  const isExplained = explainOf(request);
  const parsed: ParsedRequest[] = [];
  if (Array.isArray(body)) {
    checkCount(body.length);
    const breath = startBreath();
    for (const [i, json] of body.entries()) {
      parsed.push(parseRequest(json, `[${i}].`));
      if (breath.isDue()) await breath.take();
    }
  } else parsed.push(parseRequest(body));
  if (isExplained) for (const each of parsed) each.request.explain = true;
  const answers = await backend.predict(
    parsed.map((each) => each.request),
    callOf(request.raw),
  );
  const json = answers.map((answer, i) => answerJson(answer, parsed[i]?.camelCase ?? false));
  const [only] = json;
  return Array.isArray(body) || only === undefined ? json : only;
}

function checkCount(count: number): void {
  if (count <= MAX_STATES) return;
  const rule = `must have at most ${MAX_STATES} states; more go to ${STREAM_PATH}`;
  throw new InvalidInputError([{ field: "body.length", value: String(count), rule }]);
}

/** `?explain=true` is short for `"explain": true` in every request. */
function explainOf({ query }: FastifyRequest): boolean {
  const value = (query as Readonly<Record<string, unknown>>)["explain"];
  if (value === undefined || value === "false") return false;
  if (value === "true" || value === "") return true;
  const text = JSON.stringify(value);
  throw new InvalidInputError([{ field: "explain", value: text, rule: "must be true or false" }]);
}

function callOf(
  request: IncomingMessage,
): CallState & { readonly traceparent: string | undefined } {
  const { traceparent } = request.headers;
  return {
    deadlineMs: Date.now() + CALL_DEADLINE_MS,
    traceparent: typeof traceparent === "string" ? traceparent : undefined,
    get cancelled() {
      return request.socket.destroyed;
    },
  };
}

/** Content types of a stream of states, a JSON value a line. */
const LINE_TYPES: ReadonlySet<string> = new Set(["application/x-ndjson", "application/jsonl"]);
export const isLineType = (type: string): boolean => LINE_TYPES.has(type);
/** A line with every field of a state takes about 2 KB. */
const MAX_LINE_BYTES = 16 * 1024;
/** Lines that are scored at once: a part of what one read of the socket gives. */
const MAX_LINES_AT_ONCE = 128;
/** A stream on which nothing comes for so long is ended: its caller has most likely gone. */
const STREAM_IDLE_MS = 60_000;

/**
 * States in, predictions out, a line each and in order, as newline-delimited JSON or, when the caller accepts
 * `text/event-stream`, as server-sent events. A bad line is answered by an error in its place. Reading pauses while
 * answers are not taken.
 */
async function stream(
  backend: PredictBackend,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Log,
): Promise<void> {
  const isExplained = explainOf(request);
  const isEvents = (request.headers.accept ?? "").includes("text/event-stream");
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    "content-type": isEvents ? "text/event-stream" : "application/x-ndjson",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  raw.flushHeaders();
  request.raw.setTimeout(STREAM_IDLE_MS, () => raw.destroy());
  const send = async (values: readonly JsonValue[]): Promise<void> => {
    const texts = values.map((value) => JSON.stringify(value));
    const text = texts.map((each) => (isEvents ? `data: ${each}\n\n` : `${each}\n`)).join("");
    if (raw.write(text) || raw.destroyed) return;
    await new Promise<void>((resolve) => {
      raw.once("drain", resolve);
      raw.once("close", resolve);
    });
  };
  try {
    for await (const lines of lineGroups(request.raw)) {
      if (raw.destroyed) return;
      await send(await answersTo(backend, lines, isExplained, request.raw));
    }
  } catch (error) {
    const told = toHttpError(error);
    if (told.httpStatus === 500) log.warn("stream ended", { error: errorText(error) });
    if (!raw.destroyed) await send([errorJson(told)]);
  }
  raw.end();
}

async function answersTo(
  backend: PredictBackend,
  lines: readonly string[],
  isExplained: boolean,
  raw: IncomingMessage,
): Promise<JsonValue[]> {
  const parsed = lines.map((line) => parsedLine(line, isExplained));
  const good = parsed.flatMap((each) => ("request" in each ? [each] : []));
  const scored = await scoredLines(backend, good, raw);
  let next = 0;
  return parsed.map((each) => {
    if (!("request" in each)) return errorJson(toHttpError(each.error));
    const answer = scored[next];
    next += 1;
    if (answer === undefined || "error" in answer) return errorJson(toHttpError(answer?.error));
    return answerJson(answer, each.camelCase);
  });
}

/** Together when all want the same model; a group that fails fails by the line. */
async function scoredLines(
  backend: PredictBackend,
  good: readonly ParsedRequest[],
  raw: IncomingMessage,
): Promise<(Answer | { readonly error: unknown })[]> {
  if (good.length === 0) return [];
  try {
    return [
      ...(await backend.predict(
        good.map(({ request }) => request),
        callOf(raw),
      )),
    ];
  } catch (error) {
    const isTooMuch = error instanceof CourtsideError && error.retryable;
    if (good.length === 1 || isTooMuch) return good.map(() => ({ error }));
    const one: (Answer | { readonly error: unknown })[] = [];
    for (const each of good) one.push(...(await scoredLines(backend, [each], raw)));
    return one;
  }
}

function parsedLine(
  line: string,
  isExplained: boolean,
): ParsedRequest | { readonly error: unknown } {
  try {
    const parsed = parseRequest(parseJson(line));
    if (isExplained) parsed.request.explain = true;
    return parsed;
  } catch (error) {
    return { error };
  }
}

/** Whole lines, as many as came together, at most {@link MAX_LINES_AT_ONCE}; empty ones are left out. */
async function* lineGroups(body: IncomingMessage): AsyncGenerator<string[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const part of body as AsyncIterable<Buffer>) {
    const text = rest + decodedText(decoder, part);
    const lines = text.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE_BYTES || lines.some((line) => line.length > MAX_LINE_BYTES)) {
      const message = `a line must be at most ${MAX_LINE_BYTES} bytes; the stream is ended`;
      throw new HttpRequestError(413, "LINE_TOO_LONG", message);
    }
    const whole = lines.filter((line) => line.trim() !== "");
    for (let from = 0; from < whole.length; from += MAX_LINES_AT_ONCE) {
      yield whole.slice(from, from + MAX_LINES_AT_ONCE);
    }
  }
  if (rest.trim() !== "") yield [rest];
}

function decodedText(decoder: InstanceType<typeof TextDecoder>, part: Uint8Array): string {
  try {
    return decoder.decode(part, { stream: true });
  } catch (error) {
    throw new HttpRequestError(400, "INVALID_UTF8", "the body must be UTF-8", { cause: error });
  }
}

/** @throws HttpRequestError with an example of what would be right */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const got = JSON.stringify(text.slice(0, 100).toWellFormed());
    const message = `the body must be JSON, for example ${EXAMPLE}; got ${got}`;
    throw new HttpRequestError(400, "INVALID_JSON", message, { cause: error });
  }
}
