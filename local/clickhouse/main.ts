/** Process that owns the embedded ClickHouse; started by `startClickHouse` in child.ts. */
import { parseArgs } from "node:util";
import { createLog } from "../../base/log.ts";
import { errorText } from "../../base/errors.ts";
import { serveClickHouse } from "./serve.ts";

const { values } = parseArgs({
  options: { port: { type: "string", default: "0" }, data: { type: "string", default: "." } },
});
const log = createLog("clickhouse");
const stopAsked = new Promise<void>((resolve) => {
  process.once("SIGINT", resolve);
  process.once("SIGTERM", resolve);
  // The parent holds the other end, so this comes with its death too, however it died.
  process.stdin.once("end", resolve).once("error", resolve).resume();
});
try {
  const server = await serveClickHouse({ dataDir: values.data, port: Number(values.port), log });
  process.stdout.write(
    `${JSON.stringify({ ready: true, service: "clickhouse", port: server.port })}\n`,
  );
  await stopAsked;
  await server.stop();
  process.exit(0);
} catch (error) {
  process.stderr.write(`${errorText(error)}\n`);
  process.exit(1);
}
