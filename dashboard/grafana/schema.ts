import { Ajv, type AnySchemaObject, type ErrorObject, type ValidateFunction } from "ajv";
import { join } from "node:path";
import {
  type CompletedConfig,
  createFormatter,
  createParser,
  createProgram,
  DEFAULT_CONFIG,
  type Schema,
  SchemaGenerator,
} from "ts-json-schema-generator";

/** A target of the ClickHouse plugin; the SDK's own `Dataquery` is a marker without fields. */
const TARGET: Schema = {
  type: "object",
  additionalProperties: false,
  required: ["refId", "datasource", "pluginVersion", "editorType", "rawSql", "queryType", "format"],
  properties: {
    refId: { type: "string", minLength: 1 },
    datasource: {
      type: "object",
      additionalProperties: false,
      required: ["type", "uid"],
      properties: { type: { const: "grafana-clickhouse-datasource" }, uid: { type: "string" } },
    },
    pluginVersion: { type: "string" },
    editorType: { const: "sql" },
    rawSql: { type: "string", minLength: 1 },
    queryType: { enum: ["table", "timeseries", "logs", "traces"] },
    format: { enum: [0, 1, 2, 3] },
  },
};
/** A server-side expression, as alert rules have them. */
const EXPRESSION: Schema = {
  type: "object",
  required: ["refId", "type", "expression", "conditions"],
  properties: {
    refId: { type: "string" },
    type: { const: "threshold" },
    expression: { type: "string" },
    conditions: { type: "array", minItems: 1 },
  },
};

/** Types of sdk-types.ts. */
export type SdkType =
  | "DashboardType"
  | "RuleGroupType"
  | "BarchartType"
  | "StatType"
  | "TableType"
  | "TimeseriesType"
  | "TrendType"
  | "XychartType";

const CONFIG: CompletedConfig = {
  ...DEFAULT_CONFIG,
  path: join(import.meta.dirname, "./sdk-types.ts"),
  tsconfig: join(import.meta.dirname, "../../tsconfig.json"),
  skipTypeCheck: true,
  functions: "hide",
};
/** Reading the SDK takes three seconds, so it is done once; schemas of single types are quick. */
let program: ReturnType<typeof createProgram> | undefined;
const validators = new Map<SdkType, ValidateFunction>();

/** Complaints about a value that is to be of a type of the SDK; empty when there are none. */
export function complaints(type: SdkType, value: unknown): string[] {
  let validate = validators.get(type);
  if (validate === undefined) {
    const ajv = new Ajv({ strict: false, allErrors: true, allowUnionTypes: true });
    validate = ajv.compile(schemaOf(type) as AnySchemaObject);
    validators.set(type, validate);
  }
  return validate(value) ? [] : (validate.errors ?? []).map((error) => textOf(error));
}

function schemaOf(type: SdkType): Schema {
  program ??= createProgram(CONFIG);
  const parser = createParser(program, CONFIG);
  const made = new SchemaGenerator(program, parser, createFormatter(CONFIG), CONFIG).createSchema(
    type,
  );
  const definitions = made.definitions ?? {};
  for (const name of Object.keys(definitions))
    if (name.endsWith("Dataquery")) definitions[name] = { anyOf: [TARGET, EXPRESSION] };
  return made;
}

function textOf({ instancePath, message = "", params }: ErrorObject): string {
  return `${instancePath} ${message} ${JSON.stringify(params)}`;
}
