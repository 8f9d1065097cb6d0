import { type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo } from "node:net";
import swagger, { type StaticDocumentSpec } from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import { CourtsideError, errorText } from "../../base/errors.ts";
import { type Predictor } from "../handlers/predict.ts";
import { type Tracing } from "../../base/tracing.ts";
import { createHttpApp, type HttpAppOptions } from "./app.ts";
import { addOpenInferenceRoutes } from "./open-inference-routes.ts";
import { openApiDocument } from "./openapi.ts";
import { type PredictBackend } from "./predict-routes.ts";

export interface HttpServerOptions extends Omit<HttpAppOptions, "backend"> {
  readonly predictor: Predictor;
  readonly isReady: () => boolean;
  /** 0 picks a free one. */
  readonly port: number;
  readonly host: string;
  readonly tracing: Tracing;
  /** Answers `/metrics` in Prometheus' format. */
  readonly answerMetrics: (request: IncomingMessage, response: ServerResponse) => void;
}

export interface HttpServer {
  readonly port: number;
  /** Takes no new calls, finishes those under way, and closes. */
  close(): Promise<void>;
}

/** The port for HTTP is taken or may not be used. */
export class HttpPortError extends CourtsideError {
  override readonly code = "PORT_UNUSABLE";
  override readonly retryable = false;
}

type OpenApiSpecification = StaticDocumentSpec["document"];

/** Time for calls under way when the server closes; streams of states are cut off then. */
const DRAIN_MS = 5_000;

/**
 * Starts the HTTP gateway: predictions, Open Inference, probes, metrics, OpenAPI document and page.
 * @throws HttpPortError
 */
export async function startHttp(options: HttpServerOptions): Promise<HttpServer> {
  const { predictor, isReady, port, host, tracing } = options;
  const app = createHttpApp({ ...options, backend: localBackend(predictor, tracing) });
  app.get("/healthz", () => "ok\n");
  app.get("/readyz", (_request, reply) =>
    reply.code(isReady() ? 200 : 503).send(isReady() ? "ok\n" : "stopping\n"),
  );
  app.get("/metrics", (request, reply) => {
    reply.hijack();
    options.answerMetrics(request.raw, reply.raw);
  });
  const document = openApiDocument();
  app.get("/openapi.json", () => document);
  addOpenInferenceRoutes(app, predictor.registry, isReady);
  // The types of the library stop at OpenAPI 3.0.
  const specification = { document: document as unknown as OpenApiSpecification };
  await app.register(swagger, { mode: "static", specification });
  await app.register(swaggerUi, { routePrefix: "/docs" });
  try {
    await app.listen({ port, host });
  } catch (error) {
    await app.close();
    const hint = "free it or choose another with --http-port (0 picks a free one)";
    const message = `cannot listen on ${host}:${String(port)}: ${errorText(error)}; ${hint}`;
    throw new HttpPortError(message, { cause: error });
  }
  return {
    port: (app.server.address() as AddressInfo).port,
    async close() {
      const deadline = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
      await app.close();
      clearTimeout(deadline);
    },
  };
}

function localBackend(predictor: Predictor, tracing: Tracing): PredictBackend {
  return {
    async predict(requests, call) {
      const { traceparent: parent } = call;
      const attributes = { "http.route": "/v1/predict", "courtside.rows": requests.length };
      const span =
        parent === undefined
          ? undefined
          : tracing.start("predict", { kind: "server", parent, attributes });
      try {
        const [only] = requests;
        if (requests.length === 1 && only !== undefined)
          return [await predictor.predict(only, call)];
        return await predictor.predictBatch(requests, call);
      } catch (error) {
        span?.fail(error);
        throw error;
      } finally {
        span?.end();
      }
    },
  };
}
