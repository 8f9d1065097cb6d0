import { CourtsideError } from "../../base/errors.ts";
import type {
  EdgeState,
  SinkFrontier,
  SourcePosition,
  StateDescriptor,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { SealedRows } from "../runtime/sink.ts";

/** There are snapshots, and none of them can be read whole. */
export class CorruptSnapshotError extends CourtsideError {
  override readonly code = "CORRUPT_SNAPSHOT";
  override readonly retryable = false;
}

/** Another worker has taken the region over: whatever this one still does must not count. */
export class FencedError extends CourtsideError {
  override readonly code = "FENCED";
  override readonly retryable = true;
}

/** The place of the snapshots does not take or give bytes: full, without rights, away. */
export class StoreError extends CourtsideError {
  override readonly code = "SNAPSHOT_STORE";
  override readonly retryable = true;
}

/** Encoded state by stage (`""` in a job of one) and key group. */
export type StageStates = ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>;

/** What a region hands to the store behind a barrier. */
export interface Snapshot {
  readonly job: string;
  readonly checkpointId: number;
  readonly createdTimeMs: number;
  readonly keyGroups: number;
  readonly positions: readonly SourcePosition[];
  /** State of the groups that changed since the last snapshot; the others stay as they are. */
  readonly changed: StageStates;
  readonly descriptors: readonly StateDescriptor[];
  /** By sink: rows to be committed once the snapshot is. */
  readonly sealed: ReadonlyMap<string, readonly SealedRows[]>;
  readonly frontiers: readonly SinkFrontier[];
  readonly edges: readonly EdgeState[];
}

/** What a restore gets back: the newest complete snapshot, whole. */
export interface RestoredSnapshot extends Omit<Snapshot, "changed"> {
  readonly states: StageStates;
}

/** How far the blocks of a snapshot went that is damaged itself: its rows are made again under its id. */
export interface LostCheckpoint {
  readonly checkpointId: number;
  readonly frontiers: readonly SinkFrontier[];
  /** Highest input sequence that it covered. */
  readonly sequence: number;
}

/** What the owner of a region starts from. */
export interface Opened {
  /** Larger than that of every owner before. */
  readonly epoch: number;
  /** Undefined for the first start. */
  readonly restored: RestoredSnapshot | undefined;
  /** Checkpoints that were committed after `restored` and cannot be read, oldest first. */
  readonly lost: readonly LostCheckpoint[];
  /** Ids up to this one have been used. */
  readonly lastCheckpointId: number;
  /** True when the state comes from a savepoint, so that nothing of it is in this region's own snapshots. */
  readonly isFromSavepoint: boolean;
}

/** Keeps the snapshots of one region. */
export interface SnapshotStore {
  /**
   * Takes the region over from whoever had it.
   * @throws FencedError when another one does the same, CorruptSnapshotError when nothing is whole.
   */
  open(): Promise<Opened>;
  /** Resolves when the snapshot is the one that a restore would find. @throws FencedError, StoreError. */
  write(snapshot: Snapshot): Promise<void>;
}

/** Bytes under names: a folder, a bucket. Names have slashes; a blob is written once and never changed. */
export interface BlobStore {
  /** Where it is, for messages. */
  readonly location: string;
  /** Resolves when all bytes are stored for good; a crash leaves none of them under this name. */
  put(name: string, parts: readonly Uint8Array[]): Promise<void>;
  /** Undefined when there is none of that name. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** Names that begin with the prefix, in any order. */
  list(prefix: string): Promise<readonly string[]>;
  /** Harmless when there is none. */
  remove(name: string): Promise<void>;
}

/** A stored value and the revision that the next swap must name. */
export interface HeadRevision {
  /** Undefined when the key was never written. */
  readonly bytes: Uint8Array | undefined;
  readonly revision: number;
}

/** The one register of a region that is changed by compare-and-swap. */
export interface HeadStore {
  read(): Promise<HeadRevision>;
  /** @returns the new revision. @throws FencedError when the register is not at `revision` any more. */
  swap(revision: number, bytes: Uint8Array): Promise<number>;
}

/** Called at named moments; tests end the process there. Does nothing otherwise. */
export type FaultPoint = (name: string) => void;
