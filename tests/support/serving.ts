import { noTracing } from "../../base/tracing.ts";
import { FEATURE_SCHEMA_HASH } from "../../features/mod.ts";
import { startHttp, type HttpServer, type HttpServerOptions } from "../../serving/http/server.ts";
import { openRegistry, type ModelRegistry } from "../../serving/model/registry.ts";
import { startServing, type Serving, type ServingOptions } from "../../serving/server.ts";
import { handMadeModel, temporaryModels, type ModelFolder } from "./models.ts";

export interface TestServing {
  readonly models: ModelFolder;
  readonly registry: ModelRegistry;
  readonly serving: Serving;
  readonly http: HttpServer;
  /** For example `http://127.0.0.1:1234`. */
  readonly base: string;
  close(): Promise<void>;
}

type Options = Partial<Omit<ServingOptions, "port" | "registry"> & Omit<HttpServerOptions, "port">>;

/** A scoring server with a plausible model, over gRPC and HTTP on free ports of 127.0.0.1, in this process. */
export async function startTestServing(options: Options = {}): Promise<TestServing> {
  const models = await temporaryModels();
  await models.add(handMadeModel());
  const registry = await openRegistry(models.folder, { schemaHash: FEATURE_SCHEMA_HASH });
  const serving = await startServing({ ...options, registry, port: 0 });
  const http = await startHttp({
    tracing: noTracing,
    answerMetrics: (_request, response) => void response.end("# no metrics\n"),
    ...options,
    predictor: serving.predictor,
    isReady: () => serving.isReady,
    port: 0,
    host: "127.0.0.1",
  });
  return {
    models,
    registry,
    serving,
    http,
    base: `http://127.0.0.1:${http.port}`,
    async close() {
      await Promise.all([http.close(), serving.close()]);
      await registry.close();
      await models.remove();
    },
  };
}

/** A state as callers send it. */
export const STATE = {
  game_id: "0022300001",
  home_team: "BOS",
  away_team: "NYK",
  home_score: 88,
  away_score: 84,
  period: 4,
  clock_remaining_s: 312.4,
  possession: "HOME",
  home_pregame_win_prob: 0.61,
} as const;
