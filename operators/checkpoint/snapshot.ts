import type {
  SourcePosition,
  StateDescriptor,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { SealedRows } from "../runtime/sink.ts";

/** What a task hands to the store at a barrier. */
export interface Snapshot {
  readonly job: string;
  readonly checkpointId: number;
  readonly epoch: number;
  readonly createdTimeMs: number;
  readonly keyGroups: number;
  readonly positions: readonly SourcePosition[];
  /** Encoded state of the groups that changed since the last snapshot; the others stay as they are. */
  readonly changed: ReadonlyMap<number, Uint8Array>;
  readonly descriptors: readonly StateDescriptor[];
  /** By sink: rows to be committed once the snapshot is. */
  readonly sealed: ReadonlyMap<string, readonly SealedRows[]>;
}

/** What a restore gets back: the newest complete snapshot, whole. */
export interface RestoredSnapshot extends Omit<Snapshot, "changed"> {
  readonly states: ReadonlyMap<number, Uint8Array>;
}

/** Keeps snapshots of one task. `write` resolves when the snapshot is the one that a restore would find. */
export interface SnapshotStore {
  /** Undefined when there is none yet. @throws CorruptSnapshotError when there are some and none is whole. */
  latest(): Promise<RestoredSnapshot | undefined>;
  write(snapshot: Snapshot): Promise<void>;
}
