import { create } from "@bufbuild/protobuf";
import { type ServerDuplexStream } from "@grpc/grpc-js";
import { CourtsideError } from "../../base/errors.ts";
import { type Log } from "../../base/log.ts";
import { type Prediction } from "../../proto/gen/courtside/v1/insight_pb.ts";
import {
  PredictStreamResponseSchema,
  type PredictRequest,
  type PredictStreamRequest,
  type PredictStreamResponse,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { toStatus } from "../status.ts";
import { type Predictor } from "./predict.ts";
import { InvalidInputError } from "./validate.ts";

export type PredictStreamCall = ServerDuplexStream<PredictStreamRequest, PredictStreamResponse>;

/** Requests of one stream that may wait for their answer; reading pauses beyond. */
const MAX_STREAM_WAITING = 1_024;

/**
 * Scores the requests of a stream as they come and writes the answers in their order. The first bad request
 * ends the stream with its status, after the answers before it.
 * @returns a function that ends the stream after the answers that are owed.
 */
export function answerInOrder(
  stream: PredictStreamCall,
  predictor: Predictor,
  log: Log,
): () => void {
  let waiting = 0;
  let ended = false;
  let last: Promise<void> = Promise.resolve();

  const answer = async (
    before: Promise<void>,
    id: bigint,
    scored: Promise<Prediction>,
  ): Promise<void> => {
    await before;
    try {
      const prediction = await scored;
      if (!ended) stream.write(create(PredictStreamResponseSchema, { id, prediction }));
    } catch (error) {
      if (ended) return;
      ended = true;
      logUnexpected(log, "PredictStream", error);
      stream.emit("error", toStatus(error));
    }
    waiting -= 1;
    if (waiting < MAX_STREAM_WAITING && stream.isPaused()) stream.resume();
  };
  const finish = async (): Promise<void> => {
    await last;
    if (ended) return;
    ended = true;
    stream.end();
  };

  stream.on("data", ({ id, request }: PredictStreamRequest) => {
    waiting += 1;
    if (waiting >= MAX_STREAM_WAITING) stream.pause();
    const scored = scoreStreamed(predictor, request);
    // It is awaited in its turn, maybe after it failed.
    scored.catch(() => {});
    last = answer(last, id, scored);
  });
  stream.on("end", () => void finish());
  stream.on("cancelled", () => {
    ended = true;
  });
  return () => void finish();
}

/** Errors that callers caused are theirs to read; others are bugs or broken files. */
export function logUnexpected(log: Log, method: string, error: unknown): void {
  if (!(error instanceof CourtsideError)) log.error("call failed", error, { method });
}

async function scoreStreamed(
  predictor: Predictor,
  request: PredictRequest | undefined,
): Promise<Prediction> {
  if (request !== undefined) return predictor.predict(request);
  throw new InvalidInputError([{ field: "request", value: "absent", rule: "is required" }]);
}
