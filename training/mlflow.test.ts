import { createServer, type Server } from "node:http";
import { type AddressInfo } from "node:net";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { handMadeModel, type ModelFolder, temporaryModels } from "../tests/support/models.ts";
import { MlflowError, mlflowRecorder } from "./mlflow.ts";

/** A server that speaks the part of MLflow's REST interface that is used, and remembers what it was told. */
let server: Server;
let url: string;
let told: { readonly method: string; readonly path: string; readonly body: Buffer }[];
let refuse: string | undefined;
let models: ModelFolder;

beforeEach(async () => {
  told = [];
  refuse = undefined;
  models = await temporaryModels();
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const [route = ""] = (request.url ?? "").split("?");
      told.push({ method: request.method ?? "", path: route, body: Buffer.concat(chunks) });
      const isMissing = route.endsWith("get-by-name");
      const status = refuse !== undefined && route.endsWith(refuse) ? 500 : isMissing ? 404 : 200;
      response.writeHead(status, { "content-type": "application/json" });
      response.end(
        JSON.stringify(answers[route.split("/").at(-1) ?? ""]?.[request.method ?? ""] ?? {}),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  await models.remove();
  await new Promise((resolve) => server.close(resolve));
});

const answers: Readonly<Record<string, Record<string, object>>> = {
  create: { POST: { experiment_id: "7", run: { info: { run_id: "abc", experiment_id: "7" } } } },
};

const silent = { experiment: "courtside", say: (): void => {} };

test("a run gets parameters, metrics, both files and an end", async () => {
  const card = await models.add(handMadeModel());
  await mlflowRecorder(url, silent).record(card, path.join(models.folder, card.version));
  expect(told.map(({ method, path: route }) => `${method} ${route}`)).toEqual([
    "GET /api/2.0/mlflow/experiments/get-by-name",
    "POST /api/2.0/mlflow/experiments/create",
    "POST /api/2.0/mlflow/runs/create",
    "POST /api/2.0/mlflow/runs/log-batch",
    "PUT /api/2.0/mlflow-artifacts/artifacts/7/abc/artifacts/model.onnx",
    "PUT /api/2.0/mlflow-artifacts/artifacts/7/abc/artifacts/card.json",
    "POST /api/2.0/mlflow/runs/update",
  ]);
  const batch = JSON.parse(told[3]?.body.toString() ?? "{}") as {
    metrics: { key: string; value: number }[];
    params: { key: string; value: string }[];
  };
  expect(batch.metrics).toContainEqual(
    expect.objectContaining({ key: "all plays/brier", value: 0.2 }),
  );
  expect(batch.params.map(({ key }) => key)).toContain("data_sha256");
  expect(JSON.parse(told[5]?.body.toString() ?? "{}")).toEqual(card);
  expect(JSON.parse(told[6]?.body.toString() ?? "{}")).toMatchObject({ status: "FINISHED" });
});

test("a server that refuses or is not there is named", async () => {
  const card = await models.add(handMadeModel());
  const folder = path.join(models.folder, card.version);
  refuse = "log-batch";
  await expect(mlflowRecorder(url, silent).record(card, folder)).rejects.toThrow(
    /log-batch with 500/u,
  );
  const nowhere = mlflowRecorder("http://127.0.0.1:1", silent);
  await expect(nowhere.record(card, folder)).rejects.toThrow(MlflowError);
});
