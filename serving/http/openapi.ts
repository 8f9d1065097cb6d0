import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { GameStateSchema, PredictionSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { ExplanationSchema } from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { EXAMPLE } from "./json.ts";
import { MAX_STATES } from "./predict-routes.ts";

type Json = Readonly<Record<string, unknown>>;

/** The OpenAPI 3.1 description of the HTTP gateway; the schemas are those of the contract. */
export function openApiDocument(): Json {
  const schemas: Record<string, Json> = {};
  for (const message of [GameStateSchema, PredictionSchema, ExplanationSchema]) {
    addSchema(message, schemas);
  }
  const state = required(schemas["GameState"] ?? {}, REQUIRED_OF_STATE);
  return {
    openapi: "3.1.0",
    info: {
      title: "Courtside win probability",
      version: "1",
      description:
        "Who wins, after every play. The same over gRPC (courtside.v1.PredictService) and the Open Inference Protocol. " +
        "Field names may be spelled in snake_case or camelCase; the answer is spelled as its request.",
    },
    paths: paths(),
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: {
        ...schemas,
        GameState: state,
        PredictRequest: {
          type: "object",
          required: ["state"],
          properties: {
            state: ref("GameState"),
            explain: { type: "boolean", description: "Also tell why." },
            model_version: { type: "string", description: "Version or alias; default champion." },
          },
        },
        PredictAnswer: {
          allOf: [
            ref("Prediction"),
            { type: "object", properties: { explanation: ref("Explanation") } },
          ],
        },
        Error: errorSchema(),
      },
    },
  };
}

const REQUIRED_OF_STATE = [
  "game_id",
  "home_team",
  "away_team",
  "home_score",
  "away_score",
  "period",
  "clock_remaining_s",
  "possession",
];

function required(schema: Json, fields: readonly string[]): Json {
  return { ...schema, required: fields };
}

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: Json, example?: unknown): Json => ({
  "application/json": { schema, ...(example !== undefined && { example }) },
});

function paths(): Json {
  const one = [ref("GameState"), ref("PredictRequest")];
  const predict = {
    post: {
      summary: "Score one state, or an array of them",
      parameters: [
        {
          name: "explain",
          in: "query",
          schema: { type: "boolean" },
          description: "Also tell why.",
        },
      ],
      requestBody: {
        required: true,
        content: json(
          { oneOf: [...one, { type: "array", maxItems: MAX_STATES, items: { oneOf: one } }] },
          JSON.parse(EXAMPLE),
        ),
      },
      responses: {
        200: {
          description: "A prediction, or an array of them in the order of the states",
          content: json({
            oneOf: [ref("PredictAnswer"), { type: "array", items: ref("PredictAnswer") }],
          }),
        },
        ...errorResponses(),
      },
    },
  };
  return {
    "/v1/predict": predict,
    "/predict": predict,
    "/v1/predict/stream": {
      post: {
        summary: "States in, predictions out, a line each",
        description:
          "Answers come while states are still sent. With `accept: text/event-stream` as server-sent events. A bad line " +
          "is answered by an error in its place.",
        requestBody: {
          required: true,
          content: { "application/x-ndjson": { schema: ref("GameState") } },
        },
        responses: {
          200: {
            description: "Predictions in the order of the states",
            content: {
              "application/x-ndjson": { schema: ref("PredictAnswer") },
              "text/event-stream": { schema: ref("PredictAnswer") },
            },
          },
          ...errorResponses(),
        },
      },
    },
    "/healthz": { get: text("The process answers") },
    "/readyz": { get: text("Calls are wanted") },
    "/metrics": { get: text("Prometheus metrics") },
    "/v2/models/{name}/infer": openInference(),
  };
}

function openInference(): Json {
  return {
    post: {
      summary: "Open Inference Protocol, version 2: feature vectors in, probabilities out",
      parameters: [{ name: "name", in: "path", required: true, schema: { type: "string" } }],
      requestBody: {
        required: true,
        content: json({ type: "object", required: ["inputs"] }),
      },
      responses: { 200: { description: "Tensors", content: json({ type: "object" }) } },
    },
  };
}

function text(description: string): Json {
  return { summary: description, responses: { 200: { description } } };
}

function errorResponses(): Json {
  const described: Readonly<Record<string, string>> = {
    400: "A field is missing, out of range or of the wrong type; every violation names field, value and rule",
    401: "A token is required",
    404: "The model is not known",
    408: "The body took too long",
    412: "The model cannot do what is asked, for example explain",
    413: "The body is too large",
    415: "The content type is not one that is read",
    429: "Too many calls; try again after the time that retry-after says",
    503: "No model answers at present",
  };
  return Object.fromEntries(
    Object.entries(described).map(([status, description]) => [
      status,
      { description, content: json(ref("Error")) },
    ]),
  );
}

function errorSchema(): Json {
  const string = { type: "string" };
  const violation = { type: "object", properties: { field: string, value: string, rule: string } };
  const properties = {
    code: string,
    message: string,
    violations: { type: "array", items: violation },
    retry_after_ms: { type: "integer" },
  };
  return { type: "object", properties: { error: { type: "object", properties } } };
}

/** JSON Schema of a message and of all it refers to, in the spelling of the contract. */
function addSchema(message: DescMessage, schemas: Record<string, Json>): void {
  if (schemas[message.name] !== undefined) return;
  schemas[message.name] = {};
  const properties = message.fields.map((field) => [field.name, schemaOf(field, schemas)]);
  schemas[message.name] = { type: "object", properties: Object.fromEntries(properties) };
}

function schemaOf(field: DescField, schemas: Record<string, Json>): Json {
  switch (field.fieldKind) {
    case "message":
      addSchema(field.message, schemas);
      return ref(field.message.name);
    case "enum":
      return { type: "string", enum: field.enum.values.map(({ name }) => name) };
    case "list":
      if (field.message === undefined) return { type: "array" };
      addSchema(field.message, schemas);
      return { type: "array", items: ref(field.message.name) };
    case "scalar":
      return { type: SCALARS.get(field.scalar) ?? "integer" };
    case "map":
      return { type: "object" };
    default:
      return field satisfies never;
  }
}

const SCALARS: ReadonlyMap<ScalarType, string> = new Map([
  [ScalarType.STRING, "string"],
  [ScalarType.BOOL, "boolean"],
  [ScalarType.DOUBLE, "number"],
  [ScalarType.FLOAT, "number"],
]);
