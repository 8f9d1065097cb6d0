import {
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { CourtsideError, errorText } from "../base/errors.ts";
import { silentLog, type Log } from "../base/log.ts";
import { noMetrics, type Metrics } from "../base/metrics.ts";
import { noTracing, type Tracing } from "../base/tracing.ts";
import {
  file_courtside_v1_predict_service,
  PredictService,
} from "../proto/gen/courtside/v1/predict_service_pb.ts";
import { file_grpc_health_v1_health } from "../proto/gen/grpc/health/v1/health_pb.ts";
import {
  file_inference_open_inference,
  GRPCInferenceService,
} from "../proto/gen/inference/open_inference_pb.ts";
import { reflectionPackage, bytesServiceDefinition } from "./grpc.ts";
import { guard, type TokenCheck } from "./guard.ts";
import { createPredictor, type Predictor } from "./handlers/predict.ts";
import { predictHandlers } from "./handlers/service.ts";
import { createAdmission, type Admission } from "./limits.ts";
import { type ModelRegistry } from "./model/registry.ts";
import { openInferenceHandlers } from "./open-inference/service.ts";
import { type Tls } from "./tls.ts";

export interface ServingOptions {
  readonly registry: ModelRegistry;
  /** 0 picks a free one. */
  readonly port: number;
  /** Address to listen on; default the loopback interface. */
  readonly host?: string | undefined;
  readonly log?: Log;
  readonly tracing?: Tracing;
  readonly metrics?: Metrics;
  /** Default: no limits but the standard ones; shared with the HTTP gateway, which answers the same callers. */
  readonly admission?: Admission;
  /** Without it, anybody may call. */
  readonly tokens?: TokenCheck | undefined;
  /** Without it, calls are in the clear. */
  readonly tls?: Tls | undefined;
}

export interface Serving {
  /** The port that is listened on. */
  readonly port: number;
  /** What the service does, for other ways to call it. */
  readonly predictor: Predictor;
  /** False from the moment on that the server is to stop. */
  readonly isReady: boolean;
  /** Tells health checks that no new calls are wanted; those that come are answered all the same. */
  unready(): void;
  /** Takes no new calls, finishes those under way, and closes; the registry stays open. */
  close(): Promise<void>;
}

/** The port is taken or may not be used. */
export class ServingPortError extends CourtsideError {
  override readonly code = "PORT_UNUSABLE";
  override readonly retryable = false;
}

/** Largest request: 4,096 feature vectors take about 1 MB, 4,096 full game states about 2 MB. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/**
 * Calls of one connection at once; more wait in the client, which costs the server nothing. At 0.1 ms a call, the
 * last of them is answered after 26 ms.
 */
const MAX_CALLS_PER_CONNECTION = 256;
/** Bytes of a call's header: a token and trace context are a few hundred. */
const MAX_METADATA_BYTES = 16 * 1024;
/** A connection that is silent for this long is asked for a sign of life. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Time for calls under way when the server closes; a batch takes milliseconds. */
const DRAIN_MS = 5_000;

/**
 * Starts PredictService and the Open Inference Protocol with health (`grpc.health.v1`) and reflection on one port.
 * @throws ServingPortError
 */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const { registry, port, host = "127.0.0.1", tls } = options;
  const { log = silentLog, tracing = noTracing, metrics = noMetrics } = options;
  const admission = options.admission ?? createAdmission();
  const server = new Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_concurrent_streams": MAX_CALLS_PER_CONNECTION,
    "grpc.max_metadata_size": MAX_METADATA_BYTES,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    // A port is one server's: a second one must fail instead of taking every other connection.
    "grpc.so_reuseport": 0,
    // Counting for channelz, which nothing here serves, costs every call.
    "grpc.enable_channelz": 0,
    interceptors: [guard(admission, options.tokens)],
  });
  const tools = { log, tracing, metrics };
  const predictor = createPredictor(registry, log);
  const handlers = predictHandlers(predictor, tools);
  let isReady = false;
  const inference = openInferenceHandlers(registry, () => isReady, tools);
  server.addService(bytesServiceDefinition(PredictService), handlers.implementation);
  server.addService(bytesServiceDefinition(GRPCInferenceService), inference);
  const health = addHealth(server);
  const reflected = [
    file_courtside_v1_predict_service,
    file_inference_open_inference,
    file_grpc_health_v1_health,
  ];
  new ReflectionService(reflectionPackage(reflected)).addToServer(server);
  metrics.gauge("courtside.predict.calls", "{call}", "Calls under way", () => admission.calls);

  const credentials = tls?.credentials ?? ServerCredentials.createInsecure();
  const bound = await bind(server, { host, port, credentials });
  const setReady = (ready: boolean): void => {
    isReady = ready;
    health.set(ready ? "SERVING" : "NOT_SERVING");
  };
  setReady(true);
  return {
    port: bound,
    predictor,
    get isReady() {
      return isReady;
    },
    unready: () => setReady(false),
    async close() {
      setReady(false);
      health.endWatches();
      handlers.endStreams();
      await drain(server, log);
    },
  };
}

interface Address {
  readonly host: string;
  readonly port: number;
  readonly credentials: ServerCredentials;
}

function bind(server: Server, { host, port, credentials }: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    server.bindAsync(address, credentials, (error, bound) => {
      if (error === null) return resolve(bound);
      const hint = "free it or choose another with --port (0 picks a free one)";
      const message = `cannot listen on ${address}: ${errorText(error)}; ${hint}`;
      return reject(new ServingPortError(message, { cause: error }));
    });
  });
}

interface Health {
  set(status: "SERVING" | "NOT_SERVING"): void;
  /** An open Watch would keep the server from closing. */
  endWatches(): void;
}

function addHealth(server: Server): Health {
  const services = ["", PredictService.typeName, GRPCInferenceService.typeName];
  const health = new HealthImplementation(
    Object.fromEntries(services.map((name) => [name, "NOT_SERVING" as const])),
  );
  const watches = new Set<ServerWritableStream<unknown, unknown>>();
  health.addToServer({
    addService(definition: ServiceDefinition, { watch, ...rest }: UntypedServiceImplementation) {
      const tracked = (call: ServerWritableStream<unknown, unknown>): void => {
        watches.add(call);
        call.on("cancelled", () => watches.delete(call));
        Reflect.apply(watch as (call: unknown) => void, undefined, [call]);
      };
      server.addService(definition, { ...rest, watch: tracked });
    },
  });
  return {
    set(status) {
      for (const name of services) health.setStatus(name, status);
    },
    endWatches() {
      for (const call of watches) call.end();
    },
  };
}

async function drain(server: Server, log: Log): Promise<void> {
  const deadline = setTimeout(() => {
    log.warn("calls did not finish in time and are cut off", { after_ms: DRAIN_MS });
    server.forceShutdown();
  }, DRAIN_MS);
  try {
    await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  } finally {
    clearTimeout(deadline);
  }
}
