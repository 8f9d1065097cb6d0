import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FEATURE_SCHEMA_HASH, FEATURES } from "../../features/mod.ts";
import { handMadeModel, temporaryModels, type ModelFolder } from "../../tests/support/models.ts";
import { promote, rollback } from "./aliases.ts";
import { BadCardError } from "./card.ts";
import { startOnnxThread } from "./onnx-thread.ts";
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

test("the registry follows the champion: loaded, checked and warm before it takes over", async () => {
  const old = await models.add(handMadeModel(0.5));
  const registry = await openRegistry(models.folder, SCHEMA);
  const before = registry.champion;
  const current = await models.add(handMadeModel());
  await registry.refresh();
  expect(registry.champion.card.version).toBe(current.version);
  expect(registry.aliasesOf(current.version)).toEqual(["champion"]);
  // Work that began before goes on with the model that it began with.
  const held = registry.use(before, async () =>
    before.onnx.score(new Float32Array(FEATURES.length), 1),
  );
  expect((await held)[0]).toBeGreaterThan(0);
  await promote(models.folder, "champion", old.version);
  await registry.refresh();
  expect(registry.champion.card.version).toBe(old.version);
  await rollback(models.folder, "champion");
  await registry.refresh();
  expect(registry.champion.card.version).toBe(current.version);
  await registry.close();
});

test("other aliases come and go", async () => {
  const first = await models.add(handMadeModel(0.5));
  await models.add(handMadeModel());
  const registry = await openRegistry(models.folder, SCHEMA);
  expect(registry.alias("challenger")).toBeUndefined();
  await promote(models.folder, "challenger", first.version);
  await registry.refresh();
  expect(registry.alias("challenger")?.card.version).toBe(first.version);
  expect((await registry.get("challenger")).card.version).toBe(first.version);
  await rm(path.join(models.folder, "challenger"));
  await registry.refresh();
  expect(registry.alias("challenger")).toBeUndefined();
  await registry.close();
});

/** Publishes a model as the champion and spoils it before the registry looks. */
async function spoiled(change: (folder: string, card: Record<string, unknown>) => Promise<void>) {
  const good = await models.add(handMadeModel(0.5));
  const registry = await openRegistry(models.folder, SCHEMA);
  const { version } = await models.add(handMadeModel());
  const folder = path.join(models.folder, version);
  const file = path.join(folder, "card.json");
  const card = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
  await change(folder, card);
  await writeFile(file, JSON.stringify(card));
  await registry.refresh();
  expect(registry.champion.card.version).toBe(good.version);
  const refusal = registry.refusal(version);
  const [score] = await registry.champion.onnx.score(new Float32Array(FEATURES.length), 1);
  expect(score).toBeGreaterThan(0);
  await registry.close();
  return refusal;
}

test("a new champion of a foreign schema is refused and the old one stays", async () => {
  const refusal = await spoiled((_, card) => {
    card["schemaHash"] = "00112233445566aa";
    return Promise.resolve();
  });
  expect(refusal).toContain("00112233445566aa");
});

test("a new champion whose file is cut is refused and the old one stays", async () => {
  const refusal = await spoiled(async (folder) => {
    const file = path.join(folder, "model.onnx");
    const bytes = await readFile(file);
    await writeFile(file, bytes.subarray(0, bytes.length / 2));
  });
  expect(refusal).toContain("SHA-256");
});

test("a new champion that does not say what its card says is refused and the old one stays", async () => {
  const refusal = await spoiled((_, card) => {
    const vectors = [FEATURES.map(() => 0)];
    card["golden"] = { vectors, outputs: { p: [0.9] }, tolerance: 1e-6 };
    return Promise.resolve();
  });
  expect(refusal).toMatch(/says p 0\.51\d+ of row 0 in its card, the card says 0\.9/u);
});

test("a file that was half copied is taken once it is whole and named anew", async () => {
  await models.add(handMadeModel(0.5));
  const registry = await openRegistry(models.folder, SCHEMA);
  const { version } = await models.add(handMadeModel());
  const file = path.join(models.folder, version, "model.onnx");
  const bytes = await readFile(file);
  await writeFile(file, bytes.subarray(0, 100));
  await registry.refresh();
  expect(registry.champion.card.version).not.toBe(version);
  await writeFile(file, bytes);
  await rollback(models.folder, "champion");
  await registry.refresh();
  await promote(models.folder, "champion", version);
  await registry.refresh();
  expect(registry.champion.card.version).toBe(version);
  expect(registry.refusal(version)).toBeUndefined();
  await registry.close();
});

test("a thread scores as this thread does, few rows and many", async () => {
  await models.add(handMadeModel());
  const thread = startOnnxThread();
  const far = await openRegistry(models.folder, { ...SCHEMA, thread });
  const near = await openRegistry(models.folder, SCHEMA);
  for (const rows of [1, 256, 257, 5_000]) {
    const values = Float32Array.from({ length: rows * FEATURES.length }, (_, i) => (i % 13) / 10);
    const expected = await near.champion.onnx.run(values.slice(), rows);
    expect(await far.champion.onnx.run(values, rows)).toEqual(expected);
  }
  await far.close();
  await thread.close();
  await expect(
    far.champion.onnx.score(new Float32Array(FEATURES.length * 300), 300),
  ).rejects.toThrow("ended");
  await near.close();
});
