import { type ClickHouseClient } from "@clickhouse/client";
import { type Ask } from "../local/clickhouse/read-only-sql.ts";

/** What the gate for readers' statements needs of a client. */
export function askOf(client: ClickHouseClient): Ask {
  return async (query, parameters) => {
    const result = await client.query({
      query,
      query_params: { ...parameters },
      format: "JSONCompactEachRow",
    });
    return (await result.json<[string]>()).map(([value]) => value);
  };
}
