/** The stream processor's public API; nothing else of it is imported from outside this folder. */
export type { AsyncBatch, AsyncEach, RetrySpec } from "./async/async-spec.ts";
export { TimeoutError } from "./async/async-spec.ts";
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
export type { IntervalJoin } from "./join/interval-join-operator.ts";
export type { WindowJoin } from "./join/window-join.ts";
export {
  MAX_TIME_MS,
  MIN_TIME_MS,
  NO_TIME_MS,
  type Origin,
  type OutputTag,
  outputTag,
} from "./runtime/element.ts";
export {
  GraphError,
  type GraphOptions,
  JobGraph,
  type Poison,
  poisonTag,
} from "./runtime/graph.ts";
export { KeyGroupMismatchError, type TimeDomain } from "./runtime/keyed-scope.ts";
export type {
  BroadcastProcess,
  CoProcess,
  KeyedProcess,
  ProcessContext,
} from "./runtime/process-operator.ts";
export { type PhysicalPlan, planOf, type PlanNode } from "./runtime/plan.ts";
export type { WatermarkHold } from "./runtime/operator.ts";
export type {
  EdgeSink,
  ImmediateSink,
  Position,
  SealedRows,
  TransactionalSink,
} from "./runtime/sink.ts";
export type { InBand, Source, SourceRecord, SourceStart } from "./runtime/source.ts";
export type { KeyedStream, Refused, Stream } from "./runtime/stream.ts";
export { Quarantine } from "./runtime/quarantine.ts";
export { type CheckpointReport, Region, type RegionOptions } from "./runtime/region.ts";
export { RecordError, type SubtaskSpec } from "./runtime/subtask.ts";
export { Task, type TaskOptions } from "./runtime/task.ts";
export { type Codec, numberCodec, protoCodec, stringCodec } from "./state/codec.ts";
export { checkDescriptors, IncompatibleSnapshotError } from "./state/descriptors.ts";
export {
  type Aggregate,
  aggregatingState,
  type FoldingState,
  listState,
  type ListState,
  mapState,
  type MapState,
  reduceBy,
  reducingState,
  type StateSpec,
  type TimeToLive,
  valueState,
  type ValueState,
} from "./state/keyed-state.ts";
export { broadcastState, operatorListState, redistribute } from "./state/operator-state.ts";
export { BoundedOutOfOrderness, IdleTimer, type WatermarkGenerator } from "./time/generators.ts";
export { SplitWatermarks } from "./time/split-watermarks.ts";
export type { TimestampSpec } from "./time/timestamps-operator.ts";
export { WatermarkValve } from "./time/valve.ts";
export { countEvictor, deltaEvictor, type Evictor, timeEvictor } from "./window/evictor.ts";
export { addWindow, intersects, mergeGroups, retire } from "./window/merging-windows.ts";
export {
  continuousEventTimeTrigger,
  continuousProcessingTimeTrigger,
  countTrigger,
  deltaTrigger,
  endOfStreamTrigger,
  eventTimeTrigger,
  neverTrigger,
  processingTimeTrigger,
  purging,
  type Trigger,
  type TriggerContext,
  type TriggerResult,
} from "./window/trigger.ts";
export {
  type AssignerContext,
  globalWindows,
  InvalidWindowError,
  sessionWindows,
  slidingWindows,
  type TimeWindow,
  tumblingWindows,
  type WindowAssigner,
  windowStartMs,
} from "./window/window.ts";
export type { WindowContext, WindowSpec } from "./window/window-spec.ts";
