import { create } from "@bufbuild/protobuf";
import { featureVectorOf } from "../../features/mod.ts";
import {
  PredictionSchema,
  type FeatureVector,
  type Prediction,
} from "../../proto/gen/courtside/v1/insight_pb.ts";
import {
  ModelSchema,
  type Model,
  type PredictRequest,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { createBatcher, type Batcher } from "../model/batcher.ts";
import { type ModelCard } from "../model/card.ts";
import { SchemaMismatchError, type LoadedModel, type ModelRegistry } from "../model/registry.ts";
import { gameStateViolations, InvalidInputError, type Violation } from "./validate.ts";

/** What the service does, free of gRPC. */
export interface Predictor {
  /** @throws InvalidInputError, UnknownModelError, SchemaMismatchError, OverloadedError */
  predict(request: PredictRequest): Promise<Prediction>;
  /**
   * All or nothing; answers are in the order of the requests.
   * @throws as `predict`; a violation's field starts with `requests[i].`
   */
  predictBatch(requests: readonly PredictRequest[]): Promise<Prediction[]>;
  listModels(): Model[];
  /** @throws UnknownModelError */
  model(version: string): Model;
}

/** Requests of one PredictBatch; stated in the contract. */
export const MAX_BATCH_REQUESTS = 4_096;

export function createPredictor(registry: ModelRegistry): Predictor {
  const batchers = new Map<LoadedModel, Batcher>();
  const batcherOf = (model: LoadedModel): Batcher => {
    const known = batchers.get(model);
    if (known !== undefined) return known;
    const batcher = createBatcher(model.onnx);
    batchers.set(model, batcher);
    return batcher;
  };
  const describe = (card: ModelCard): Model => modelOf(card, card === registry.champion.card);

  return {
    async predict(request) {
      const model = await modelFor(registry, request.modelVersion);
      const vector = vectorOf(request, model, "");
      return predictionOf(request, model, await batcherOf(model).score(vector));
    },
    async predictBatch(requests) {
      if (requests.length > MAX_BATCH_REQUESTS) {
        const rule = `must be at most ${MAX_BATCH_REQUESTS}`;
        const value = String(requests.length);
        throw new InvalidInputError([{ field: "requests.length", value, rule }]);
      }
      const version = requests[0]?.modelVersion ?? "";
      const model = await modelFor(registry, version);
      const values = valuesOf(requests, model);
      const scores = await batcherOf(model).scoreMany(values, requests.length);
      return requests.map((request, row) =>
        predictionOf(request, model, scores[row] ?? Number.NaN),
      );
    },
    listModels: () => registry.list().map(describe),
    model: (version) => describe(registry.card(version)),
  };
}

/** All rows' features, one after the other; all requests must be for the same model. */
function valuesOf(requests: readonly PredictRequest[], model: LoadedModel): Float32Array {
  const { features } = model.onnx;
  const version = requests[0]?.modelVersion;
  const values = new Float32Array(requests.length * features);
  for (const [row, request] of requests.entries()) {
    if (request.modelVersion !== version) {
      const field = `requests[${row}].model_version`;
      const rule = `must equal that of requests[0] (${JSON.stringify(version)})`;
      throw new InvalidInputError([{ field, value: JSON.stringify(request.modelVersion), rule }]);
    }
    values.set(vectorOf(request, model, `requests[${row}].`), row * features);
  }
  return values;
}

function modelFor(registry: ModelRegistry, version: string): LoadedModel | Promise<LoadedModel> {
  return version === "" ? registry.champion : registry.get(version);
}

function vectorOf({ input }: PredictRequest, model: LoadedModel, prefix: string): Float32Array {
  switch (input.case) {
    case "state": {
      const violations = gameStateViolations(input.value, `${prefix}state.`);
      if (violations.length > 0) throw new InvalidInputError(violations);
      return featureVectorOf(input.value);
    }
    case "features":
      return checkedFeatures(input.value, model, `${prefix}features.`);
    case undefined: {
      const violation = { field: `${prefix}input`, value: "absent" };
      throw new InvalidInputError([{ ...violation, rule: "is required: state or features" }]);
    }
    default:
      return input satisfies never;
  }
}

function checkedFeatures(
  { schemaHash, values }: FeatureVector,
  { card, onnx }: LoadedModel,
  prefix: string,
): Float32Array {
  if (schemaHash !== card.schemaHash) {
    throw new SchemaMismatchError(
      `${prefix}schema_hash ${JSON.stringify(schemaHash)} is not ${card.schemaHash}, the schema of model ${card.version}`,
    );
  }
  const violations: Violation[] = [];
  if (values.length !== onnx.features) {
    const rule = `must have ${onnx.features} numbers`;
    violations.push({ field: `${prefix}values.length`, value: String(values.length), rule });
  }
  for (const [i, value] of values.entries()) {
    if (Number.isFinite(value)) continue;
    const field = `${prefix}values[${i}] (${card.features[i]?.name ?? "unknown"})`;
    violations.push({ field, value: String(value), rule: "must be a finite number" });
  }
  if (violations.length > 0) throw new InvalidInputError(violations);
  return Float32Array.from(values);
}

function predictionOf(
  { input }: PredictRequest,
  { card }: LoadedModel,
  homeWinProb: number,
): Prediction {
  return create(PredictionSchema, {
    gameId: input.value?.gameId ?? "",
    playNumber: input.case === "features" ? input.value.playNumber : 0,
    revision: input.case === "features" ? input.value.revision : 0,
    homeWinProb,
    modelName: card.name,
    modelVersion: card.version,
    schemaHash: card.schemaHash,
  });
}

function modelOf(card: ModelCard, champion: boolean): Model {
  const whole = card.evaluation.slices[0]?.model ?? {};
  return create(ModelSchema, {
    name: card.name,
    version: card.version,
    schemaHash: card.schemaHash,
    features: card.features.map(({ name, unit, description }) => ({ name, unit, description })),
    onnxSha256: card.onnxSha256,
    trainedSeasons: [...card.training.seasons],
    metrics: { ...whole },
    champion,
  });
}
