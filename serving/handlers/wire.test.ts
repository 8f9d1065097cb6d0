import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { array, assert as check, nat, property, tuple } from "fast-check";
import { expect, test } from "vitest";
import { Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import {
  PredictBatchRequestSchema,
  PredictRequestSchema,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { messagesIn, wireViolation } from "./wire.ts";

const seed = Number(process.env["SEED"] ?? 20_261_125);
const STATE = {
  gameId: "0022300001",
  homeTeam: "BOS",
  awayTeam: "Žalgiris",
  homeScore: 88,
  awayScore: 84,
  period: 4,
  clockRemainingS: 312.4,
  possession: Side.HOME,
  currentRun: -3,
  homeLast2Min: { points: 5, possessions: 4.4 },
};
const request = create(PredictRequestSchema, { input: { case: "state", value: STATE } });
const features = create(PredictRequestSchema, {
  input: { case: "features", value: { schemaHash: "b6", values: [1, 2.5] } },
});
const bytes = toBinary(PredictRequestSchema, request);
const both = [bytes, toBinary(PredictRequestSchema, features)];

/** `{state: {<these bytes>}}` */
const inState = (...state: number[]): Uint8Array => Uint8Array.of(10, state.length, ...state);

test("a good message has nothing against it", () => {
  expect(wireViolation(PredictRequestSchema, bytes)).toBeUndefined();
  expect(wireViolation(PredictRequestSchema, toBinary(PredictRequestSchema, features))).toBe(
    undefined,
  );
  expect(wireViolation(PredictRequestSchema, new Uint8Array(0))).toBeUndefined();
});

test("fields of later contracts are passed over", () => {
  expect(wireViolation(PredictRequestSchema, Uint8Array.of(0x98, 0x06, 1))).toBeUndefined();
});

test.each([
  ["text that is no UTF-8", inState(0x0a, 2, 0xff, 0xfe), "state.game_id", "0xfffe", /UTF-8/u],
  ["text for a number", inState(0x22, 3, 65, 66, 67), "state.home_score", "wire type 2", /number/u],
  ["a number for text", inState(0x08, 5), "state.game_id", "wire type 0", /text/u],
  ["a float for a double", inState(0x3d, 0, 0, 0, 0), "state.clock_remaining_s", "5", /double/u],
  ["a length past the end", inState(0x0a, 10, 65), "state.game_id", "end early", /complete/u],
  ["a number without end", inState(0x20, 0xff, 0xff), "state.home_score", "end early", /complete/u],
  ["a group", inState(0x0c), "state.game_id", "wire type 4", /text/u],
  ["a nested field", inState(0xb2, 1, 2, 0x0a, 0), "state.home_last_2_min.points", "2", /number/u],
  [
    "half a packed number",
    Uint8Array.of(18, 5, 0x12, 3, 1, 2, 3),
    "features.values",
    "3 bytes",
    /packed/u,
  ],
  ["field number 0", Uint8Array.of(0, 1), "message", "number 0", /protobuf/u],
])("%s is named by field, value and rule", (_, broken, field, value, rule) => {
  const violation = wireViolation(PredictRequestSchema, broken, "requests[2].");
  expect(violation?.field).toBe(`requests[2].${field}`);
  expect(violation?.value).toContain(value);
  expect(violation?.rule).toMatch(rule);
});

test(`what has nothing against it can be decoded, whatever was done to it (seed ${seed})`, () => {
  const change = tuple(nat(bytes.length - 1), nat(255));
  check(
    property(nat(1), array(change, { maxLength: 4 }), nat(bytes.length), (which, changes, end) => {
      const broken = (both[which] ?? bytes).slice(0, end);
      for (const [at, value] of changes) if (at < broken.length) broken[at] = value;
      if (wireViolation(PredictRequestSchema, broken) !== undefined) return;
      expect(() => fromBinary(PredictRequestSchema, broken)).not.toThrow();
    }),
    { seed, numRuns: 5_000 },
  );
});

test("the messages of a repeated field come one by one", () => {
  const batch = create(PredictBatchRequestSchema, { requests: [request, features, request] });
  const parts = [...messagesIn(toBinary(PredictBatchRequestSchema, batch), 1)];
  expect(parts.map((part) => fromBinary(PredictRequestSchema, part))).toEqual(batch.requests);
});
