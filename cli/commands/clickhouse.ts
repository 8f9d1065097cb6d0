import { once } from "node:events";
import { createLog } from "../../base/log.ts";
import { serveClickHouse } from "../../local/clickhouse/serve.ts";
import type { Command } from "../command.ts";
import { integerFlag } from "../flags.ts";

export const command: Command = {
  name: "clickhouse",
  summary: "Run the embedded ClickHouse and its HTTP interface",
  help: `Examples:
  courtside clickhouse
  courtside clickhouse --port 8123 --data .courtside/clickhouse
  curl 'http://127.0.0.1:8123/?query=SELECT+version()'

Serves ClickHouse's HTTP interface on 127.0.0.1, so ordinary clients, curl and BI tools work with it.
Prints one JSON line when it is ready and runs until it is stopped.

Flags:
  --port P    port, 0 for any free one (default 8123)
  --data DIR  directory of the tables (default .courtside/clickhouse)`,
  options: {
    port: { type: "string", default: "8123" },
    data: { type: "string", default: ".courtside/clickhouse" },
  },
  run: async (context) => {
    const { values, signal } = context;
    const port = integerFlag(values, "port", { min: 0, max: 65_535 }) ?? 0;
    const dataDir = String(values["data"]);
    const server = await serveClickHouse({ dataDir, port, log: createLog("clickhouse") });
    context.stdout(
      `${JSON.stringify({ ready: true, service: "clickhouse", port: server.port })}\n`,
    );
    if (!signal.aborted) await once(signal, "abort");
    await server.stop();
    return 0;
  },
};
