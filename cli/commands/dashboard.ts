import { once } from "node:events";
import path from "node:path";
import { createLog } from "../../base/log.ts";
import { startDashboard } from "../../dashboard/server.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { connectPredict } from "../../serving/client.ts";
import { createGateway } from "../../serving/http/gateway.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { createTracing } from "../../telemetry/tracing.ts";
import { type Command, type CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";
import { openPageSources } from "../page-sources.ts";

/** `courtside dashboard`: the live page as a process of its own. */
export const command: Command = {
  name: "dashboard",
  summary: "serve the live page, and POST /v1/predict beside it",
  help: `courtside dashboard
courtside dashboard --port 0 --nats-url nats://127.0.0.1:4222
courtside dashboard --serving-url 127.0.0.1:50051

Serves the live page from the INSIGHTS stream until it is stopped. Prints one JSON line when it is ready:
{"ready":true,"service":"dashboard","port":8080}

  --port N              port of the page, 0 for a free one (default 8080)
  --host ADDRESS        address to listen on (default 127.0.0.1)
  --nats-url URL        broker that has the insights (default nats://127.0.0.1:4222)
  --serving-url H:P     gRPC server for POST /v1/predict and /predict; without it there are no such paths
  --clickhouse-url URL  the store behind the season, model, pipeline, trace and SQL views; spans of traced plays
                        go there too; without it these views say so
  --models FOLDER       registry that the model view reads its cards from (default serving/models of this program)
  --metrics-url URL     Prometheus endpoint of the insight job, for the pipeline view
  --prometheus-port N   also serve this process's own metrics on this port, 0 for a free one
  --grafana-url URL     where the links to Grafana lead; without it there are none
  --base-path PATH      path under which a proxy shows the page, for example /courtside (default none)`,
  options: {
    port: { type: "string", default: "8080" },
    host: { type: "string", default: "127.0.0.1" },
    "nats-url": { type: "string", default: "nats://127.0.0.1:4222" },
    "serving-url": { type: "string" },
    "clickhouse-url": { type: "string" },
    models: { type: "string", default: path.join(import.meta.dirname, "../../serving/models") },
    "metrics-url": { type: "string" },
    "prometheus-port": { type: "string" },
    "grafana-url": { type: "string" },
    "base-path": { type: "string", default: "" },
  },
  run,
};

async function run({ values, signal, ...context }: CommandContext): Promise<number> {
  const log = createLog("dashboard");
  const port = integerFlag(values, "port", { min: 0, max: 65_535 }) ?? 0;
  const clickhouseUrl = textFlag(values, "clickhouse-url");
  const servingUrl = textFlag(values, "serving-url");
  const clickhouse =
    clickhouseUrl === undefined ? undefined : await openClickHouse(clickhouseUrl, { signal });
  const metrics = await createMetrics({
    service: "dashboard",
    host: String(values["host"]),
    prometheusPort: integerFlag(values, "prometheus-port", { min: 0, max: 65_535 }),
  });
  const tracing = await createTracing({ service: "dashboard", clickhouse, log, metrics });
  const client = servingUrl === undefined ? undefined : connectPredict(servingUrl, { tracing });
  const handlers = client === undefined ? [] : [createGateway(client)];
  const views = await openPageSources({
    clickhouseUrl,
    modelsFolder: String(values["models"]),
    metricsUrl: textFlag(values, "metrics-url"),
    grafanaUrl: textFlag(values, "grafana-url"),
    natsUrl: String(values["nats-url"]),
    predict: client,
    signal,
  });
  try {
    const dashboard = await startDashboard({
      port,
      host: String(values["host"]),
      natsUrl: String(values["nats-url"]),
      basePath: String(values["base-path"]),
      handlers,
      sources: views.sources,
      log,
      tracing,
      metrics,
      signal,
    });
    metrics.reportHealth({});
    context.stdout(
      `${JSON.stringify({ ready: true, service: "dashboard", port: dashboard.port })}\n`,
    );
    if (!signal.aborted) await once(signal, "abort");
    await dashboard.close();
  } catch (error) {
    // Stopped while it was waiting for the broker: that is what was asked for.
    if (!signal.aborted) throw error;
  } finally {
    client?.close();
    await views.close();
    await tracing.shutdown();
    await metrics.shutdown();
    await clickhouse?.close();
  }
  return 0;
}
