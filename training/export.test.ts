import { readdir } from "node:fs/promises";
import { expect, test } from "vitest";
import { FEATURE_SCHEMA_HASH, FEATURES } from "../features/mod.ts";
import { handMadeModel, temporaryModels } from "../tests/support/models.ts";
import { checkParity, exportLogistic, ParityError } from "./export.ts";

const ROWS = 10_000;
const VALUES = Float32Array.from({ length: ROWS * FEATURES.length }, (_, i) => Math.sin(i) / 3);

test("the version follows the content", () => {
  const model = handMadeModel();
  const { version } = exportLogistic(model, FEATURE_SCHEMA_HASH);
  expect(exportLogistic(handMadeModel(), FEATURE_SCHEMA_HASH).version).toBe(version);
  expect(exportLogistic(handMadeModel(0.9), FEATURE_SCHEMA_HASH).version).not.toBe(version);
  expect(exportLogistic(model, "other").version).not.toBe(version);
});

test("a file that computes what the trainer computed passes", async () => {
  const model = handMadeModel();
  const exported = exportLogistic(model, FEATURE_SCHEMA_HASH);
  const { scores, maxDifference } = await checkParity(exported, model, VALUES, ROWS);
  expect(scores).toHaveLength(ROWS);
  expect(maxDifference).toBeLessThanOrEqual(1e-6);
});

test("a file of another model is caught", async () => {
  const other = handMadeModel();
  other.weights[0] = 1e-4;
  const exported = exportLogistic(handMadeModel(), FEATURE_SCHEMA_HASH);
  await expect(checkParity(exported, other, VALUES, ROWS)).rejects.toThrow(ParityError);
});

test("publishing leaves nothing but the version and the alias", async () => {
  const models = await temporaryModels();
  const { version } = await models.add(handMadeModel());
  await models.add(handMadeModel());
  expect((await readdir(models.folder)).sort()).toEqual(
    ["aliases.jsonl", "champion", version].sort(),
  );
  await models.remove();
});
