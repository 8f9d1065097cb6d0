import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FEATURE_SCHEMA_HASH } from "../../features/mod.ts";
import { handMadeModel, temporaryModels, type ModelFolder } from "../../tests/support/models.ts";
import { BadCardError } from "./card.ts";
import { BadOnnxError, loadOnnx } from "./onnx.ts";
import { NoModelError, openRegistry, SchemaMismatchError, UnknownModelError } from "./registry.ts";

let models: ModelFolder;
const SCHEMA = { schemaHash: FEATURE_SCHEMA_HASH };

beforeEach(async () => {
  models = await temporaryModels();
});

afterEach(() => models.remove());

test("the model that was published last is the champion and the others stay", async () => {
  const old = await models.add(handMadeModel(0.5));
  const current = await models.add(handMadeModel());
  const registry = await openRegistry(models.folder, SCHEMA);
  expect(registry.champion.card.version).toBe(current.version);
  expect(registry.list().map(({ version }) => version)).toEqual([current.version, old.version]);
  expect((await registry.get(old.version)).card).toEqual(old);
  await registry.close();
});

test("the same model published twice is one version", async () => {
  const first = await models.add(handMadeModel());
  const second = await models.add(handMadeModel());
  expect(second.version).toBe(first.version);
  const registry = await openRegistry(models.folder, SCHEMA);
  expect(registry.list()).toHaveLength(1);
  await registry.close();
});

test("an empty folder says how to get a model", async () => {
  const opened = openRegistry(models.folder, SCHEMA);
  await expect(opened).rejects.toThrow(NoModelError);
  await expect(opened).rejects.toThrow("courtside train");
});

test("a champion that is not there is named", async () => {
  await models.add(handMadeModel());
  await writeFile(path.join(models.folder, "champion"), "123456789abc\n");
  const opened = openRegistry(models.folder, SCHEMA);
  await expect(opened).rejects.toThrow(NoModelError);
  await expect(opened).rejects.toThrow("123456789abc");
});

test("a model of a foreign schema is refused", async () => {
  await models.add(handMadeModel(), "00112233445566aa");
  const opened = openRegistry(models.folder, SCHEMA);
  await expect(opened).rejects.toThrow(SchemaMismatchError);
  await expect(opened).rejects.toThrow("00112233445566aa");
});

test("a model of a foreign schema beside the champion is listed but not used", async () => {
  const foreign = await models.add(handMadeModel(0.5), "00112233445566aa");
  await models.add(handMadeModel());
  const registry = await openRegistry(models.folder, SCHEMA);
  expect(registry.list()).toHaveLength(2);
  await expect(registry.get(foreign.version)).rejects.toThrow(SchemaMismatchError);
  await expect(registry.get("nope")).rejects.toThrow(UnknownModelError);
  await registry.close();
});

test("a model file that was touched after its card is refused", async () => {
  const { version } = await models.add(handMadeModel());
  const file = path.join(models.folder, version, "model.onnx");
  const bytes = await readFile(file);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await writeFile(file, bytes);
  await expect(openRegistry(models.folder, SCHEMA)).rejects.toThrow(/SHA-256/u);
});

test("a card that is cut or lacks a field is refused by name", async () => {
  const { version } = await models.add(handMadeModel());
  const file = path.join(models.folder, version, "card.json");
  const card = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
  delete card["onnxSha256"];
  await writeFile(file, JSON.stringify(card));
  await expect(openRegistry(models.folder, SCHEMA)).rejects.toThrow(/card\.json.*onnxSha256/u);
  await writeFile(file, '{"format": 1');
  await expect(openRegistry(models.folder, SCHEMA)).rejects.toThrow(BadCardError);
  await rm(file);
  await expect(openRegistry(models.folder, SCHEMA)).rejects.toThrow(BadCardError);
});

test("bytes that are no model are refused", async () => {
  await expect(loadOnnx(new TextEncoder().encode("no model"))).rejects.toThrow(BadOnnxError);
  await expect(loadOnnx(new Uint8Array(0))).rejects.toThrow(BadOnnxError);
});
