import { create } from "@bufbuild/protobuf";
import { type Clock, delay, preciseMs } from "../../base/clock.ts";
import { CourtsideError, errorText } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type AsyncBatch, protoCodec } from "../../operators/mod.ts";
import {
  type AnalysedPlay,
  type InsightRecord,
  InsightRecordSchema,
  type StageTimes,
} from "../../proto/gen/courtside/v1/job_pb.ts";
import {
  type PredictRequest,
  PredictRequestSchema,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { traceIdOf } from "./stages.ts";
import type { Prediction } from "../../proto/gen/courtside/v1/insight_pb.ts";

/** What the job needs of the scoring client. */
export interface Predictor {
  predictBatch(
    requests: readonly PredictRequest[],
    options: { readonly deadlineMs: number; readonly traceparent?: string },
  ): Promise<Prediction[]>;
}

/** Plays that may wait for an answer before the task stops reading: two calls' worth under way, two waiting. */
const CAPACITY = 1024;
/** States in one call: the server answers so many in a few milliseconds. */
const BATCH_SIZE = 256;
const CONCURRENCY = 2;
const CALL_DEADLINE_MS = 10_000;
/** How long the model server may be away before the task gives up and starts again from its checkpoint. */
const GIVE_UP_AFTER_MS = 60_000;
const RETRY_WAIT_MS = 250;

/** Asks the model about every play, in batches and in order; other records pass. */
export function predictPlays(
  predictor: Predictor,
  clock: Clock,
  log: Log,
): AsyncBatch<InsightRecord, InsightRecord> {
  return {
    uid: "predict",
    codec: protoCodec(InsightRecordSchema),
    skip: (record) => {
      const times = timesOf(record);
      if (times !== undefined) times.foldedMs = preciseMs(clock);
      return isScored(record) ? undefined : record;
    },
    capacity: CAPACITY,
    batchSize: BATCH_SIZE,
    concurrency: CONCURRENCY,
    call: async (records, traceparent) => {
      const plays = records.map(playOf);
      const calledMs = preciseMs(clock);
      for (const { times } of plays) if (times !== undefined) times.calledMs = calledMs;
      const requests = plays.map((play) =>
        create(
          PredictRequestSchema,
          play.features === undefined ? {} : { input: { case: "features", value: play.features } },
        ),
      );
      const options = {
        deadlineMs: CALL_DEADLINE_MS,
        ...(traceparent === "" ? {} : { traceparent }),
      };
      const answers = await untilAnswered(
        async () => predictor.predictBatch(requests, options),
        log,
      );
      const answeredMs = preciseMs(clock);
      for (const [i, play] of plays.entries()) {
        if (play.times !== undefined) play.times.answeredMs = answeredMs;
        attach(play, answers[i], Math.ceil(answeredMs));
      }
      return records;
    },
  };
}

function timesOf({ body }: InsightRecord): StageTimes | undefined {
  return body.case === "play" ? body.value.times : undefined;
}

/** A play that was taken back has no features. */
function isScored({ body }: InsightRecord): boolean {
  return body.case === "play" && body.value.features !== undefined;
}

function playOf(record: InsightRecord): AnalysedPlay {
  if (record.body.case !== "play") throw new TypeError("only plays are scored");
  return record.body.value;
}

function attach(play: AnalysedPlay, prediction: Prediction | undefined, nowMs: number): void {
  if (prediction === undefined || play.play === undefined) return;
  prediction.gameId = play.play.gameId;
  prediction.playNumber = play.play.playNumber;
  prediction.revision = play.play.revision;
  prediction.predictedTimeMs = BigInt(nowMs);
  prediction.traceId = traceIdOf(play.traceparent);
  play.prediction = prediction;
  if (play.result !== undefined) play.result.homeWinProb = prediction.homeWinProb;
}

/** A server that restarts is waited for; a request that it refuses is a bug and fails at once. */
async function untilAnswered<T>(call: () => Promise<T>, log: Log): Promise<T> {
  for (const giveUpMs = performance.now() + GIVE_UP_AFTER_MS; ;) {
    try {
      return await call();
    } catch (error) {
      const retryable = error instanceof CourtsideError && error.retryable;
      if (!retryable || performance.now() > giveUpMs) throw error;
      log.warn("predict_retry", { error: errorText(error) });
      await delay(RETRY_WAIT_MS);
    }
  }
}
