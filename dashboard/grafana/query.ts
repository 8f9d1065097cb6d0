import { type Builder, type Dataquery } from "@grafana/grafana-foundation-sdk/cog";

/** Plugin that the boards are written for; Grafana must be 11.6 or newer. */
export const PLUGIN_TYPE = "grafana-clickhouse-datasource";
export const PLUGIN_VERSION = "4.20.0";

/** The data source as it is provisioned. */
export const DATASOURCE = { type: PLUGIN_TYPE, uid: "courtside-clickhouse" } as const;

/** What the plugin makes of the rows. */
const FORMATS = { timeseries: 0, table: 1, logs: 2, traces: 3 } as const;
export type QueryType = keyof typeof FORMATS;

/** A query of the ClickHouse plugin, for which the SDK has no builder. */
export interface ClickHouseQuery {
  readonly refId: string;
  readonly datasource: typeof DATASOURCE;
  readonly pluginVersion: string;
  readonly editorType: "sql";
  readonly rawSql: string;
  readonly queryType: QueryType;
  readonly format: number;
}

/** @param rawSql - with the plugin's macros and the board's variables in it */
export function query(
  queryType: QueryType,
  rawSql: string,
  refId = "A",
): Builder<Dataquery> & { build(): ClickHouseQuery & Dataquery } {
  return {
    build: () => {
      const built: ClickHouseQuery = {
        refId,
        datasource: DATASOURCE,
        pluginVersion: PLUGIN_VERSION,
        editorType: "sql",
        rawSql: rawSql.trim(),
        queryType,
        format: FORMATS[queryType],
      };
      // The SDK marks its query types with a method that is not part of the JSON.
      return built as ClickHouseQuery & Dataquery;
    },
  };
}
