import { create, fromJson, type DescField, type JsonValue } from "@bufbuild/protobuf";
import { errorText } from "../../base/errors.ts";
import { GameStateSchema, type GameState } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { gameStateViolations, InvalidInputError, valueText, type Violation } from "./validate.ts";

/** A game state as it came, and how its fields were spelled. */
export interface ParsedGameState {
  readonly state: GameState;
  /** True for `gameId`, false for `game_id`: the answer is spelled in the same way. */
  readonly camelCase: boolean;
}

/**
 * Reads a game state from JSON: Protobuf JSON with field names in snake_case or camelCase, `possession` also as
 * HOME, AWAY or NONE; bare, or as `{"state": {...}}`.
 * @throws InvalidInputError naming every field that cannot be read or is out of range.
 */
export function parseGameState(json: unknown): ParsedGameState {
  const fields = fieldsOf(json);
  const state = create(GameStateSchema);
  const violations: Violation[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value === null) continue;
    const field = FIELDS.get(name);
    if (field === undefined) {
      const rule = `is not a field of a game state; fields are ${FIELD_NAMES.join(", ")}`;
      violations.push({ field: name, value: valueText(value), rule });
      continue;
    }
    try {
      const read = fromJson(GameStateSchema, { [field.name]: normalised(field, value) });
      Reflect.set(state, field.localName, Reflect.get(read, field.localName));
    } catch (error) {
      const rule = `${ruleOf(field)}${nestedHint(field, error)}`;
      violations.push({ field: field.name, value: valueText(value), rule });
    }
  }
  const unread = new Set(violations.map(({ field }) => field));
  const broken = gameStateViolations(state).filter(({ field }) => !unread.has(field));
  if (violations.length + broken.length > 0)
    throw new InvalidInputError([...violations, ...broken]);
  const camelCase = "gameId" in fields;
  return { state, camelCase };
}

/** Field by either spelling. */
const FIELDS: ReadonlyMap<string, DescField> = new Map(
  GameStateSchema.fields.flatMap((field) => [
    [field.name, field],
    [field.jsonName, field],
  ]),
);
const FIELD_NAMES = GameStateSchema.fields.map(({ name }) => name);

function fieldsOf(json: unknown): Record<string, JsonValue> {
  if (isObject(json) && "state" in json) {
    const extra = Object.keys(json).find((key) => key !== "state");
    if (extra !== undefined) {
      const rule = 'cannot stand beside "state"';
      throw new InvalidInputError([{ field: extra, value: valueText(json[extra]), rule }]);
    }
    if (isObject(json["state"])) return json["state"];
    const rule = "must be a JSON object with the fields of a game state";
    throw new InvalidInputError([{ field: "state", value: valueText(json["state"]), rule }]);
  }
  if (isObject(json)) return json;
  const rule = 'must be a JSON object: a game state, or {"state": {...}}';
  throw new InvalidInputError([{ field: "body", value: valueText(json), rule }]);
}

function isObject(value: unknown): value is Record<string, JsonValue> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** HOME is short for SIDE_HOME. */
function normalised({ fieldKind }: DescField, value: JsonValue): JsonValue {
  if (fieldKind !== "enum" || typeof value !== "string") return value;
  return value.startsWith("SIDE_") ? value : `SIDE_${value}`;
}

function ruleOf(field: DescField): string {
  switch (field.fieldKind) {
    case "enum":
      return "must be HOME, AWAY or NONE";
    case "message":
      return "must be an object of the contract's fields";
    case "scalar":
      return SCALAR_RULES.get(typeOfDefault(field)) ?? "must be a number";
    case "list":
    case "map":
      return "must be of the type that the contract says";
    default:
      return field satisfies never;
  }
}

const SCALAR_RULES: ReadonlyMap<string, string> = new Map([
  ["string", "must be a string"],
  ["boolean", "must be true or false"],
]);

function typeOfDefault(field: DescField & { fieldKind: "scalar" }): string {
  return typeof field.getDefaultValue();
}

/** Inside of a window, the library knows which of its fields it was. */
function nestedHint({ fieldKind }: DescField, error: unknown): string {
  return fieldKind === "message" ? ` (${errorText(error)})` : "";
}
