import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { FEATURE_SCHEMA_HASH, FEATURES } from "../../features/mod.ts";
import { type ModelCard } from "../../serving/model/card.ts";
import { cardOf, exportLogistic, publish } from "../../training/export.ts";
import { type LogisticModel } from "../../training/onnx/graph.ts";

/** Weights of about the size that real seasons give. */
const WEIGHTS: Readonly<Record<string, number>> = {
  margin_per_sqrt_second: 6,
  margin_per_second: 5,
  possession_per_sqrt_second: 3,
  pregame_logit_by_sqrt_share_left: 0.9,
};

/** A plausible model by hand; what tests need of a model without training one. */
export function handMadeModel(scale = 1): LogisticModel {
  const weights = Float64Array.from(FEATURES, ({ name }) => (WEIGHTS[name] ?? 0) * scale);
  return { weights, bias: 0.05 };
}

export interface ModelFolder {
  readonly folder: string;
  /** Publishes a model and makes it the champion. */
  add(model: LogisticModel, schemaHash?: string): Promise<ModelCard>;
  remove(): Promise<void>;
}

export async function temporaryModels(): Promise<ModelFolder> {
  const folder = await mkdtemp(path.join(tmpdir(), "courtside-models-"));
  return {
    folder,
    async add(model, schemaHash = FEATURE_SCHEMA_HASH) {
      const exported = exportLogistic(model, schemaHash);
      const card = cardOf(exported, model, {
        schemaHash,
        features: FEATURES,
        training: {
          seasons: ["1999-00"],
          games: 1,
          rows: 1,
          dataSha256: "0",
          seed: 1,
          method: "made by hand",
        },
        evaluation: {
          season: "2000-01",
          games: 1,
          rows: 1,
          onnxMaxDifference: 0,
          slices: [
            { slice: "all plays", rows: 1, model: { brier: 0.2 }, baseline: { brier: 0.25 } },
          ],
        },
        baseline: { weights: Float64Array.of(0, 0, 0, 0, 0), bias: 0 },
        limits: ["made by hand"],
      });
      await publish(folder, exported, card);
      return card;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
