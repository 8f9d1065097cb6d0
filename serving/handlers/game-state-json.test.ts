import * as fc from "fast-check";
import { expect, test } from "vitest";
import { featureVectorOf } from "../../features/mod.ts";
import { GameStateSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import { parseRequest } from "./game-state-json.ts";
import { InvalidInputError } from "./validate.ts";

const STATE = {
  game_id: "0022300001",
  home_team: "BOS",
  away_team: "NYK",
  home_score: 88,
  away_score: 84,
  period: 4,
  clock_remaining_s: 312.4,
  possession: "NONE",
};
/** The state of a request, and how it was spelled. */
function parseGameState(json: unknown) {
  const { request, camelCase } = parseRequest(json);
  if (request.input.case !== "state") throw new TypeError("a state was expected");
  return { state: request.input.value, camelCase };
}

const RUNS = { seed: Number(process.env["SEED"] ?? 20_240_611), numRuns: 1_000 };

test("all spellings give the same state", () => {
  const { state, camelCase } = parseGameState(STATE);
  expect(state).toMatchObject({ homeScore: 88, clockRemainingS: 312.4, possession: Side.NONE });
  expect(camelCase).toBe(false);
  const camel = Object.fromEntries(
    Object.entries(STATE).map(([key, value]) => [
      key.replaceAll(/_(?<letter>[a-z])/gu, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );
  expect(parseGameState(camel)).toEqual({ state, camelCase: true });
});

test("any JSON at all is read or refused with violations, never with another error", () => {
  const names = GameStateSchema.fields.map(({ name }) => name);
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(fc.constantFrom(...names), fc.jsonValue()),
    fc
      .dictionary(fc.constantFrom(...names), fc.jsonValue())
      .map((extra) => Object.assign({}, STATE, extra)),
  );
  fc.assert(
    fc.property(anything, (json) => {
      try {
        parseGameState(json);
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidInputError);
        expect((error as InvalidInputError).violations.length).toBeGreaterThan(0);
        expect((error as InvalidInputError).message.length).toBeLessThan(6_000);
      }
    }),
    RUNS,
  );
}, 30_000);

test("every state that is accepted has finite features", () => {
  const number = fc.oneof(fc.double(), fc.integer({ min: -10, max: 800 }), fc.constant("Infinity"));
  const names = GameStateSchema.fields
    .filter(({ fieldKind, name }) => fieldKind === "scalar" && !(name in STATE))
    .map(({ name }) => name);
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), number), (extra) => {
      let state;
      try {
        ({ state } = parseGameState({ ...STATE, ...extra }));
      } catch {
        return;
      }
      expect(featureVectorOf(state).every(Number.isFinite)).toBe(true);
    }),
    RUNS,
  );
}, 30_000);
