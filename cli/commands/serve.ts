import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo } from "node:net";
import path from "node:path";
import { CourtsideError, errorText } from "../../base/errors.ts";
import { createLog, type Log } from "../../base/log.ts";
import { type Tracing } from "../../base/tracing.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { FEATURE_SCHEMA_HASH } from "../../features/mod.ts";
import { connectPredict } from "../../serving/client.ts";
import { createGateway } from "../../serving/gateway.ts";
import { openRegistry } from "../../serving/model/registry.ts";
import { startServing } from "../../serving/server.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { createTracing } from "../../telemetry/tracing.ts";
import { type Command, type CommandContext } from "../command.ts";
import { integerFlag } from "../flags.ts";

export const command: Command = {
  name: "serve",
  summary: "score game states over gRPC (courtside.v1.PredictService)",
  help: `courtside serve
courtside serve --port 0 --http-port 0

Serves the champion of --models until it is stopped, with health (grpc.health.v1) and reflection. Prints one JSON
line when it is ready: {"ready":true,"service":"serve","port":50051}

  --port N              gRPC port, 0 for a free one (default 50051)
  --http-port N         also answer POST /v1/predict with JSON on this port, 0 for a free one
  --host ADDRESS        address to listen on (default 127.0.0.1)
  --models FOLDER       where models are kept (default serving/models of this program)
  --clickhouse-url URL  where spans of traced calls go; without it nothing is traced
  --prometheus-port N   serve metrics on this port, 0 for a free one`,
  options: {
    port: { type: "string", default: "50051" },
    "http-port": { type: "string" },
    host: { type: "string", default: "127.0.0.1" },
    models: { type: "string", default: path.join(import.meta.dirname, "../../serving/models") },
    "clickhouse-url": { type: "string" },
    "prometheus-port": { type: "string" },
  },
  run,
};

const PORTS = { min: 0, max: 65_535 };

async function run({ values, signal, ...context }: CommandContext): Promise<number> {
  const log = createLog("serve");
  const host = String(values["host"]);
  const port = integerFlag(values, "port", PORTS) ?? 0;
  const httpPort = integerFlag(values, "http-port", PORTS);
  const url = values["clickhouse-url"];
  const [registry, clickhouse] = await Promise.all([
    openRegistry(String(values["models"]), { schemaHash: FEATURE_SCHEMA_HASH }),
    typeof url === "string" ? openClickHouse(url, { signal }) : undefined,
  ]);
  const prometheusPort = integerFlag(values, "prometheus-port", PORTS);
  const metrics = await createMetrics({ service: "serve", prometheusPort, host });
  const tracing = await createTracing({ service: "serve", clickhouse, log, metrics });
  try {
    const serving = await startServing({ registry, port, host, log, tracing, metrics });
    try {
      const options = { host, port: httpPort, grpcPort: serving.port, log, tracing };
      const http = httpPort === undefined ? undefined : await startHttp(options);
      const ports = { port: serving.port, http_port: http?.port, prometheus_port: metrics.port };
      context.stdout(`${JSON.stringify({ ready: true, service: "serve", ...ports })}\n`);
      if (!signal.aborted) await once(signal, "abort");
      await http?.close();
    } finally {
      await serving.close();
    }
  } finally {
    await tracing.shutdown();
    await metrics.shutdown();
    await clickhouse?.close();
    await registry.close();
  }
  return 0;
}

/** The port for JSON is taken or may not be used. */
class HttpPortError extends CourtsideError {
  override readonly code = "PORT_UNUSABLE";
  override readonly retryable = false;
}

interface HttpOptions {
  readonly host: string;
  readonly port: number | undefined;
  readonly grpcPort: number;
  readonly log: Log;
  readonly tracing: Tracing;
}

/** JSON goes through the gRPC server too, so that both answer alike. */
async function startHttp(
  options: HttpOptions,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const { host, port, grpcPort, log, tracing } = options;
  const client = connectPredict(`${host}:${grpcPort}`, { tracing });
  const gateway = createGateway(client);
  const server = createServer((request, response) => {
    gateway(request, response).then(
      (answered) => {
        if (!answered) response.writeHead(404).end();
        return answered;
      },
      (error: unknown) => {
        log.error("request failed", error);
        response.destroy();
      },
    );
  });
  server.listen(port ?? 0, host);
  await once(server, "listening").catch((error: unknown) => {
    client.close();
    const hint = "free it or choose another with --http-port (0 picks a free one)";
    const message = `cannot listen on ${host}:${String(port)}: ${errorText(error)}; ${hint}`;
    throw new HttpPortError(message, { cause: error });
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeIdleConnections();
      await closed;
      client.close();
    },
  };
}
