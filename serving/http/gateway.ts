import { type IncomingMessage, type ServerResponse } from "node:http";
import { type PredictClient } from "../client.ts";
import { createHttpApp } from "./app.ts";
import { PREDICT_PATHS, STREAM_PATH, type PredictBackend } from "./predict-routes.ts";

/** Answers requests for predictions inside of another HTTP server; resolves to false for every other path. */
export type Gateway = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;

const PATHS: ReadonlySet<string> = new Set([...PREDICT_PATHS, STREAM_PATH]);

/**
 * `POST /v1/predict`, `/predict` and `/v1/predict/stream` on a scoring server elsewhere: game states as Protobuf JSON
 * in, predictions out. Errors are JSON `{"error": {"code", "message", "violations": [{"field", "value", "rule"}]}}`.
 */
export function createGateway(client: Pick<PredictClient, "answers">): Gateway {
  const app = createHttpApp({ backend: remoteBackend(client) });
  return async (request, response) => {
    const path = (request.url ?? "/").split("?")[0] ?? "/";
    if (!PATHS.has(path)) return false;
    await app.ready();
    app.routing(request, response);
    return true;
  };
}

function remoteBackend(client: Pick<PredictClient, "answers">): PredictBackend {
  return {
    predict: async (requests, { deadlineMs, traceparent }) =>
      client.answers(requests, {
        deadlineMs: Math.max(1, deadlineMs - Date.now()),
        ...(traceparent !== undefined && { traceparent }),
      }),
  };
}
