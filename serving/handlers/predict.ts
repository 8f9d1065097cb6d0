import { create } from "@bufbuild/protobuf";
import { silentLog, type Log } from "../../base/log.ts";
import { FEATURE_SCHEMA_HASH, FEATURES, featureVectorOf, holdsOdds } from "../../features/mod.ts";
import {
  type FeatureVector,
  type GameState,
  type Prediction,
  type ShadowPrediction,
} from "../../proto/gen/courtside/v1/insight_pb.ts";
import {
  ModelSchema,
  type Explanation,
  type Model,
  type PredictRequest,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { expiryOf, NO_DEADLINE, type CallState, type RowScore } from "../model/batcher.ts";
import { type ModelCard } from "../model/card.ts";
import { SchemaMismatchError, type LoadedModel, type ModelRegistry } from "../model/registry.ts";
import { startBreath } from "./breath.ts";
import { explain, tipOffVectorOf } from "./explain.ts";
import {
  gameIdViolation,
  gameStateViolations,
  InvalidInputError,
  type Violation,
} from "./validate.ts";

/** One answer. */
export interface Answer {
  readonly prediction: Prediction;
  readonly explanation: Explanation | undefined;
}

/** What the service does, free of gRPC and HTTP. */
export interface Predictor {
  readonly registry: ModelRegistry;
  /**
   * @throws InvalidInputError, UnknownModelError, SchemaMismatchError, NoExplanationError, OverloadedError,
   *   CallExpiredError
   */
  predict(request: PredictRequest, call?: CallState): Promise<Answer>;
  /**
   * All or nothing; answers are in the order of the requests. Long batches leave room for other calls.
   * @throws as `predict`; a violation's field starts with `requests[i].`
   */
  predictBatch(requests: readonly PredictRequest[], call?: CallState): Promise<Answer[]>;
  listModels(): Model[];
  /** @throws UnknownModelError */
  model(versionOrAlias: string): Model;
}

/** Requests of one PredictBatch; stated in the contract. */
export const MAX_BATCH_REQUESTS = 4_096;
/** Scores the states that tell the closing odds, when it is there. */
export const ODDS_ALIAS = "champion-odds";
/** Scores beside the model that answers; its opinion is recorded only. */
export const SHADOW_ALIAS = "challenger";
export function createPredictor(registry: ModelRegistry, log: Log = silentLog): Predictor {
  const describe = (card: ModelCard): Model => modelOf(card, registry);

  const shadowOf = async (
    { modelVersion }: PredictRequest,
    vector: Float32Array,
    call: CallState,
  ): Promise<ShadowPrediction[]> => {
    const shadow = registry.alias(SHADOW_ALIAS);
    if (shadow === undefined || modelVersion !== "") return [];
    return registry.use(shadow, async () => {
      try {
        return [shadowPrediction(shadow, await shadow.batcher.score(vector, call))];
      } catch (error) {
        // Its opinion is extra: without it the answer is whole.
        log.debug("shadow skipped", { version: shadow.card.version, error: String(error) });
        return [];
      }
    });
  };
  const score = async (
    request: PredictRequest,
    vector: Float32Array,
    model: LoadedModel,
    call: CallState,
  ): Promise<Answer> => {
    const shadowing = shadowOf(request, vector, call);
    const tipOff = request.explain ? tipOffOf(request, "") : undefined;
    const [now, then] =
      tipOff === undefined
        ? [await model.batcher.score(vector, call), undefined]
        : await Promise.all([vector, tipOff].map((each) => model.batcher.score(each, call)));
    if (now === undefined) throw new TypeError("a row was lost");
    const prediction = predictionOf(request, model.card, now, await shadowing);
    if (tipOff === undefined || then === undefined) return { prediction, explanation: undefined };
    const probs = { now: probabilityOf(now), tipOff: probabilityOf(then) };
    return { prediction, explanation: explain(model.card, { vector, tipOff }, probs) };
  };

  return {
    registry,
    async predict(request, call = NO_DEADLINE) {
      const vector = vectorOf(request, "");
      const model =
        chosen(registry, request.modelVersion, vector) ?? (await named(registry, request));
      return registry.use(model, () => score(request, vector, model, call));
    },
    async predictBatch(requests, call = NO_DEADLINE) {
      checkBatch(requests);
      const vectors = await vectorsOf(requests, call);
      const answers = Array.from<Answer | undefined>({ length: requests.length });
      for (const [model, rows] of await groupsOf(registry, requests, vectors)) {
        await registry.use(model, () =>
          scoreRows(registry, { model, rows, requests, vectors, call, answers, log }),
        );
      }
      return answers.map((answer) => {
        if (answer === undefined) throw new TypeError("a row was lost");
        return answer;
      });
    },
    listModels: () => registry.list().map(describe),
    model: (version) => describe(registry.card(version)),
  };
}

/** The model of a request that names none; undefined when it names one. */
function chosen(
  registry: ModelRegistry,
  version: string,
  vector: Float32Array,
): LoadedModel | undefined {
  if (version !== "") return undefined;
  return (holdsOdds(vector) ? registry.alias(ODDS_ALIAS) : undefined) ?? registry.champion;
}

function named(registry: ModelRegistry, { modelVersion }: PredictRequest): Promise<LoadedModel> {
  return registry.get(modelVersion);
}

function checkBatch(requests: readonly PredictRequest[]): void {
  if (requests.length > MAX_BATCH_REQUESTS) {
    const rule = `must be at most ${MAX_BATCH_REQUESTS}`;
    throw new InvalidInputError([
      { field: "requests.length", value: String(requests.length), rule },
    ]);
  }
  const version = requests[0]?.modelVersion;
  for (const [row, { modelVersion }] of requests.entries()) {
    if (modelVersion === version) continue;
    const field = `requests[${row}].model_version`;
    const rule = `must equal that of requests[0] (${JSON.stringify(version)})`;
    throw new InvalidInputError([{ field, value: JSON.stringify(modelVersion), rule }]);
  }
}

async function vectorsOf(
  requests: readonly PredictRequest[],
  call: CallState,
): Promise<Float32Array[]> {
  const breath = startBreath();
  const vectors: Float32Array[] = [];
  for (const [row, request] of requests.entries()) {
    vectors.push(vectorOf(request, `requests[${row}].`));
    if (!breath.isDue()) continue;
    await breath.take();
    const expired = expiryOf(call, Date.now());
    if (expired !== undefined) throw expired;
  }
  return vectors;
}

/** Rows by the model that answers them; two at most. */
async function groupsOf(
  registry: ModelRegistry,
  requests: readonly PredictRequest[],
  vectors: readonly Float32Array[],
): Promise<Map<LoadedModel, number[]>> {
  const [first] = requests;
  const groups = new Map<LoadedModel, number[]>();
  if (first === undefined) return groups;
  if (first.modelVersion !== "") {
    return groups.set(await registry.get(first.modelVersion), [...requests.keys()]);
  }
  for (const [row, vector] of vectors.entries()) {
    const model = chosen(registry, "", vector) ?? registry.champion;
    const rows = groups.get(model);
    if (rows === undefined) groups.set(model, [row]);
    else rows.push(row);
  }
  return groups;
}

interface RowWork {
  readonly model: LoadedModel;
  readonly rows: readonly number[];
  readonly requests: readonly PredictRequest[];
  readonly vectors: readonly Float32Array[];
  readonly call: CallState;
  /** Filled in. */
  readonly answers: (Answer | undefined)[];
  readonly log: Log;
}

async function scoreRows(registry: ModelRegistry, work: RowWork): Promise<void> {
  const { model, rows, requests, vectors, call, answers, log } = work;
  const explained = rows.filter((row) => requests[row]?.explain === true);
  const tipOffs = explained.map((row) => {
    const request = requests[row];
    if (request === undefined) throw new TypeError("a row was lost");
    return tipOffOf(request, `requests[${row}].`);
  });
  const ask = [...rows.map((row) => vectors[row]), ...tipOffs];
  const values = packed(ask, model.onnx.features);
  const shadowing = shadowRows(registry, requests[0], ask.slice(0, rows.length), call, log);
  const outputs = await model.batcher.scoreMany(values, ask.length, call);
  const shadows = await shadowing;
  const breath = startBreath();
  for (const [i, row] of rows.entries()) {
    const request = requests[row];
    if (request === undefined) continue;
    const shadow = shadows?.(i);
    const now = { outputs, row: i };
    const prediction = predictionOf(request, model.card, now, shadow === undefined ? [] : [shadow]);
    answers[row] = { prediction, explanation: undefined };
    if (breath.isDue()) await breath.take();
  }
  for (const [i, row] of explained.entries()) {
    const [answer, vector, tipOff] = [answers[row], vectors[row], tipOffs[i]];
    if (answer === undefined || vector === undefined || tipOff === undefined) continue;
    const then = { outputs, row: rows.length + i };
    const probs = { now: answer.prediction.homeWinProb, tipOff: probabilityOf(then) };
    answers[row] = { ...answer, explanation: explain(model.card, { vector, tipOff }, probs) };
    if (breath.isDue()) await breath.take();
  }
}

async function shadowRows(
  registry: ModelRegistry,
  first: PredictRequest | undefined,
  vectors: readonly (Float32Array | undefined)[],
  call: CallState,
  log: Log,
): Promise<((row: number) => ShadowPrediction) | undefined> {
  const shadow = registry.alias(SHADOW_ALIAS);
  if (shadow === undefined || first?.modelVersion !== "") return undefined;
  return registry.use(shadow, async () => {
    try {
      const values = packed(vectors, shadow.onnx.features);
      const outputs = await shadow.batcher.scoreMany(values, vectors.length, call);
      return (row: number) => shadowPrediction(shadow, { outputs, row });
    } catch (error) {
      log.debug("shadow skipped", { version: shadow.card.version, error: String(error) });
      return undefined;
    }
  });
}

function packed(vectors: readonly (Float32Array | undefined)[], features: number): Float32Array {
  const values = new Float32Array(vectors.length * features);
  for (const [row, vector] of vectors.entries()) if (vector) values.set(vector, row * features);
  return values;
}

function vectorOf({ input, explain: isExplained }: PredictRequest, prefix: string): Float32Array {
  switch (input.case) {
    case "state": {
      const violations = gameStateViolations(input.value, `${prefix}state.`);
      if (violations.length > 0) throw new InvalidInputError(violations);
      return featureVectorOf(input.value);
    }
    case "features":
      if (isExplained) {
        const rule =
          "must be false for features: only a state tells what the game was like at tip-off";
        throw new InvalidInputError([{ field: `${prefix}explain`, value: "true", rule }]);
      }
      return checkedFeatures(input.value, `${prefix}features.`);
    case undefined: {
      const violation = { field: `${prefix}input`, value: "absent" };
      throw new InvalidInputError([{ ...violation, rule: "is required: state or features" }]);
    }
    default:
      return input satisfies never;
  }
}

function tipOffOf({ input }: PredictRequest, prefix: string): Float32Array {
  if (input.case === "state") return tipOffVectorOf(input.value satisfies GameState);
  throw new InvalidInputError([
    { field: `${prefix}explain`, value: "true", rule: "needs a state" },
  ]);
}

function checkedFeatures(
  { schemaHash, values, gameId }: FeatureVector,
  prefix: string,
): Float32Array {
  if (schemaHash !== FEATURE_SCHEMA_HASH) {
    throw new SchemaMismatchError(
      `${prefix}schema_hash ${JSON.stringify(schemaHash.slice(0, 100))} is not ${FEATURE_SCHEMA_HASH}, the schema of this server's models`,
    );
  }
  const violations: Violation[] = gameIdViolation(gameId, prefix);
  if (values.length !== FEATURES.length) {
    const rule = `must have ${FEATURES.length} numbers`;
    violations.push({ field: `${prefix}values.length`, value: String(values.length), rule });
  }
  for (let i = 0; i < values.length && violations.length < MAX_VALUE_VIOLATIONS; i += 1) {
    const value = values[i];
    if (Number.isFinite(value)) continue;
    const field = `${prefix}values[${i}] (${FEATURES[i]?.name ?? "unknown"})`;
    violations.push({ field, value: String(value), rule: "must be a finite number" });
  }
  if (violations.length > 0) throw new InvalidInputError(violations);
  return Float32Array.from(values);
}

/** Bad numbers that are looked for in one vector. */
const MAX_VALUE_VIOLATIONS = 32;

function probabilityOf({ outputs, row }: RowScore): number {
  return outputs.p[row] ?? Number.NaN;
}

/** A literal, not `create`: it is made for every row, and the library's way costs twice what the model does. */
function predictionOf(
  { input }: PredictRequest,
  card: ModelCard,
  { outputs, row }: RowScore,
  shadows: ShadowPrediction[],
): Prediction {
  const prediction: Prediction = {
    $typeName: "courtside.v1.Prediction",
    gameId: input.value?.gameId ?? "",
    playNumber: input.case === "features" ? input.value.playNumber : 0,
    revision: input.case === "features" ? input.value.revision : 0,
    homeWinProb: outputs.p[row] ?? Number.NaN,
    modelName: card.name,
    modelVersion: card.version,
    schemaHash: card.schemaHash,
    predictedTimeMs: 0n,
    traceId: "",
    shadows,
  };
  const coverage = card.interval?.coverage;
  const [low, high] = [outputs.low?.[row], outputs.high?.[row]];
  if (coverage !== undefined && low !== undefined && high !== undefined) {
    // Rounded apart, they must not exclude what they are around.
    prediction.homeWinProbLow = Math.min(low, prediction.homeWinProb);
    prediction.homeWinProbHigh = Math.max(high, prediction.homeWinProb);
    prediction.intervalCoverage = coverage;
  }
  const [homeRun, awayRun] = [outputs.home_run?.[row], outputs.away_run?.[row]];
  if (homeRun !== undefined) prediction.homeRunProb = homeRun;
  if (awayRun !== undefined) prediction.awayRunProb = awayRun;
  return prediction;
}

function shadowPrediction({ card }: LoadedModel, score: RowScore): ShadowPrediction {
  return {
    $typeName: "courtside.v1.ShadowPrediction",
    modelName: card.name,
    modelVersion: card.version,
    homeWinProb: probabilityOf(score),
    alias: SHADOW_ALIAS,
  };
}

function modelOf(card: ModelCard, registry: ModelRegistry): Model {
  const whole = card.evaluation.slices[0]?.model ?? {};
  const coverage = card.interval?.coverage;
  return create(ModelSchema, {
    name: card.name,
    version: card.version,
    schemaHash: card.schemaHash,
    features: card.features.map(({ name, unit, description }) => ({ name, unit, description })),
    onnxSha256: card.onnxSha256,
    trainedSeasons: [...card.training.seasons],
    metrics: { ...whole },
    champion: card === registry.champion.card,
    aliases: [...registry.aliasesOf(card.version)],
    ...(coverage !== undefined && { intervalCoverage: coverage }),
    refusal: registry.refusal(card.version) ?? "",
  });
}
