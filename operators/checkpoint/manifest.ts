import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Blob,
  BlobSchema,
  type CheckpointManifest,
  CheckpointManifestSchema,
  type SealedBlock,
  SealedBlockSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { SealedRows } from "../runtime/sink.ts";
import {
  type BlobStore,
  CorruptSnapshotError,
  type RestoredSnapshot,
  type Snapshot,
} from "./snapshot.ts";

/** Version of the manifest that this code writes and the only one that it reads. */
export const FORMAT_VERSION = 2;

export function sha256(parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** Collects the spans of one segment. */
export class SegmentWriter {
  readonly parts: Uint8Array[] = [];
  sizeBytes = 0;
  readonly #segment: string;

  constructor(segment: string) {
    this.#segment = segment;
  }

  add(bytes: Uint8Array, stage = "", keyGroup = 0): Blob {
    const offsetBytes = BigInt(this.sizeBytes);
    this.parts.push(bytes);
    this.sizeBytes += bytes.length;
    return create(BlobSchema, {
      keyGroup,
      stage,
      segment: this.#segment,
      sha256: sha256([bytes]),
      sizeBytes: BigInt(bytes.length),
      offsetBytes,
    });
  }

  addSealed(sealed: Snapshot["sealed"]): SealedBlock[] {
    return [...sealed].flatMap(([sinkUid, blocks]) =>
      blocks.map(({ table, token, rows, bytes }) =>
        create(SealedBlockSchema, { sinkUid, table, token, rows, blob: this.add(bytes) }),
      ),
    );
  }
}

export function encodeManifest(manifest: CheckpointManifest): Uint8Array {
  return toBinary(CheckpointManifestSchema, manifest);
}

/** @throws CorruptSnapshotError when it is missing, differs from its digest or has another format. */
export async function readManifest(
  blobs: BlobStore,
  name: string,
  digest: string,
): Promise<CheckpointManifest> {
  const bytes = await blobs.get(name);
  if (bytes === undefined) throw new CorruptSnapshotError(`${name} is not in ${blobs.location}`);
  if (sha256([bytes]) !== digest)
    throw new CorruptSnapshotError(`${name} in ${blobs.location} is damaged`);
  const manifest = fromBinary(CheckpointManifestSchema, bytes);
  if (manifest.formatVersion !== FORMAT_VERSION)
    throw new CorruptSnapshotError(
      `${name} has format ${String(manifest.formatVersion)}, this version reads ${String(FORMAT_VERSION)}`,
    );
  return manifest;
}

/** Reads spans, each segment once. */
export class SegmentReader {
  readonly #blobs: BlobStore;
  readonly #segments = new Map<string, Uint8Array>();

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  /** @throws CorruptSnapshotError when the segment is missing, too short or damaged there. */
  async read(blob: Blob | undefined): Promise<Uint8Array> {
    if (blob === undefined) throw new CorruptSnapshotError("a block without its bytes");
    let bytes = this.#segments.get(blob.segment);
    if (bytes === undefined) {
      bytes = await this.#blobs.get(blob.segment);
      if (bytes === undefined)
        throw new CorruptSnapshotError(`${blob.segment} is not in ${this.#blobs.location}`);
      this.#segments.set(blob.segment, bytes);
    }
    const from = Number(blob.offsetBytes);
    const span = bytes.subarray(from, from + Number(blob.sizeBytes));
    if (sha256([span]) !== blob.sha256)
      throw new CorruptSnapshotError(`${blob.segment} is damaged at byte ${String(from)}`);
    return span;
  }
}

/** Everything that a manifest points to. @throws CorruptSnapshotError */
export async function loadSnapshot(
  blobs: BlobStore,
  manifest: CheckpointManifest,
): Promise<RestoredSnapshot> {
  const reader = new SegmentReader(blobs);
  const states = new Map<string, Map<number, Uint8Array>>();
  for (const blob of manifest.keyGroupStates) {
    let groups = states.get(blob.stage);
    if (groups === undefined) states.set(blob.stage, (groups = new Map()));
    groups.set(blob.keyGroup, await reader.read(blob));
  }
  const sealed = new Map<string, SealedRows[]>();
  for (const { sinkUid, table, token, rows, blob } of manifest.sealedBlocks) {
    const blocks = sealed.get(sinkUid) ?? [];
    blocks.push({ table, token, rows, bytes: await reader.read(blob) });
    sealed.set(sinkUid, blocks);
  }
  const { job, keyGroups, positions, descriptors, frontiers, edges } = manifest;
  return {
    job,
    keyGroups,
    positions,
    descriptors,
    frontiers,
    edges,
    checkpointId: Number(manifest.checkpointId),
    createdTimeMs: Number(manifest.createdTimeMs),
    states,
    sealed,
  };
}
