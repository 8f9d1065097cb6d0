import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CourtsideError } from "../../base/errors.ts";
import type { KeyGroupRange } from "../../base/key-group.ts";
import {
  type CheckpointManifest,
  CheckpointManifestSchema,
  type SavepointManifest,
  SavepointManifestSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { redistribute } from "../state/operator-state.ts";
import { FORMAT_VERSION, loadSnapshot, readManifest } from "./manifest.ts";
import type { BlobStore, RestoredSnapshot } from "./snapshot.ts";

/** There is no such savepoint, or it cannot be used. */
export class SavepointError extends CourtsideError {
  override readonly code = "SAVEPOINT";
  override readonly retryable = false;
}

const FOLDER = "savepoints";

/** Where the parts of a savepoint lie. */
export function savepointPrefix(job: string, name: string): string {
  return `${FOLDER}/${job}/${name}`;
}

/** Written last: a savepoint without it does not exist. */
export async function writeSavepoint(
  blobs: BlobStore,
  savepoint: Omit<SavepointManifest, "$typeName" | "$unknown" | "formatVersion">,
): Promise<void> {
  const manifest = create(SavepointManifestSchema, { ...savepoint, formatVersion: FORMAT_VERSION });
  const name = `${savepointPrefix(savepoint.job, savepoint.name)}/savepoint`;
  await blobs.put(name, [toBinary(SavepointManifestSchema, manifest)]);
}

/** @throws SavepointError when there is none of that name. */
export async function readSavepoint(
  blobs: BlobStore,
  job: string,
  name: string,
): Promise<SavepointManifest> {
  const bytes = await blobs.get(`${savepointPrefix(job, name)}/savepoint`);
  if (bytes === undefined) {
    const names = await listSavepoints(blobs, job);
    throw new SavepointError(
      `job ${job} has no savepoint ${name} in ${blobs.location}; there ` +
        (names.length === 0 ? "are none" : `are: ${names.join(", ")}`),
    );
  }
  const manifest = fromBinary(SavepointManifestSchema, bytes);
  if (manifest.formatVersion !== FORMAT_VERSION)
    throw new SavepointError(
      `savepoint ${name} has format ${String(manifest.formatVersion)}, this version reads ` +
        String(FORMAT_VERSION),
    );
  return manifest;
}

/** Names of the job's savepoints. */
export async function listSavepoints(blobs: BlobStore, job: string): Promise<readonly string[]> {
  const names = await blobs.list(`${FOLDER}/${job}/`);
  return names
    .filter((name) => name.endsWith("/savepoint"))
    .map((name) => name.split("/").at(-2) ?? "")
    .toSorted();
}

/** The manifest goes first, so that a half-removed savepoint does not exist. */
export async function deleteSavepoint(blobs: BlobStore, job: string, name: string): Promise<void> {
  await readSavepoint(blobs, job, name);
  const prefix = `${savepointPrefix(job, name)}/`;
  await blobs.remove(`${prefix}savepoint`);
  for (const part of await blobs.list(prefix)) await blobs.remove(part);
}

/** The manifests of its regions. */
export async function savepointParts(
  blobs: BlobStore,
  savepoint: SavepointManifest,
): Promise<readonly CheckpointManifest[]> {
  const parts: CheckpointManifest[] = [];
  for (const { manifest, sha256 } of savepoint.regions)
    parts.push(await readManifest(blobs, manifest, sha256));
  return parts;
}

/** What a region of the given key groups starts from, out of regions that were cut otherwise. */
export async function loadSavepoint(
  blobs: BlobStore,
  savepoint: SavepointManifest,
  { first, last }: KeyGroupRange,
  { index, parallelism } = { index: 0, parallelism: 1 },
): Promise<RestoredSnapshot> {
  const states = new Map<string, Map<number, Uint8Array>>();
  const found: RestoredSnapshot[] = [];
  for (const part of await savepointParts(blobs, savepoint)) {
    const keyGroupStates = part.keyGroupStates.filter(
      ({ keyGroup }) => (keyGroup >= first && keyGroup <= last) || keyGroup >= part.keyGroups,
    );
    found.push(
      await loadSnapshot(blobs, create(CheckpointManifestSchema, { ...part, keyGroupStates })),
    );
  }
  for (const snapshot of found)
    for (const [stage, groups] of snapshot.states)
      states.set(stage, new Map([...(states.get(stage) ?? []), ...groups]));
  for (const [stage, groups] of states) {
    // State without a key is dealt out anew: the elements of all old tasks over all new ones.
    const old = found.map((each) => each.states.get(stage)?.get(savepoint.keyGroups));
    if (old.every((bytes) => bytes === undefined)) continue;
    const all = found.flatMap((each) => each.descriptors);
    const own = redistribute(
      old.map((bytes) => bytes ?? new Uint8Array()),
      all,
      parallelism,
    )[index];
    if (own !== undefined) groups.set(savepoint.keyGroups, own);
  }
  const descriptors = new Map(
    found.flatMap((each) =>
      each.descriptors.map((one) => [`${one.operatorUid}/${one.stateName}`, one] as const),
    ),
  );
  return {
    job: savepoint.job,
    keyGroups: savepoint.keyGroups,
    checkpointId: Math.max(0, ...found.map(({ checkpointId }) => checkpointId)),
    createdTimeMs: Number(savepoint.createdTimeMs),
    positions: found.flatMap(({ positions }) => positions),
    descriptors: [...descriptors.values()],
    states,
    sealed: new Map(),
    frontiers: [],
    // Streams between tasks belong to an epoch; after a restore they begin anew.
    edges: [],
  };
}
