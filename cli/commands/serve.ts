import { once } from "node:events";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { UsageError } from "../../base/errors.ts";
import { createLog, type Log } from "../../base/log.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { FEATURE_SCHEMA_HASH } from "../../features/mod.ts";
import { openNats } from "../../jobs/nats.ts";
import { openTokens } from "../../serving/guard.ts";
import { startHttp, type HttpServer } from "../../serving/http/server.ts";
import { CALL_LIMITS, createAdmission } from "../../serving/limits.ts";
import { BATCHER_LIMITS } from "../../serving/model/batcher.ts";
import { fillIfEmpty, objectModelStore } from "../../serving/model/object-store.ts";
import { startOnnxThread } from "../../serving/model/onnx-thread.ts";
import { openRegistry } from "../../serving/model/registry.ts";
import { folderStore, type ModelStore } from "../../serving/model/store.ts";
import { startServing, type Serving, type ServingOptions } from "../../serving/server.ts";
import { openTls, type Tls } from "../../serving/tls.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { createTracing } from "../../telemetry/tracing.ts";
import { type Command, type CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";

export const command: Command = {
  name: "serve",
  summary: "score game states over gRPC and HTTP",
  help: `courtside serve
courtside serve --http-port 8080
courtside serve --port 0 --http-port 0 --tls-cert server.pem --tls-key server.key --tls-client-ca clients.pem
courtside serve --nats-url nats://127.0.0.1:4222 --models-bucket models

Serves the models that the aliases of --models name (champion, champion-odds; challenger in the shadow) until it is
stopped: courtside.v1.PredictService and the Open Inference Protocol with health (grpc.health.v1) and reflection; over
HTTP also a page (/docs), /healthz, /readyz and /metrics. It follows the aliases: promote or roll back while it runs.
Prints one JSON line when it is ready: {"ready":true,"service":"serve","port":50051}

  --port N                    gRPC port, 0 for a free one (default 50051)
  --http-port N               also answer HTTP on this port, 0 for a free one
  --host ADDRESS              address to listen on (default 127.0.0.1)
  --models FOLDER             where models are kept (default serving/models of this program)
  --models-bucket NAME        instead of a folder: a JetStream Object Store on --nats-url; filled from --models when empty
  --nats-url URL              broker of --models-bucket (default nats://127.0.0.1:4222)
  --model-threads N           ONNX Runtime's threads of one run (default 1; more help trees, not a logistic model)
  --tls-cert, --tls-key FILE  PEM; then nothing is in the clear. Changed files are used for new connections
  --tls-client-ca FILE        PEM; callers must have a certificate that it signed
  --token-file FILE           callers must send one of its lines as bearer token
  --max-calls N               calls at once; more are refused (default ${CALL_LIMITS.maxCalls})
  --max-calls-per-client N    of one client, by certificate or address (default ${CALL_LIMITS.maxCallsPerClient})
  --client-rate N             calls a second of one client, 0 for any number (default 0)
  --max-wait-ms N             a call that the model would keep longer is refused (default ${BATCHER_LIMITS.maxWaitMs})
  --drain-delay-ms N          time between telling probes and taking no more calls when stopped (default 0)
  --clickhouse-url URL        where spans of traced calls go; without it nothing is traced
  --prometheus-port N         serve metrics and probes on this port too, 0 for a free one`,
  options: {
    port: { type: "string", default: "50051" },
    "http-port": { type: "string" },
    host: { type: "string", default: "127.0.0.1" },
    models: { type: "string", default: path.join(import.meta.dirname, "../../serving/models") },
    "models-bucket": { type: "string" },
    "nats-url": { type: "string", default: "nats://127.0.0.1:4222" },
    "model-threads": { type: "string", default: "1" },
    "tls-cert": { type: "string" },
    "tls-key": { type: "string" },
    "tls-client-ca": { type: "string" },
    "token-file": { type: "string" },
    "max-calls": { type: "string", default: String(CALL_LIMITS.maxCalls) },
    "max-calls-per-client": { type: "string", default: String(CALL_LIMITS.maxCallsPerClient) },
    "client-rate": { type: "string", default: "0" },
    "max-wait-ms": { type: "string", default: String(BATCHER_LIMITS.maxWaitMs) },
    "drain-delay-ms": { type: "string", default: "0" },
    "clickhouse-url": { type: "string" },
    "prometheus-port": { type: "string" },
  },
  run,
};

const PORTS = { min: 0, max: 65_535 };
const MANY = { min: 1, max: 1_000_000 };
const WAITS_MS = { min: 1, max: 600_000 };

type Values = CommandContext["values"];

async function run({ values, signal, ...context }: CommandContext): Promise<number> {
  const log = createLog("serve");
  const host = String(values["host"]);
  const port = integerFlag(values, "port", PORTS) ?? 0;
  const httpPort = integerFlag(values, "http-port", PORTS);
  const url = textFlag(values, "clickhouse-url");
  const prometheusPort = integerFlag(values, "prometheus-port", PORTS);
  const delayMs = integerFlag(values, "drain-delay-ms", { min: 0, max: 600_000 }) ?? 0;
  const cleanUp = new AsyncDisposableStack();
  try {
    const metrics = await createMetrics({
      service: "serve",
      prometheusPort,
      host,
      isServedElsewhere: httpPort !== undefined,
    });
    cleanUp.defer(async () => metrics.shutdown());
    const clickhouse = url === undefined ? undefined : await openClickHouse(url, { signal });
    cleanUp.defer(async () => clickhouse?.close());
    const tracing = await createTracing({ service: "serve", clickhouse, log, metrics });
    cleanUp.defer(async () => tracing.shutdown());
    const options = {
      ...(await openParts(values, { log, signal, cleanUp })),
      log,
      metrics,
      tracing,
    };
    const serving = await startServing({ ...options, port, host });
    cleanUp.defer(async () => serving.close());
    const { predictor } = serving;
    const isReady = (): boolean => serving.isReady;
    const http =
      httpPort === undefined
        ? undefined
        : await startHttp({
            ...options,
            predictor,
            isReady,
            port: httpPort,
            host,
            answerMetrics: metrics.answerMetrics,
          });
    metrics.reportHealth({ notReady: () => (serving.isReady ? undefined : "stopping") });
    const ports = { port: serving.port, http_port: http?.port, prometheus_port: metrics.port };
    context.stdout(`${JSON.stringify({ ready: true, service: "serve", ...ports })}\n`);
    if (!signal.aborted) await once(signal, "abort");
    await stop(serving, http, delayMs);
  } finally {
    await cleanUp.disposeAsync();
  }
  return 0;
}

/** Probes first: a balancer needs a moment to send its calls elsewhere, and those that come meanwhile are answered. */
async function stop(
  serving: Serving,
  http: HttpServer | undefined,
  delayMs: number,
): Promise<void> {
  serving.unready();
  if (delayMs > 0) await delay(delayMs);
  await Promise.all([http?.close(), serving.close()]);
}

interface Tools {
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly cleanUp: AsyncDisposableStack;
}

/** Models, limits, and who may call. */
async function openParts(
  values: Values,
  { log, signal, cleanUp }: Tools,
): Promise<Pick<ServingOptions, "registry" | "admission" | "tokens" | "tls">> {
  const tls = await openTlsFlags(values, log);
  cleanUp.defer(() => tls?.stop());
  const tokenFile = textFlag(values, "token-file");
  const tokens = tokenFile === undefined ? undefined : await openTokens(tokenFile, { log });
  cleanUp.defer(() => tokens?.stop());
  const admission = createAdmission({
    maxCalls: integerFlag(values, "max-calls", MANY) ?? CALL_LIMITS.maxCalls,
    maxCallsPerClient:
      integerFlag(values, "max-calls-per-client", MANY) ?? CALL_LIMITS.maxCallsPerClient,
    callsPerSecondPerClient: integerFlag(values, "client-rate", { min: 0, max: 1_000_000 }) ?? 0,
  });
  const store = await openStore(values, { log, signal, cleanUp });
  const thread = startOnnxThread();
  cleanUp.defer(async () => thread.close());
  const maxWaitMs = integerFlag(values, "max-wait-ms", WAITS_MS) ?? BATCHER_LIMITS.maxWaitMs;
  const registry = await openRegistry(store, {
    schemaHash: FEATURE_SCHEMA_HASH,
    thread,
    threads: integerFlag(values, "model-threads", { min: 1, max: 64 }),
    limits: { maxWaitMs },
    log,
  });
  cleanUp.defer(async () => registry.close());
  await registry.watch();
  return { registry, admission, tokens, tls };
}

async function openStore(values: Values, { log, signal, cleanUp }: Tools): Promise<ModelStore> {
  const bucket = textFlag(values, "models-bucket");
  const folder = folderStore(String(values["models"]));
  if (bucket === undefined) return folder;
  const nats = await openNats(String(values["nats-url"]), { name: "courtside serve", signal });
  cleanUp.defer(async () => nats.close());
  const store = await objectModelStore(nats, bucket);
  if (await fillIfEmpty(store, folder)) log.info("bucket filled", { bucket, from: folder.place });
  return store;
}

async function openTlsFlags(values: Values, log: Log): Promise<Tls | undefined> {
  const cert = textFlag(values, "tls-cert");
  const key = textFlag(values, "tls-key");
  const clientCa = textFlag(values, "tls-client-ca");
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new UsageError("TLS needs both --tls-cert and --tls-key");
  }
  return openTls({ cert, key, clientCa }, { log });
}
