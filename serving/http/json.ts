import { toJson, type JsonObject } from "@bufbuild/protobuf";
import { PredictionSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { ExplanationSchema } from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { type Answer } from "../handlers/predict.ts";
import { type HttpError } from "./errors.ts";

/** Example of a body, for messages. */
export const EXAMPLE =
  '{"game_id":"0022300001","home_team":"BOS","away_team":"NYK","home_score":88,"away_score":84,' +
  '"period":4,"clock_remaining_s":312.4,"possession":"HOME"}';

/** Fields of a prediction that only the insight job fills or reads, in both spellings. */
const JOB_FIELDS: ReadonlySet<string> = new Set(
  [PredictionSchema.field.playNumber, PredictionSchema.field.revision]
    .concat([PredictionSchema.field.predictedTimeMs, PredictionSchema.field.traceId])
    .concat(PredictionSchema.field.shadows)
    .flatMap(({ name, jsonName }) => [name, jsonName]),
);

/** A prediction as Protobuf JSON, spelled as its request was; `explanation` beside its fields when asked for. */
export function answerJson({ prediction, explanation }: Answer, camelCase: boolean): JsonObject {
  const options = { alwaysEmitImplicit: true, useProtoFieldName: !camelCase };
  const json = toJson(PredictionSchema, prediction, options) as JsonObject;
  const told = Object.entries(json).filter(([key]) => !JOB_FIELDS.has(key));
  const body: JsonObject = Object.fromEntries(told);
  if (explanation !== undefined) {
    body["explanation"] = toJson(ExplanationSchema, explanation, options);
  }
  return body;
}

/** Body of an error. */
export function errorJson({ code, message, violations, retryAfterMs }: HttpError): JsonObject {
  return {
    error: {
      code,
      message,
      ...(violations !== undefined && { violations: violations.map((each) => ({ ...each })) }),
      ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }),
    },
  };
}
