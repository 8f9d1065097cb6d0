import { readFile } from "node:fs/promises";
import path from "node:path";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FEATURE_SCHEMA_HASH } from "../../features/mod.ts";
import { handMadeModel, temporaryModels, type ModelFolder } from "../../tests/support/models.ts";
import { startNats, type TestNats } from "../../tests/support/nats.ts";
import { type ModelCard } from "./card.ts";
import {
  fillIfEmpty,
  ImmutableVersionError,
  objectModelStore,
  type WritableModelStore,
} from "./object-store.ts";
import { openRegistry } from "./registry.ts";
import { folderStore } from "./store.ts";

let nats: TestNats;
let models: ModelFolder;

beforeAll(async () => {
  nats = await startNats();
  models = await temporaryModels();
});

afterAll(async () => {
  await models.remove();
  await nats.stop();
});

async function upload(store: WritableModelStore, { version }: ModelCard): Promise<void> {
  const file = (name: string) => readFile(path.join(models.folder, version, name));
  await store.publish(version, await file("model.onnx"), await file("card.json"));
}

test("models in an Object Store are served, followed as they are promoted, and never change", async () => {
  const connection = await connect({ servers: nats.url });
  const store = await objectModelStore(connection, "models-under-test");
  const first = await models.add(handMadeModel(0.5));
  const second = await models.add(handMadeModel());
  await upload(store, first);
  await upload(store, second);
  await upload(store, second);
  await store.setAlias("champion", first.version);
  expect(await store.versions()).toEqual([first.version, second.version].toSorted());

  const registry = await openRegistry(store, { schemaHash: FEATURE_SCHEMA_HASH });
  expect(registry.champion.card.version).toBe(first.version);
  await registry.watch();
  await store.setAlias("champion", second.version);
  await expect.poll(() => registry.champion.card.version, { timeout: 10_000 }).toBe(second.version);

  const bytes = await readFile(path.join(models.folder, first.version, "model.onnx"));
  const changed = store.publish(second.version, bytes, new Uint8Array(1));
  await expect(changed).rejects.toThrow(ImmutableVersionError);
  await registry.close();
  await connection.close();
});

test("an empty bucket is filled from a folder once", async () => {
  const connection = await connect({ servers: nats.url });
  const store = await objectModelStore(connection, "filled-under-test");
  const folder = folderStore(models.folder);
  expect(await fillIfEmpty(store, folder)).toBe(true);
  expect(await store.versions()).toEqual(await folder.versions());
  expect(await store.aliases()).toEqual(await folder.aliases());
  const [version = ""] = await folder.versions();
  await store.setAlias("champion", version);
  expect(await fillIfEmpty(store, folder)).toBe(false);
  expect((await store.aliases()).get("champion")).toBe(version);
  await connection.close();
});
