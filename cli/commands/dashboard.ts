import { once } from "node:events";
import { type Command } from "../command.ts";
import { UsageError } from "../../base/errors.ts";
import { createLog } from "../../base/log.ts";
import { noTracing } from "../../base/tracing.ts";
import { startDashboard, type RequestHandler } from "../../dashboard/server.ts";
import { connectPredict } from "../../serving/client.ts";
import { createGateway } from "../../serving/gateway.ts";

const DEFAULT_PORT = "8080";
const DEFAULT_NATS_URL = "nats://127.0.0.1:4222";

const HELP = `Examples:
  courtside dashboard
  courtside dashboard --port 0 --nats-url nats://127.0.0.1:4222
  courtside dashboard --serving-url 127.0.0.1:50051

Serves the live page, and with --serving-url the HTTP predict gateway (POST /v1/predict), until it is
stopped. Prints one JSON line when it is ready: {"ready":true,"service":"dashboard","port":8080}

  --port N             port to listen on, 0 for a free one (default ${DEFAULT_PORT})
  --host ADDRESS       address to listen on (default 127.0.0.1)
  --nats-url URL       broker that has the INSIGHTS stream (default ${DEFAULT_NATS_URL})
  --serving-url H:P    gRPC server that answers POST /v1/predict; without it there is no such path
`;

/** `courtside dashboard`: the live page as a process of its own. */
export const command: Command = {
  name: "dashboard",
  summary: "Serve the live page",
  help: HELP,
  options: {
    port: { type: "string", default: DEFAULT_PORT },
    host: { type: "string", default: "127.0.0.1" },
    "nats-url": { type: "string", default: DEFAULT_NATS_URL },
    "serving-url": { type: "string" },
  },
  run: async (context) => {
    const { values, signal } = context;
    const port = portOf(values["port"]);
    const servingUrl = values["serving-url"];
    const client = typeof servingUrl === "string" ? connectPredict(servingUrl) : undefined;
    const handlers: RequestHandler[] = client === undefined ? [] : [createGateway(client)];
    try {
      const dashboard = await startDashboard({
        port,
        host: String(values["host"]),
        natsUrl: String(values["nats-url"]),
        handlers,
        log: createLog("dashboard"),
        tracing: noTracing,
      });
      context.stdout(
        `${JSON.stringify({ ready: true, service: "dashboard", port: dashboard.port })}\n`,
      );
      if (!signal.aborted) await once(signal, "abort");
      await dashboard.close();
      return 0;
    } finally {
      client?.close();
    }
  },
};

function portOf(value: unknown): number {
  const port = Number(value);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535 && value !== "") return port;
  throw new UsageError(`--port must be a number from 0 to 65535, got ${JSON.stringify(value)}`);
}
