import { create, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  array,
  assert as check,
  bigInt,
  constantFrom,
  double,
  integer,
  option,
  property,
  record,
  string as fcString,
} from "fast-check";
import { expect, test } from "vitest";
import { PredictionSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import {
  ExplanationSchema,
  PredictBatchResponseSchema,
  PredictResponseSchema,
  PredictStreamResponseSchema,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { encodeBatchPart, encodePredictResponse, encodeStreamResponse } from "./encode.ts";

const seed = Number(process.env["SEED"] ?? 20_261_125);
const text = fcString({ unit: "binary", maxLength: 200 }).map((value) => value.toWellFormed());
const uint32 = integer({ min: 0, max: 0xff_ff_ff_ff });
const anyNumber = double({ noNaN: true });
const fields = {
  gameId: text,
  playNumber: uint32,
  revision: uint32,
  homeWinProb: anyNumber,
  homeWinProbLow: anyNumber,
  homeWinProbHigh: anyNumber,
  homeRunProb: anyNumber,
  awayRunProb: anyNumber,
  intervalCoverage: anyNumber,
  modelName: text,
  modelVersion: text,
  schemaHash: text,
  traceId: constantFrom("", "0af7651916cd43dd8448eb211c80319c"),
  predictedTimeMs: constantFrom(0n, 1_700_000_000_000n),
  shadows: array(
    record({ modelName: text, modelVersion: text, homeWinProb: anyNumber, alias: text }),
    { maxLength: 3 },
  ),
};
const prediction = record(fields, { requiredKeys: [] }).map((some) =>
  create(PredictionSchema, some),
);
const explanation = option(
  record({ pregameWinProb: anyNumber, logOdds: anyNumber, feature: text }).map(
    ({ feature, ...rest }) =>
      create(ExplanationSchema, { ...rest, contributions: [{ feature, logOdds: 1 }] }),
  ),
  { nil: undefined },
);

test(`what is encoded by hand is what the library reads (seed ${seed})`, () => {
  const id = bigInt({ min: 0n, max: 2n ** 64n - 1n });
  check(
    property(prediction, explanation, id, (p, why, number64) => {
      const unary = fromBinary(PredictResponseSchema, encodePredictResponse(p, why));
      expect(unary.prediction && equals(PredictionSchema, unary.prediction, p)).toBe(true);
      expect(unary.explanation).toEqual(why);
      const bytes = encodeStreamResponse(number64, p, why);
      const streamed = fromBinary(PredictStreamResponseSchema, bytes);
      expect(streamed.id).toBe(number64);
      expect(streamed.prediction && equals(PredictionSchema, streamed.prediction, p)).toBe(true);
      expect(streamed.explanation).toEqual(why);
    }),
    { seed, numRuns: 500 },
  );
});

test(`parts of a batch are one response when they are put together (seed ${seed})`, () => {
  check(
    property(array(prediction, { maxLength: 5 }), explanation, (some, why) => {
      const whys = why === undefined ? [] : [why];
      const parts = [encodeBatchPart(some), encodeBatchPart(some, whys)];
      const read = fromBinary(PredictBatchResponseSchema, Buffer.concat(parts));
      const twice = create(PredictBatchResponseSchema, {
        predictions: [...some, ...some],
        explanations: whys,
      });
      expect(toBinary(PredictBatchResponseSchema, read)).toEqual(
        toBinary(PredictBatchResponseSchema, twice),
      );
    }),
    { seed, numRuns: 200 },
  );
});

test("every field of a prediction is among those that are tried: a new one goes into encode.ts too", () => {
  const known = PredictionSchema.fields.map(({ localName }) => localName);
  expect(Object.keys(fields).toSorted()).toEqual(known.toSorted());
});
