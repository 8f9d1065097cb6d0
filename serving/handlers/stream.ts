import { setTimeout as pause } from "node:timers/promises";
import { type ServerDuplexStream } from "@grpc/grpc-js";
import { CourtsideError } from "../../base/errors.ts";
import { type Log } from "../../base/log.ts";
import {
  PredictStreamRequestSchema,
  type PredictStreamRequest,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { expiryOf, OverloadedError, type CallState } from "../model/batcher.ts";
import { toStatus } from "../status.ts";
import { decoded, stateOf } from "./call.ts";
import { encodeStreamResponse } from "./encode.ts";
import { type Answer, type Predictor } from "./predict.ts";
import { InvalidInputError } from "./validate.ts";

/** Bytes in, bytes out: messages are decoded where their errors can be told. */
export type PredictStreamCall = ServerDuplexStream<Buffer, Buffer>;

/**
 * Requests of one stream that may wait for their answer; reading pauses beyond. A few dozen go through the model at
 * once, the rest covers the way of the answers.
 */
const MAX_STREAM_WAITING = 1_024;
/** Answers that may wait for the caller to take them; reading pauses beyond, so that a slow caller waits for itself. */
const MAX_UNSENT = 512;

interface Turn {
  readonly id: bigint;
  /** Set once it is known. */
  outcome: { readonly answer: Answer } | { readonly error: unknown } | undefined;
}

/**
 * Scores the requests of a stream as they come and writes the answers in their order. The first bad request
 * ends the stream with its status, after the answers before it. Reading pauses while answers are not taken.
 * @returns a function that ends the stream after the answers that are owed.
 */
export function answerInOrder(
  stream: PredictStreamCall,
  predictor: Predictor,
  log: Log,
): () => void {
  /** In the order of the requests. */
  const turns: Turn[] = [];
  const call = stateOf(stream);
  let isFinishing = false;
  let isEnded = false;

  const end = (error?: unknown): void => {
    if (isEnded) return;
    isEnded = true;
    turns.length = 0;
    if (error === undefined) stream.end();
    else {
      logUnexpected(log, "PredictStream", error);
      stream.emit("error", toStatus(error));
    }
  };
  const adjust = (): void => {
    const isFull = turns.length >= MAX_STREAM_WAITING || stream.writableLength >= MAX_UNSENT;
    if (isFull && !stream.isPaused()) stream.pause();
    else if (!isFull && stream.isPaused()) stream.resume();
  };
  const flush = (): void => {
    let written = 0;
    for (const { id, outcome } of turns) {
      if (outcome === undefined || isEnded) break;
      if ("error" in outcome) return end(outcome.error);
      const { prediction, explanation } = outcome.answer;
      stream.write(encodeStreamResponse(id, prediction, explanation));
      written += 1;
    }
    turns.splice(0, written);
    if (isFinishing && turns.length === 0) end();
    if (!isEnded) adjust();
  };
  const settle = (turn: Turn, outcome: NonNullable<Turn["outcome"]>): void => {
    turn.outcome = outcome;
    if (turns[0] === turn) flush();
  };

  stream.on("data", (bytes: Buffer) => {
    if (isEnded) return;
    let request: PredictStreamRequest | undefined;
    let failure: unknown;
    try {
      request = decoded(PredictStreamRequestSchema, bytes);
    } catch (error) {
      failure = error;
    }
    const turn: Turn = { id: request?.id ?? 0n, outcome: undefined };
    turns.push(turn);
    if (request === undefined) settle(turn, { error: failure });
    else void scored(predictor, request, call).then((outcome) => settle(turn, outcome));
    if (turns.length >= MAX_STREAM_WAITING) adjust();
  });
  stream.on("drain", () => {
    if (!isEnded) adjust();
  });
  const finish = (): void => {
    isFinishing = true;
    if (turns.length === 0) end();
  };
  stream.on("end", finish);
  stream.on("cancelled", () => {
    isEnded = true;
    turns.length = 0;
  });
  return finish;
}

/** Errors that callers caused are theirs to read; others are bugs or broken files. */
export function logUnexpected(log: Log, method: string, error: unknown): void {
  if (!(error instanceof CourtsideError)) log.error("call failed", error, { method });
}

/** Longest pause before a row is offered to a full model again. */
const MAX_PAUSE_MS = 20;

/** A stream is never refused for being quick: its rows wait for room, and reading pauses behind them. */
async function scored(
  predictor: Predictor,
  { request }: PredictStreamRequest,
  call: CallState,
): Promise<NonNullable<Turn["outcome"]>> {
  if (request === undefined) {
    const violation = { field: "request", value: "absent", rule: "is required" };
    return { error: new InvalidInputError([violation]) };
  }
  for (;;) {
    try {
      return { answer: await predictor.predict(request, call) };
    } catch (error) {
      const expired = expiryOf(call, Date.now());
      if (!(error instanceof OverloadedError) || expired !== undefined) return { error };
      await pause(Math.min(MAX_PAUSE_MS, error.retryAfterMs));
    }
  }
}
