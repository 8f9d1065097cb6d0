import {
  Server,
  ServerCredentials,
  type ServerWritableStream,
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
import { reflectionPackage, serviceDefinition } from "./grpc.ts";
import { createPredictor } from "./handlers/predict.ts";
import { predictHandlers } from "./handlers/service.ts";
import { type ModelRegistry } from "./model/registry.ts";

export interface ServingOptions {
  readonly registry: ModelRegistry;
  /** 0 picks a free one. */
  readonly port: number;
  /** Address to listen on; default the loopback interface. */
  readonly host?: string;
  readonly log?: Log;
  readonly tracing?: Tracing;
  readonly metrics?: Metrics;
}

export interface Serving {
  /** The port that is listened on. */
  readonly port: number;
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
/** Calls of one connection at once; more wait in the client. */
const MAX_CALLS_PER_CONNECTION = 1_024;
/** Time for calls under way when the server closes; a batch takes milliseconds. */
const DRAIN_MS = 5_000;

/**
 * Starts PredictService with health (`grpc.health.v1`) and reflection on one port.
 * @throws ServingPortError
 */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const { registry, port, host = "127.0.0.1" } = options;
  const { log = silentLog, tracing = noTracing, metrics = noMetrics } = options;
  const server = new Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_concurrent_streams": MAX_CALLS_PER_CONNECTION,
    // A port is one server's: a second one must fail instead of taking every other connection.
    "grpc.so_reuseport": 0,
  });
  const handlers = predictHandlers(createPredictor(registry), { log, tracing, metrics });
  server.addService(serviceDefinition(PredictService), handlers.implementation);
  const health = addHealth(server);
  new ReflectionService(reflectionPackage(file_courtside_v1_predict_service)).addToServer(server);

  const bound = await bind(server, host, port);
  health.set("SERVING");
  return {
    port: bound,
    async close() {
      health.set("NOT_SERVING");
      health.endWatches();
      handlers.endStreams();
      await drain(server, log);
    },
  };
}

function bind(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const address = `${host}:${port}`;
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
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
  const services = ["", PredictService.typeName];
  const health = new HealthImplementation(
    Object.fromEntries(services.map((name) => [name, "NOT_SERVING" as const])),
  );
  const watches = new Set<ServerWritableStream<unknown, unknown>>();
  health.addToServer({
    addService(definition, { watch, ...rest }: UntypedServiceImplementation) {
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
