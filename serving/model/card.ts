import { createHash } from "node:crypto";
import { CourtsideError, errorText } from "../../base/errors.ts";

/** Bumped when a reader of older cards could misread a newer one. */
export const CARD_FORMAT = 1;

/** `card.json` beside `model.onnx`: what the model is, where it comes from and what it may be trusted for. */
export interface ModelCard {
  readonly format: typeof CARD_FORMAT;
  readonly name: string;
  /** First 12 hex digits of the SHA-256 of the model file without its version; also the folder's name. */
  readonly version: string;
  /** Hash of the ordered features; equal to `FEATURE_SCHEMA_HASH` of the code that fills them. */
  readonly schemaHash: string;
  /** Inputs in order. */
  readonly features: readonly CardFeature[];
  /** Inputs that the model uses and their weights on the logit, for reading; the file has the numbers. */
  readonly terms: readonly { readonly feature: string; readonly weight: number }[];
  /** Logit where all terms are 0: logit = bias + sum of weight x value. Absent for models that are no such sum. */
  readonly bias?: number;
  /** Whether the closing spread is an input. */
  readonly basis?: "no-odds" | "odds";
  /** SHA-256 of `model.onnx`, hex. */
  readonly onnxSha256: string;
  readonly training: CardTraining;
  readonly evaluation: CardEvaluation;
  /** Logistic on score and time alone that `evaluate` compares with, fitted on the same rows. */
  readonly baseline: { readonly weights: readonly number[]; readonly bias: number };
  /** Sentences on where the model must not be trusted. */
  readonly limits: readonly string[];
  /** Rows with the answers of the file when it was made; who loads it asks again. */
  readonly golden?: CardGolden;
  /** What `low` and `high` mean. */
  readonly interval?: CardInterval;
  /** The scoring-run outputs, when the file has them. */
  readonly run?: CardRun;
  /** How the inputs and the answers were spread over the fitted seasons: what drift is measured against. */
  readonly histograms?: readonly CardHistogram[];
  readonly predictionHistogram?: Omit<CardHistogram, "feature">;
}

/** Reference rows of a model. */
export interface CardGolden {
  readonly vectors: readonly (readonly number[])[];
  /** By output of the file, one number a row: `p`, and `low`, `high`, `home_run`, `away_run` where it has them. */
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  /** Largest difference that another machine may have. */
  readonly tolerance: number;
}

/** The interval around a probability. */
export interface CardInterval {
  /** 0..1, as stated. */
  readonly coverage: number;
  /** What is covered so often, in a sentence. */
  readonly meaning: string;
  /** The same share measured on the held-out season. */
  readonly measured: number;
}

/** Probability of a scoring run. */
export interface CardRun {
  readonly definition: string;
  /** Share of the held-out plays that a run of that side followed. */
  readonly baseRateHome: number;
  readonly baseRateAway: number;
  /** Scores on the held-out plays by side. */
  readonly home: Readonly<Record<string, number>>;
  readonly away: Readonly<Record<string, number>>;
}

/** Shares of the bins below `edges[0]`, between the edges, and from the last edge up: one more than edges; sum 1. */
export interface CardHistogram {
  readonly feature: string;
  readonly edges: readonly number[];
  readonly shares: readonly number[];
}

export interface CardFeature {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
}

export interface CardTraining {
  /** For example `2016-17`. */
  readonly seasons: readonly string[];
  readonly games: number;
  /** Rows that the model was fitted on. */
  readonly rows: number;
  /** SHA-256 over the fitted rows and their outcomes, hex. */
  readonly dataSha256: string;
  readonly seed: number;
  /** Season that calibration was chosen on. */
  readonly validationSeason?: string;
  /** Revision of the code that trained it. */
  readonly code?: string;
  /** How it was fitted, in one sentence. */
  readonly method: string;
}

export interface CardEvaluation {
  /** Season that was held out. */
  readonly season: string;
  readonly games: number;
  readonly rows: number;
  /** Largest difference between the trainer's and the ONNX file's probability over all held-out rows. */
  readonly onnxMaxDifference: number;
  /** The whole season first, then the slices. */
  readonly slices: readonly CardSlice[];
}

/** Scores on some of the held-out rows, next to a logistic on score and time alone on the same rows. */
export interface CardSlice {
  readonly slice: string;
  readonly rows: number;
  readonly model: Readonly<Record<string, number>>;
  readonly baseline: Readonly<Record<string, number>>;
}

/** `card.json` is missing, no card, or not the card of the model beside it. */
export class BadCardError extends CourtsideError {
  override readonly code = "BAD_MODEL_CARD";
  override readonly retryable = false;
}

/** @throws BadCardError naming the first field that is missing or of the wrong type. */
export function parseCard(text: string, source: string): ModelCard {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new BadCardError(`${source} is not JSON: ${errorText(error)}`, { cause: error });
  }
  const format = read(json, "format");
  if (format !== CARD_FORMAT) {
    throw new BadCardError(
      `${source} has format ${JSON.stringify(format)}, this program reads ${CARD_FORMAT}`,
    );
  }
  for (const [path, fits] of Object.entries(FIELDS)) {
    if (!fits(path.split(".").reduce(read, json))) {
      throw new BadCardError(`${source}: field ${path} is missing or of the wrong type`);
    }
  }
  return json as ModelCard;
}

/** SHA-256 in hex. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const text = (value: unknown): boolean => typeof value === "string" && value !== "";
const count = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0;
const listOf =
  (fits: (item: unknown) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.every(fits);
const numberList = listOf((item) => typeof item === "number");
const optional =
  (fits: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === undefined || fits(value);
const histogram = (value: unknown): boolean =>
  numberList(read(value, "edges")) && numberList(read(value, "shares"));
const numbers = (value: unknown): boolean =>
  typeof value === "object" &&
  value !== null &&
  Object.values(value).every((item) => typeof item === "number");

/** What a reader relies on, by path. */
const FIELDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  name: text,
  version: text,
  schemaHash: text,
  features: listOf((item) => text(read(item, "name")) && typeof read(item, "unit") === "string"),
  terms: listOf((item) => text(read(item, "feature")) && typeof read(item, "weight") === "number"),
  onnxSha256: text,
  "training.seasons": listOf(text),
  "training.games": count,
  "training.rows": count,
  "training.dataSha256": text,
  "evaluation.season": text,
  "evaluation.rows": count,
  "evaluation.slices": listOf(
    (item) =>
      text(read(item, "slice")) && numbers(read(item, "model")) && count(read(item, "rows")),
  ),
  "baseline.weights": listOf((item) => typeof item === "number"),
  "baseline.bias": (value) => typeof value === "number",
  limits: listOf(text),
  bias: optional((value) => typeof value === "number"),
  basis: optional((value) => value === "no-odds" || value === "odds"),
  golden: optional(
    (value) =>
      listOf(numberList)(read(value, "vectors")) &&
      numberList(read(read(value, "outputs"), "p")) &&
      typeof read(value, "tolerance") === "number",
  ),
  interval: optional(
    (value) => typeof read(value, "coverage") === "number" && text(read(value, "meaning")),
  ),
  run: optional(
    (value) => text(read(value, "definition")) && typeof read(value, "baseRateHome") === "number",
  ),
  histograms: optional(listOf((item) => text(read(item, "feature")) && histogram(item))),
  predictionHistogram: optional(histogram),
};

function read(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}
