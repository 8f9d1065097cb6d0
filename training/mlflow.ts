import { readFile } from "node:fs/promises";
import path from "node:path";
import { CourtsideError, errorText } from "../base/errors.ts";
import { type ModelCard } from "../serving/model/card.ts";
import { CARD_FILE, ONNX_FILE } from "../serving/model/registry.ts";

/** Records trained models on an MLflow tracking server. */
export interface MlflowRecorder {
  /** A run with parameters, metrics and the files of `folder`. @throws MlflowError */
  record(card: ModelCard, folder: string): Promise<void>;
}

/** The tracking server does not take a request. */
export class MlflowError extends CourtsideError {
  override readonly code = "MLFLOW";
  override readonly retryable = true;
}

export interface MlflowOptions {
  /** Experiment that runs belong to; made when it is not there. */
  readonly experiment: string;
  readonly say: (line: string) => void;
}

/** A parameter's text at most, by MLflow's own limit; longer ones are cut. */
const PARAMETER_CHARACTERS_MAX = 6_000;
/** Metrics of one `runs/log-batch`, by MLflow's own limit. */
const BATCH_METRICS = 1_000;
const REQUEST_TIMEOUT_MS = 30_000;

/**
 * @param url - of the server, for example `http://127.0.0.1:5000`.
 * @see MLflow REST API 2.0: experiments/get-by-name, experiments/create, runs/create, runs/log-batch, runs/update, and the
 * artefact proxy mlflow-artifacts.
 */
export function mlflowRecorder(url: string, { experiment, say }: MlflowOptions): MlflowRecorder {
  const base = url.replace(/\/+$/u, "");
  const call = async (method: string, route: string, body?: unknown): Promise<Answer> => {
    const isFile = body instanceof Uint8Array;
    const answer = await fetch(`${base}${route}`, {
      method,
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      ...(body === undefined ? {} : { body: isFile ? new Uint8Array(body) : JSON.stringify(body) }),
      headers: { "content-type": isFile ? "application/octet-stream" : "application/json" },
    }).catch((error: unknown) => {
      throw new MlflowError(`MLflow at ${base} does not answer: ${errorText(error)}`, {
        cause: error,
      });
    });
    const text = await answer.text();
    return { status: answer.status, body: parsed(text), text };
  };
  const asked = async (method: string, route: string, body?: unknown): Promise<Json> => {
    const { status, body: json, text } = await call(method, route, body);
    if (status < 300) return json;
    throw new MlflowError(
      `MLflow refuses ${method} ${route} with ${status}: ${text.slice(0, 200)}`,
    );
  };
  const experimentId = async (): Promise<string> => {
    const name = encodeURIComponent(experiment);
    const known = await call("GET", `${API}/experiments/get-by-name?experiment_name=${name}`);
    if (known.status < 300) return textOf(member(known.body["experiment"], "experiment_id"));
    const made = await asked("POST", `${API}/experiments/create`, { name: experiment });
    return textOf(made["experiment_id"]);
  };

  return {
    async record(card, folder) {
      const startMs = Date.now();
      const created = await asked("POST", `${API}/runs/create`, {
        experiment_id: await experimentId(),
        run_name: `${card.name} ${card.version}`,
        start_time: startMs,
        tags: [{ key: "mlflow.source.name", value: "courtside train" }],
      });
      const info = member(created["run"], "info");
      const runId = textOf(member(info, "run_id"));
      const metrics = metricsOf(card, startMs);
      for (let from = 0; from === 0 || from < metrics.length; from += BATCH_METRICS) {
        await asked("POST", `${API}/runs/log-batch`, {
          run_id: runId,
          metrics: metrics.slice(from, from + BATCH_METRICS),
          ...(from === 0 ? { params: parametersOf(card), tags: tagsOf(card) } : {}),
        });
      }
      const experimentPath = `${textOf(member(info, "experiment_id"))}/${runId}/artifacts`;
      for (const file of [ONNX_FILE, CARD_FILE]) {
        const bytes = await readFile(path.join(folder, file));
        await asked("PUT", `${ARTIFACTS}/${experimentPath}/${file}`, new Uint8Array(bytes));
      }
      const end = { run_id: runId, status: "FINISHED", end_time: Date.now() };
      await asked("POST", `${API}/runs/update`, end);
      say(`recorded ${card.version} as run ${runId} of experiment ${experiment} at ${base}`);
    },
  };
}

const API = "/api/2.0/mlflow";
const ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts";

/** What is read of answers: objects in objects, and texts. */
interface Json {
  readonly [key: string]: Json | string | undefined;
}

function member(value: Json | string | undefined, key: string): Json | string | undefined {
  return typeof value === "object" ? value[key] : undefined;
}

function textOf(value: Json | string | undefined): string {
  if (typeof value === "string" && value !== "") return value;
  throw new MlflowError("MLflow answered without the id that was asked for");
}

interface Answer {
  readonly status: number;
  readonly body: Json;
  readonly text: string;
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text === "" ? "{}" : text) as Json;
  } catch {
    // Not every refusal is JSON; its text is told all the same.
    return {};
  }
}

function metricsOf(card: ModelCard, timestamp: number): object[] {
  return card.evaluation.slices.flatMap(({ slice, model }) =>
    Object.entries(model).map(([name, value]) => ({
      key: metricName(slice, name),
      value,
      timestamp,
      step: 0,
    })),
  );
}

/** Letters, digits and `_-. /` only, by MLflow's own rule. */
function metricName(slice: string, name: string): string {
  return `${slice.replaceAll(/[^\w .\-/]/gu, "_")}/${name}`;
}

function parametersOf({ training, basis, schemaHash, terms }: ModelCard): object[] {
  const values: Record<string, string> = {
    basis: basis ?? "no-odds",
    seasons: training.seasons.join(","),
    games: String(training.games),
    rows: String(training.rows),
    seed: String(training.seed),
    method: training.method,
    data_sha256: training.dataSha256,
    schema_hash: schemaHash,
    terms: terms.map(({ feature, weight }) => `${feature}=${weight.toPrecision(6)}`).join(","),
  };
  return Object.entries(values).map(([key, value]) => ({
    key,
    value: value.slice(0, PARAMETER_CHARACTERS_MAX),
  }));
}

function tagsOf({ version, training }: ModelCard): object[] {
  const tags = [{ key: "courtside.version", value: version }];
  if (training.code !== undefined)
    tags.push({ key: "mlflow.source.git.commit", value: training.code });
  return tags;
}
