/** The stream processor's public API; nothing else of it is imported from outside this folder. */
export { type AlignmentListener, BarrierAligner } from "./checkpoint/barrier-aligner.ts";
export { MemoryStore } from "./checkpoint/memory-store.ts";
export { decodeHead, RegionStore, type RegionStoreOptions } from "./checkpoint/region-store.ts";
export {
  deleteSavepoint,
  listSavepoints,
  loadSavepoint,
  readSavepoint,
  SavepointError,
  savepointParts,
  savepointPrefix,
  writeSavepoint,
} from "./checkpoint/savepoint.ts";
export {
  type BlobStore,
  CorruptSnapshotError,
  type FaultPoint,
  FencedError,
  type HeadRevision,
  type HeadStore,
  type Opened,
  type RestoredSnapshot,
  type Snapshot,
  type SnapshotStore,
  StoreError,
} from "./checkpoint/snapshot.ts";
export type { AsyncBatch } from "./runtime/async-operator.ts";
export { MAX_TIME_MS, MIN_TIME_MS, type OutputTag, outputTag } from "./runtime/element.ts";
export { JobGraph, type KeyedStream, type Stream } from "./runtime/graph.ts";
export type { KeyedProcess, ProcessContext } from "./runtime/process-operator.ts";
export type {
  EdgeSink,
  ImmediateSink,
  Position,
  SealedRows,
  TransactionalSink,
} from "./runtime/sink.ts";
export type { Source, SourceRecord } from "./runtime/source.ts";
export { Quarantine } from "./runtime/quarantine.ts";
export { type CheckpointReport, Region, type RegionOptions } from "./runtime/region.ts";
export { RecordError, type SubtaskSpec } from "./runtime/subtask.ts";
export { Task, type TaskOptions } from "./runtime/task.ts";
export { type Codec, numberCodec, protoCodec, stringCodec } from "./state/codec.ts";
export {
  listState,
  type ListState,
  mapState,
  type MapState,
  valueState,
  type ValueState,
} from "./state/keyed-state.ts";
export type { TimestampSpec } from "./time/watermark.ts";
export type { Aggregate, WindowSpec } from "./window/window-operator.ts";
export {
  slidingWindows,
  type TimeWindow,
  tumblingWindows,
  type WindowAssigner,
} from "./window/window.ts";
