import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CourtsideError, errorText } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import {
  type Blob,
  BlobSchema,
  type CheckpointManifest,
  CheckpointManifestSchema,
  SealedBlockSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { SealedRows } from "../runtime/sink.ts";
import type { RestoredSnapshot, Snapshot, SnapshotStore } from "./snapshot.ts";

/** No snapshot in the directory can be read whole, though there are some. */
export class CorruptSnapshotError extends CourtsideError {
  override readonly code = "CORRUPT_SNAPSHOT";
  override readonly retryable = false;
}

/** Version of the manifest that this code writes and the only one that it reads. */
const FORMAT_VERSION = 1;
/** Snapshots that are kept: the newest, and two to fall back to when it turns out corrupt. */
const RETAINED_SNAPSHOTS = 3;
const DIGEST_BYTES = 32;
/** Digits of a checkpoint id in a file name: a checkpoint a second lasts 300 years. */
const ID_DIGITS = 10;

/**
 * Snapshots in a local directory: `<id>.segment` holds the bytes of what changed, `<id>.manifest` says where
 * each part lies, also in older segments. The rename of the manifest is the commit point. Both are on the
 * disk before it (fsync), so a crash leaves either the old snapshot or the new one.
 */
export class DirectoryStore implements SnapshotStore {
  readonly #directory: string;
  readonly #log: Log;
  #last: CheckpointManifest | undefined;

  constructor(directory: string, log: Log) {
    this.#directory = directory;
    this.#log = log;
  }

  async latest(): Promise<RestoredSnapshot | undefined> {
    await mkdir(this.#directory, { recursive: true });
    const ids = await this.#manifestIds();
    for (const id of ids.toReversed()) {
      try {
        const manifest = await this.#readManifest(id);
        const restored = await this.#load(manifest);
        this.#last = manifest;
        return restored;
      } catch (error) {
        this.#log.error("snapshot_corrupt", error, { checkpoint: id, fallback: "the one before" });
      }
    }
    if (ids.length === 0) return undefined;
    throw new CorruptSnapshotError(
      `none of the ${String(ids.length)} snapshots in ${this.#directory} can be read whole; ` +
        "restore the directory from a backup, or remove it to start from the beginning of the stream",
    );
  }

  async write(snapshot: Snapshot): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    const segment = `${fileId(snapshot.checkpointId)}.segment`;
    const writer = new SegmentWriter(segment);
    const states = [...(this.#last?.keyGroupStates ?? [])].filter(
      ({ keyGroup }) => !snapshot.changed.has(keyGroup),
    );
    for (const [keyGroup, bytes] of snapshot.changed) states.push(writer.add(bytes, keyGroup));
    const sealedBlocks = [...snapshot.sealed].flatMap(([sinkUid, blocks]) =>
      blocks.map(({ table, token, rows, bytes }) =>
        create(SealedBlockSchema, { sinkUid, table, token, rows, blob: writer.add(bytes, 0) }),
      ),
    );
    const manifest = create(CheckpointManifestSchema, {
      formatVersion: FORMAT_VERSION,
      job: snapshot.job,
      checkpointId: BigInt(snapshot.checkpointId),
      epoch: BigInt(snapshot.epoch),
      createdTimeMs: BigInt(snapshot.createdTimeMs),
      keyGroups: snapshot.keyGroups,
      positions: [...snapshot.positions],
      keyGroupStates: states,
      sealedBlocks,
      descriptors: [...snapshot.descriptors],
    });
    await this.#writeFile(segment, writer.parts);
    const body = toBinary(CheckpointManifestSchema, manifest);
    await this.#writeFile(`${fileId(snapshot.checkpointId)}.manifest`, [digest(body), body]);
    this.#last = manifest;
    await this.#sweep();
  }

  async #manifestIds(): Promise<number[]> {
    const names = await readdir(this.#directory);
    return names
      .filter((name) => name.endsWith(".manifest"))
      .map((name) => Number.parseInt(name, 10))
      .sort((a, b) => a - b);
  }

  async #readManifest(id: number): Promise<CheckpointManifest> {
    const bytes = await readFile(join(this.#directory, `${fileId(id)}.manifest`));
    const body = bytes.subarray(DIGEST_BYTES);
    if (!digest(body).equals(bytes.subarray(0, DIGEST_BYTES)))
      throw new CorruptSnapshotError(`manifest of checkpoint ${String(id)} is damaged`);
    const manifest = fromBinary(CheckpointManifestSchema, body);
    if (manifest.formatVersion !== FORMAT_VERSION)
      throw new CorruptSnapshotError(
        `checkpoint ${String(id)} has format ${String(manifest.formatVersion)}, ` +
          `this version reads ${String(FORMAT_VERSION)}`,
      );
    return manifest;
  }

  async #load(manifest: CheckpointManifest): Promise<RestoredSnapshot> {
    const segments = new Map<string, Buffer>();
    const read = async (blob: Blob | undefined): Promise<Uint8Array> => {
      if (blob === undefined) throw new CorruptSnapshotError("a block without its bytes");
      let bytes = segments.get(blob.segment);
      if (bytes === undefined) {
        bytes = await readFile(join(this.#directory, blob.segment));
        segments.set(blob.segment, bytes);
      }
      const from = Number(blob.offsetBytes);
      const span = bytes.subarray(from, from + Number(blob.sizeBytes));
      if (digest(span).toString("hex") !== blob.sha256)
        throw new CorruptSnapshotError(`${blob.segment} is damaged at byte ${String(from)}`);
      return span;
    };
    const states = new Map<number, Uint8Array>();
    for (const blob of manifest.keyGroupStates) states.set(blob.keyGroup, await read(blob));
    const sealed = new Map<string, SealedRows[]>();
    for (const { sinkUid, table, token, rows, blob } of manifest.sealedBlocks) {
      const blocks = sealed.get(sinkUid) ?? [];
      blocks.push({ table, token, rows, bytes: await read(blob) });
      sealed.set(sinkUid, blocks);
    }
    const { job, keyGroups, positions, descriptors } = manifest;
    return {
      job,
      keyGroups,
      positions,
      descriptors,
      checkpointId: Number(manifest.checkpointId),
      epoch: Number(manifest.epoch),
      createdTimeMs: Number(manifest.createdTimeMs),
      states,
      sealed,
    };
  }

  async #writeFile(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const temporary = join(this.#directory, `${name}.tmp`);
    const file = await open(temporary, "w");
    try {
      await file.writev([...parts]);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(temporary, join(this.#directory, name));
  }

  /** Drops old manifests and the segments that no kept manifest points into. A failure only costs space. */
  async #sweep(): Promise<void> {
    try {
      const ids = await this.#manifestIds();
      const kept = ids.slice(-RETAINED_SNAPSHOTS);
      const used = new Set<string>();
      for (const id of kept) {
        const manifest = await this.#readManifest(id);
        for (const { segment } of manifest.keyGroupStates) used.add(segment);
        used.add(`${fileId(id)}.segment`);
        used.add(`${fileId(id)}.manifest`);
      }
      for (const name of await readdir(this.#directory))
        if (!used.has(name)) await rm(join(this.#directory, name), { force: true });
    } catch (error) {
      this.#log.warn("snapshot_sweep_failed", { error: errorText(error) });
    }
  }
}

class SegmentWriter {
  readonly parts: Uint8Array[] = [];
  readonly #segment: string;
  #sizeBytes = 0;

  constructor(segment: string) {
    this.#segment = segment;
  }

  add(bytes: Uint8Array, keyGroup: number): Blob {
    const offsetBytes = BigInt(this.#sizeBytes);
    this.parts.push(bytes);
    this.#sizeBytes += bytes.length;
    return create(BlobSchema, {
      keyGroup,
      segment: this.#segment,
      sha256: digest(bytes).toString("hex"),
      sizeBytes: BigInt(bytes.length),
      offsetBytes,
    });
  }
}

function digest(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function fileId(checkpointId: number): string {
  return String(checkpointId).padStart(ID_DIGITS, "0");
}
