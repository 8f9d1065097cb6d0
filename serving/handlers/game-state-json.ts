import { create, fromJson, type DescField, type JsonValue } from "@bufbuild/protobuf";
import { errorText } from "../../base/errors.ts";
import { GameStateSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import {
  PredictRequestSchema,
  type PredictRequest,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { gameStateViolations, InvalidInputError, valueText, type Violation } from "./validate.ts";

/** A request as it came, and how its fields were spelled. */
export interface ParsedRequest {
  readonly request: PredictRequest;
  /** True for `gameId`, false for `game_id`: the answer is spelled in the same way. */
  readonly camelCase: boolean;
}

/**
 * Reads a request from JSON: a game state as Protobuf JSON with field names in snake_case or camelCase, `possession`
 * also as HOME, AWAY or NONE; bare, or as `{"state": {...}, "explain": true, "model_version": "..."}`.
 * @param prefix - put before each field in errors, for example `[3].`.
 * @throws InvalidInputError naming every field that cannot be read or is out of range.
 */
export function parseRequest(json: unknown, prefix = ""): ParsedRequest {
  const { fields, explain, modelVersion } = partsOf(json, prefix);
  const state = create(GameStateSchema);
  const violations: Violation[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value === null) continue;
    if (violations.length >= MAX_VIOLATIONS) break;
    const field = FIELDS.get(name);
    if (field === undefined) {
      const rule = `is not a field of a game state; fields are ${FIELD_NAMES.join(", ")}`;
      const shown = name.slice(0, MAX_NAME_CHARS).toWellFormed();
      violations.push({ field: prefix + shown, value: valueText(value), rule });
      continue;
    }
    try {
      const read = fromJson(GameStateSchema, { [field.name]: normalised(field, value) });
      Reflect.set(state, field.localName, Reflect.get(read, field.localName));
    } catch (error) {
      const rule = `${ruleOf(field)}${nestedHint(field, error)}`;
      violations.push({ field: prefix + field.name, value: valueText(value), rule });
    }
  }
  const broken = gameStateViolations(state, prefix);
  const unread = violations.map((violation) => withRangeOf(violation, broken));
  const names = new Set(unread.map(({ field }) => field));
  const all = [...unread, ...broken.filter(({ field }) => !names.has(field))];
  if (all.length > 0) throw new InvalidInputError(all);
  const input = { case: "state" as const, value: state };
  const request = create(PredictRequestSchema, { input, explain, modelVersion });
  return { request, camelCase: "gameId" in fields };
}

/** A required field that cannot be read is missing after all, and that rule says what would be right. */
function withRangeOf(violation: Violation, broken: readonly Violation[]): Violation {
  const missing = broken.find(({ field }) => field === violation.field);
  if (missing === undefined) return violation;
  return { ...violation, rule: missing.rule.replace(/^is required: /u, "must be ") };
}

/** Wrong fields that are told at once: more than a state has are not worth an answer. */
const MAX_VIOLATIONS = 48;
/** Characters of an unknown name that an error repeats. */
const MAX_NAME_CHARS = 100;

/** Field by either spelling. */
const FIELDS: ReadonlyMap<string, DescField> = new Map(
  GameStateSchema.fields.flatMap((field) => [
    [field.name, field],
    [field.jsonName, field],
  ]),
);
const FIELD_NAMES = GameStateSchema.fields.map(({ name }) => name);

interface Parts {
  readonly fields: Record<string, JsonValue>;
  readonly explain: boolean;
  readonly modelVersion: string;
}

/** What may stand beside the state in a wrapped request, by either spelling. */
const OPTIONS: ReadonlyMap<string, "explain" | "modelVersion"> = new Map([
  ["explain", "explain"],
  ["model_version", "modelVersion"],
  ["modelVersion", "modelVersion"],
]);

function partsOf(json: unknown, prefix: string): Parts {
  const refuse = (field: string, value: unknown, rule: string): never => {
    throw new InvalidInputError([{ field: prefix + field, value: valueText(value), rule }]);
  };
  if (!isObject(json)) {
    return refuse("body", json, 'must be a JSON object: a game state, or {"state": {...}}');
  }
  if (!("state" in json)) return { fields: json, explain: false, modelVersion: "" };
  const options: { explain: unknown; modelVersion: unknown } = { explain: false, modelVersion: "" };
  for (const [key, value] of Object.entries(json)) {
    if (key === "state") continue;
    const option = OPTIONS.get(key);
    const rule = 'cannot stand beside "state"; explain and model_version can';
    if (option === undefined) return refuse(key, value, rule);
    options[option] = value;
  }
  const { explain, modelVersion } = options;
  if (typeof explain !== "boolean") return refuse("explain", explain, "must be true or false");
  if (typeof modelVersion !== "string") {
    return refuse("model_version", modelVersion, "must be a string: a version or an alias");
  }
  if (isObject(json["state"])) return { fields: json["state"], explain, modelVersion };
  const rule = "must be a JSON object with the fields of a game state";
  return refuse("state", json["state"], rule);
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
