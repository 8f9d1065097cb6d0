import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { errorText } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import {
  type Blob,
  type CheckpointHead,
  CheckpointHeadSchema,
  type CheckpointManifest,
  CheckpointManifestSchema,
  type CheckpointRef,
  CheckpointRefSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import {
  encodeManifest,
  FORMAT_VERSION,
  loadSnapshot,
  readManifest,
  SegmentReader,
  SegmentWriter,
  sha256,
} from "./manifest.ts";
import {
  type BlobStore,
  CorruptSnapshotError,
  type FaultPoint,
  FencedError,
  type HeadStore,
  type Opened,
  type RestoredSnapshot,
  type Snapshot,
  type SnapshotStore,
  StoreError,
} from "./snapshot.ts";

/** Snapshots that are kept: the newest, and two to fall back to when it turns out damaged. */
const RETAINED_SNAPSHOTS = 3;
/** State that has not changed for so many checkpoints is copied into the newest segment, a few groups at a
 * time, so that the segments it lies in can go: the store is never larger than about so many checkpoints. */
const COPY_AFTER_CHECKPOINTS = 100;
const COPIES_PER_CHECKPOINT = 8;
/** Digits of an id in a name, so that names sort. */
const ID_DIGITS = 10;

/** What a region's snapshots need: bytes, a head, and names. */
export interface RegionStoreOptions {
  readonly blobs: BlobStore;
  readonly head: HeadStore;
  readonly job: string;
  /** Names the region inside the job; its blobs lie under it. */
  readonly region: string;
  /** Who takes it, for the head. */
  readonly owner: string;
  readonly log: Log;
  readonly fault?: FaultPoint;
  /** False when the head's owner is alive, so that the region is not to be taken from it. */
  readonly mayTakeFrom?: (owner: string) => boolean;
  /** Asked when the head is ours, before anything is read. @throws FencedError when the region is not to go on. */
  admit?(): Promise<void>;
  /** State that a region without any checkpoint starts from. */
  initial?(): Promise<RestoredSnapshot | undefined>;
}

/**
 * Snapshots of one region as blobs under one head.
 *
 * `<region>/<id>-<epoch>.segment` holds the bytes of what changed, `….manifest` says where each part of the
 * state lies, also in older segments. Both are stored before the head is swapped, which is the commit: a
 * crash leaves either the old snapshot or the new one. Names hold the epoch, so a worker that was overtaken
 * never writes over its successor's blobs, and its swap fails.
 */
export class RegionStore implements SnapshotStore {
  readonly #options: RegionStoreOptions;
  #head: CheckpointHead = create(CheckpointHeadSchema);
  #revision = 0;
  #last: CheckpointManifest | undefined;
  /** By manifest that was read or written here: the blobs that it needs. */
  readonly #uses = new Map<string, ReadonlySet<string>>();
  #orphansSwept = false;
  /** Savepoints that are being written, for which nothing may go. */
  #exports = 0;

  constructor(options: RegionStoreOptions) {
    this.#options = options;
  }

  async open(): Promise<Opened> {
    const { head, owner, region, mayTakeFrom } = this.#options;
    const { bytes, revision } = await head.read();
    const before = bytes === undefined ? create(CheckpointHeadSchema) : decodeHead(bytes);
    if (before.owner !== "" && before.owner !== owner && mayTakeFrom?.(before.owner) === false)
      throw new FencedError(`region ${region} is with ${before.owner}, which is alive`);
    this.#revision = revision;
    this.#head = create(CheckpointHeadSchema, {
      epoch: before.epoch + 1n,
      owner,
      checkpoints: before.checkpoints,
    });
    await this.#swap();
    await this.#options.admit?.();
    const found = await this.#newestWhole();
    const restored = found?.snapshot ?? (await this.#initial());
    return {
      epoch: Number(this.#head.epoch),
      restored,
      lost: found?.lost ?? [],
      lastCheckpointId: Number(
        this.#head.checkpoints.at(-1)?.checkpointId ?? restored?.checkpointId ?? 0,
      ),
      isFromSavepoint: found === undefined && restored !== undefined,
    };
  }

  async write(snapshot: Snapshot): Promise<void> {
    const { blobs, region, job, fault } = this.#options;
    const name = `${region}/${pad(snapshot.checkpointId)}-${String(this.#head.epoch)}`;
    const writer = new SegmentWriter(`${name}.segment`);
    const states = await this.#states(snapshot, writer);
    const sealedBlocks = writer.addSealed(snapshot.sealed);
    const manifest = create(CheckpointManifestSchema, {
      formatVersion: FORMAT_VERSION,
      job,
      region,
      checkpointId: BigInt(snapshot.checkpointId),
      epoch: this.#head.epoch,
      createdTimeMs: BigInt(snapshot.createdTimeMs),
      keyGroups: snapshot.keyGroups,
      positions: [...snapshot.positions],
      keyGroupStates: states,
      sealedBlocks,
      descriptors: [...snapshot.descriptors],
      frontiers: [...snapshot.frontiers],
      edges: [...snapshot.edges],
    });
    fault?.("before-blob");
    if (writer.parts.length > 0) await blobs.put(`${name}.segment`, writer.parts);
    fault?.("after-blob");
    const body = encodeManifest(manifest);
    await blobs.put(`${name}.manifest`, [body]);
    fault?.("before-swap");
    const ref = create(CheckpointRefSchema, {
      checkpointId: BigInt(snapshot.checkpointId),
      manifest: `${name}.manifest`,
      sha256: sha256([body]),
      frontiers: [...snapshot.frontiers],
      createdTimeMs: BigInt(snapshot.createdTimeMs),
      addedBytes: BigInt(writer.sizeBytes),
      stateBytes: states.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n),
      sequence: snapshot.positions.reduce((most, p) => (p.sequence > most ? p.sequence : most), 0n),
    });
    this.#head.checkpoints = [...this.#head.checkpoints, ref].slice(-RETAINED_SNAPSHOTS);
    await this.#swap();
    fault?.("after-swap");
    this.#last = manifest;
    this.#uses.set(ref.manifest, usedBy(ref.manifest, manifest));
    await this.#sweep();
  }

  /** Gives the region back, so that another worker need not wait for the lease to run out. */
  async release(): Promise<void> {
    this.#head.owner = "";
    await this.#swap();
  }

  /**
   * Writes the newest snapshot once more, on its own and whole, for a savepoint.
   * @param prefix - where: `savepoints/<name>`. @returns how the savepoint names it.
   */
  async exportTo(prefix: string): Promise<CheckpointRef> {
    this.#exports += 1;
    try {
      return await this.#export(prefix);
    } finally {
      this.#exports -= 1;
    }
  }

  async #export(prefix: string): Promise<CheckpointRef> {
    const { blobs, region } = this.#options;
    const from = this.#last;
    const ref = this.#head.checkpoints.at(-1);
    if (from === undefined || ref === undefined)
      throw new StoreError(`region ${region} has no checkpoint to make a savepoint of`);
    const name = `${prefix}/${region}`;
    const writer = new SegmentWriter(`${name}.segment`);
    const reader = new SegmentReader(blobs);
    const states: Blob[] = [];
    for (const blob of from.keyGroupStates)
      states.push(writer.add(await reader.read(blob), blob.stage, blob.keyGroup));
    // Its rows are in the tables before anybody is told of the savepoint.
    const manifest = create(CheckpointManifestSchema, {
      ...from,
      keyGroupStates: states,
      sealedBlocks: [],
    });
    await blobs.put(`${name}.segment`, writer.parts);
    const body = encodeManifest(manifest);
    await blobs.put(`${name}.manifest`, [body]);
    return create(CheckpointRefSchema, {
      ...ref,
      manifest: `${name}.manifest`,
      sha256: sha256([body]),
      epoch: this.#head.epoch,
    });
  }

  async #initial(): Promise<RestoredSnapshot | undefined> {
    return this.#options.initial?.();
  }

  async #newestWhole(): Promise<
    { readonly snapshot: RestoredSnapshot; readonly lost: Opened["lost"] } | undefined
  > {
    const { blobs, region, log } = this.#options;
    const refs = this.#head.checkpoints;
    const lost: Opened["lost"][number][] = [];
    for (const ref of refs.toReversed()) {
      try {
        const manifest = await readManifest(blobs, ref.manifest, ref.sha256);
        const snapshot = await loadSnapshot(blobs, manifest);
        this.#last = manifest;
        this.#uses.set(ref.manifest, usedBy(ref.manifest, manifest));
        return { snapshot, lost: lost.toReversed() };
      } catch (error) {
        if (!(error instanceof CorruptSnapshotError)) throw error;
        const checkpoint = Number(ref.checkpointId);
        log.error("snapshot_corrupt", error, { region, checkpoint, fallback: "the one before" });
        const { frontiers, sequence } = ref;
        lost.push({ checkpointId: checkpoint, frontiers, sequence: Number(sequence) });
      }
    }
    if (refs.length === 0) return undefined;
    if ((await blobs.list(`${region}/`)).length === 0)
      throw new CorruptSnapshotError(
        `the checkpoints of region ${region} are not in ${blobs.location}: name the store that the job ` +
          "was started with by --data or --checkpoints",
      );
    throw new CorruptSnapshotError(
      `none of the ${String(refs.length)} snapshots of region ${region} in ${blobs.location} can be ` +
        "read whole: bring them back from a copy, or go on from a savepoint with courtside restore",
    );
  }

  /** Blobs of all groups: the changed ones written now, the others where they are. */
  async #states(snapshot: Snapshot, writer: SegmentWriter): Promise<Blob[]> {
    const kept: Blob[] = [];
    const reader = new SegmentReader(this.#options.blobs);
    let copies = 0;
    for (const blob of this.#last?.keyGroupStates ?? []) {
      if (snapshot.changed.get(blob.stage)?.has(blob.keyGroup) === true) continue;
      const age = snapshot.checkpointId - parseName(blob.segment).id;
      if (age < COPY_AFTER_CHECKPOINTS || copies >= COPIES_PER_CHECKPOINT) kept.push(blob);
      else {
        copies += 1;
        kept.push(writer.add(await reader.read(blob), blob.stage, blob.keyGroup));
      }
    }
    const changed = [...snapshot.changed].flatMap(([stage, groups]) =>
      [...groups].map(([keyGroup, bytes]) => writer.add(bytes, stage, keyGroup)),
    );
    return [...kept, ...changed];
  }

  async #swap(): Promise<void> {
    const bytes = toBinary(CheckpointHeadSchema, this.#head);
    this.#revision = await this.#options.head.swap(this.#revision, bytes);
  }

  /**
   * Drops what no kept snapshot points into: what left with the oldest one, and once what a crash left behind.
   * Blobs of later epochs are not looked at: this worker may have been overtaken since its swap. A failure only
   * costs space.
   */
  async #sweep(): Promise<void> {
    const { blobs, region, log } = this.#options;
    if (this.#exports > 0) return;
    try {
      const kept = new Set<string>();
      for (const { manifest: name, sha256: digest } of this.#head.checkpoints) {
        let uses = this.#uses.get(name);
        if (uses === undefined) {
          // One that cannot be read hides what it uses: nothing is dropped until it is gone itself.
          const manifest = await readManifest(blobs, name, digest).catch(() => undefined);
          if (manifest === undefined) return;
          this.#uses.set(name, (uses = usedBy(name, manifest)));
        }
        for (const each of uses) kept.add(each);
      }
      const candidates = this.#orphansSwept
        ? [...this.#uses.values()].flatMap((uses) => Array.from(uses))
        : await blobs.list(`${region}/`);
      for (const name of new Set(candidates))
        if (!kept.has(name) && parseName(name).epoch <= this.#head.epoch) await blobs.remove(name);
      this.#orphansSwept = true;
      for (const name of this.#uses.keys())
        if (!this.#head.checkpoints.some(({ manifest }) => manifest === name))
          this.#uses.delete(name);
    } catch (error) {
      log.warn("snapshot_sweep_failed", { region, error: errorText(error) });
    }
  }
}

function usedBy(name: string, manifest: CheckpointManifest): ReadonlySet<string> {
  return new Set([
    name,
    ...manifest.keyGroupStates.map(({ segment }) => segment),
    ...manifest.sealedBlocks.map(({ blob }) => blob?.segment ?? ""),
  ]);
}

/** A head as it is stored. */
export function decodeHead(bytes: Uint8Array): CheckpointHead {
  return fromBinary(CheckpointHeadSchema, bytes);
}

function parseName(name: string): { readonly id: number; readonly epoch: bigint } {
  const [id = "", epoch = ""] = (name.split("/").at(-1) ?? "").split(/[-.]/);
  return { id: Number(id), epoch: /^\d+$/.test(epoch) ? BigInt(epoch) : 0n };
}

function pad(id: number): string {
  return String(id).padStart(ID_DIGITS, "0");
}
