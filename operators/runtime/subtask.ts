import { create } from "@bufbuild/protobuf";
import { type Clock, delay } from "../../base/clock.ts";
import { CourtsideError, errorText } from "../../base/errors.ts";
import type { Tracing } from "../../base/tracing.ts";
import {
  type EdgeState,
  type SinkFrontier,
  type SourcePosition,
  SourcePositionSchema,
  type StateDescriptor,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { LostCheckpoint, RestoredSnapshot } from "../checkpoint/snapshot.ts";
import { StateSlices } from "../checkpoint/state-slices.ts";
import { descriptorsOf, encodeKeyGroup, restoreKeyGroups } from "./chain-state.ts";
import { MAX_TIME_MS, NO_TIME_MS, type Origin, TASK_SCOPE } from "./element.ts";
import { buildChain, type Chain, type JobGraph } from "./graph.ts";
import type { OperatorContext, WatermarkHold } from "./operator.ts";
import type { Quarantine } from "./quarantine.ts";
import { type SealedRows, SinkOperator } from "./sink.ts";
import { isInBand, type Source, type SourceRecord } from "./source.ts";

/** Messages taken from the source at once: enough to fill calls and frames, few enough to stay responsive. */
const POLL_RECORDS = 256;
/** Longest wait for input: bounds how late a checkpoint or a stop can be on an idle stream. */
const POLL_WAIT_MS = 100;
/** How long a graceful stop waits for answers that are under way; what is left is in the snapshot. */
const DRAIN_LIMIT_MS = 5000;
const DRAIN_STEP_MS = 5;
/** While output is held up, processing time goes on in steps of at most this: time-outs must come. */
const BLOCKED_STEP_MS = 50;

/** A record made an operator throw; the cause says how. */
export class RecordError extends CourtsideError {
  override readonly code = "RECORD_FAILED";
  override readonly retryable = true;
  readonly keyGroup: number;
  readonly sequence: number;
  /** Which part of the message, when it was taken apart; -1 for the whole. */
  readonly part: number;

  constructor(origin: Origin, part: number, cause: unknown) {
    super(
      `message ${String(origin.sequence)} of key group ${String(origin.keyGroup)} failed: ${errorText(cause)}`,
      { cause },
    );
    this.keyGroup = origin.keyGroup;
    this.sequence = origin.sequence;
    this.part = part;
  }
}

/** One chain over a range of key groups. */
export interface SubtaskSpec<I> {
  /** Unique in the region; in a job of several stages `<stage>/<index>`. */
  readonly name: string;
  /** Name of the stage; `""` in a job of one. */
  readonly stage: string;
  readonly graph: JobGraph<I>;
  readonly source: Source<I>;
  /** Key groups that it holds, both included. */
  readonly keyGroups: { readonly first: number; readonly last: number };
}

/** What a subtask hands over at a barrier. */
export interface SubtaskSnapshot {
  readonly positions: readonly SourcePosition[];
  readonly states: Promise<ReadonlyMap<number, Uint8Array>>;
  /** Resolves when everything that was sent before the barrier is stored. */
  readonly flushed: Promise<unknown>;
  readonly descriptors: readonly StateDescriptor[];
  readonly sealed: ReadonlyMap<string, readonly SealedRows[]>;
  readonly frontiers: readonly SinkFrontier[];
  readonly edges: readonly EdgeState[];
  readonly pauseMs: number;
}

/** What a subtask asks of its region. */
export interface Coordinator {
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly job: string;
  readonly quarantine: Quarantine | undefined;
  /** Checkpoint whose barrier sources are to take now. */
  barrierId(): number;
  /** Begins a checkpoint when one is due. A promise: wait for it, since too much is open. */
  demand(full: boolean): Promise<void> | undefined;
  acknowledge(subtask: string, snapshot: SubtaskSnapshot): void;
  fail(error: Error): void;
  /** @throws what made the region fail, or that its lease has run out. */
  check(): void;
  /** Waits for the promise, but not beyond a failure of the region. */
  orFailure<T>(promise: Promise<T>): Promise<T>;
}

const NO_ORIGIN: Origin = { keyGroup: -1, sequence: 0, traceparent: "", outputs: 0 };

/** Runs one chain: pull, process, and take barriers between two elements. */
export class Subtask<I> {
  readonly spec: SubtaskSpec<I>;
  readonly #coordinator: Coordinator;
  readonly #context: OperatorContext;
  readonly #chain: Chain<I>;
  readonly #sinks: readonly SinkOperator<unknown>[];
  readonly #dirty = new Set<number>();
  readonly #slices: StateSlices;
  #barrier = 0;
  /** A source that has drained: it has no gaps any more and takes a barrier as soon as there is one. */
  #isOver = false;
  #sequence = 0;
  #snapshotSequence = 0;
  /** By key group: what lies before it is in the state already. Undefined when nothing is ahead. */
  #floors: ReadonlyMap<number, number> | undefined;
  /** Rows of checkpoints up to this sequence are to be made again before the next one. */
  #recoverTo = 0;

  constructor(spec: SubtaskSpec<I>, coordinator: Coordinator) {
    this.spec = spec;
    this.#coordinator = coordinator;
    const { graph } = spec;
    this.#context = {
      job: coordinator.job,
      keyGroups: graph.keyGroups,
      clock: coordinator.clock,
      tracing: coordinator.tracing,
      origin: NO_ORIGIN,
      markDirty: (keyGroup) => {
        this.#slices.beforeChange(keyGroup);
        this.#dirty.add(keyGroup);
      },
      check: () => coordinator.check(),
      fail: (error) => coordinator.fail(error),
    };
    this.#chain = buildChain(graph, this.#context);
    this.#sinks = this.#chain.operators.filter((each) => each instanceof SinkOperator);
    this.#slices = new StateSlices(coordinator.clock, (keyGroup) =>
      encodeKeyGroup(this.#chain.operators, keyGroup),
    );
  }

  /** True for one that takes barriers from the coordinator, not from its input. */
  get isSource(): boolean {
    return this.spec.source.inBand !== true;
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** True when a checkpoint would hold anything new. */
  changed(): boolean {
    return this.#dirty.size > 0 || this.#sequence !== this.#snapshotSequence;
  }

  /** False while rows of damaged checkpoints are being made again: no barrier may fall there. */
  caughtUp(): boolean {
    if (this.#recoverTo === 0) return true;
    if (this.#sequence < this.#recoverTo || this.#busy()) return false;
    for (const sink of this.#sinks) sink.sealLost();
    this.#recoverTo = 0;
    return true;
  }

  /** Who holds the watermark back, by operator. */
  explainWatermark(): WatermarkHold[] {
    return this.#chain.operators.flatMap((operator) => operator.explain?.() ?? []);
  }

  descriptors(): StateDescriptor[] {
    return descriptorsOf(this.#chain.operators);
  }

  /**
   * @param asChanged - the next snapshot is to hold all of it: none of it is in this region's store.
   * @param index - of this task in its stage, for the state of the task itself.
   */
  restore(
    from: RestoredSnapshot,
    lost: readonly LostCheckpoint[],
    asChanged: boolean,
    index: number,
  ): void {
    const { first, last } = this.spec.keyGroups;
    const states = new Map<number, Uint8Array>();
    for (const [group, bytes] of from.states.get(this.spec.stage) ?? []) {
      if (group >= first && group <= last) states.set(group, bytes);
      if (group === from.keyGroups + index) states.set(from.keyGroups, bytes);
    }
    restoreKeyGroups(this.#chain.operators, states);
    if (asChanged) for (const group of states.keys()) this.#dirty.add(group);
    for (const sink of this.#sinks) sink.restore(from.frontiers, lost);
    this.#recoverTo = Math.max(0, ...lost.map(({ sequence }) => sequence));
  }

  async open(from: RestoredSnapshot | undefined, epoch: number): Promise<void> {
    this.#barrier = this.#coordinator.barrierId();
    for (const sink of this.#sinks) await sink.open(epoch);
    const position = from === undefined ? undefined : this.#positionIn(from);
    this.#sequence = Number(position?.sequence ?? 0n);
    this.#snapshotSequence = this.#sequence;
    await this.spec.source.open(position, { epoch, edges: from?.edges ?? [] });
    for (const operator of this.#chain.operators) operator.resume?.();
  }

  async close(): Promise<void> {
    await this.spec.source.close();
    for (const sink of this.spec.graph.sinks.values()) await sink.close();
  }

  /** Resolves when a source subtask has drained behind `signal` or the end of its input, or at the last barrier. */
  async loop(signal: AbortSignal, lastBarrier: () => number | undefined): Promise<void> {
    const { source } = this.spec;
    const coordinator = this.#coordinator;
    let flushed = false;
    const isOver = (): boolean =>
      this.isSource
        ? signal.aborted || (source.ended() && flushed && !this.#busy())
        : this.#barrier === lastBarrier();
    while (!isOver()) {
      coordinator.check();
      this.#advanceProcessingTime(false);
      const elements = await coordinator.orFailure(
        source.poll(POLL_RECORDS, this.#waitMs(POLL_WAIT_MS)),
      );
      for (const element of elements) {
        if (!isInBand(element)) this.#process(element);
        else if ("barrierId" in element) this.#takeBarrier(element.barrierId);
        else if ("idle" in element) this.#chain.head.status(element.idle);
        else this.#chain.head.watermark(element.watermarkMs, element.scope);
        await this.#untilUnblocked();
        await this.#gap();
      }
      if (this.isSource && source.ended() && !flushed) {
        // Nothing follows: whatever waits for event time has it now.
        this.#chain.head.watermark(MAX_TIME_MS, TASK_SCOPE);
        flushed = true;
      }
      for (const operator of this.#chain.operators) operator.flush?.();
      await this.#gap();
    }
    if (!this.isSource) return;
    await this.#drain();
    this.#isOver = true;
    this.#takeDueBarrier();
  }

  /** Commits blocks of this subtask's sinks. */
  async commit(sealed: ReadonlyMap<string, readonly SealedRows[]>): Promise<void> {
    for (const sink of this.#sinks) await sink.commit(sealed.get(sink.uid) ?? []);
  }

  /** The checkpoint is committed: what was sent before its barrier will not be needed again. */
  async forget(checkpointId: number): Promise<void> {
    for (const sink of this.#sinks) await sink.forget(checkpointId);
  }

  /** A checkpoint has begun: one that has drained takes its barrier at once, all others in their next gap. */
  begun(): void {
    if (this.#isOver) this.#takeDueBarrier();
  }

  /** Takes the barrier that the coordinator asks for, in a gap. */
  #takeDueBarrier(): void {
    const id = this.#coordinator.barrierId();
    if (this.isSource && id > this.#barrier) this.#takeBarrier(id);
  }

  #process(record: SourceRecord<I>): void {
    const { keyGroup, sequence, traceparent } = record;
    this.#coordinator.check();
    if (this.#floors !== undefined && sequence <= (this.#floors.get(keyGroup) ?? 0)) {
      this.#sequence = sequence;
      return;
    }
    const origin: Origin = { keyGroup, sequence, traceparent, outputs: 0 };
    this.#context.origin = origin;
    if (this.#coordinator.quarantine?.isSuspect(keyGroup, sequence) === true)
      this.#processApart(record, origin);
    else this.#try(record.value, record.eventTimeMs ?? NO_TIME_MS, origin, -1);
    this.#sequence = sequence;
  }

  /** A message that has failed before: part by part, and without the parts that are known to fail. */
  #processApart({ value, eventTimeMs = NO_TIME_MS }: SourceRecord<I>, origin: Origin): void {
    const { graph } = this.spec;
    for (const [part, unit] of (graph.isolate?.(value) ?? [value]).entries()) {
      const reason = this.#coordinator.quarantine?.reason(origin.keyGroup, origin.sequence, part);
      if (reason === undefined) this.#try(unit, eventTimeMs, origin, part);
      else this.#chain.poison?.record({ value: unit, origin, reason }, NO_TIME_MS);
    }
  }

  #try(value: I, eventTimeMs: number, origin: Origin, part: number): void {
    try {
      this.#chain.head.record(value, eventTimeMs);
    } catch (error) {
      // A sink or a server that is away throws as well, and is not the record's fault.
      if (error instanceof CourtsideError && error.retryable) throw error;
      throw new RecordError(origin, part, error);
    }
  }

  /** Waits while an operator cannot take more; what it held back to send together is sent first. */
  async #untilUnblocked(): Promise<void> {
    for (const operator of this.#chain.operators) {
      for (let wait = operator.blocked?.(); wait !== undefined; wait = operator.blocked?.()) {
        for (const each of this.#chain.operators) each.flush?.();
        const step = delay(Math.max(1, this.#waitMs(BLOCKED_STEP_MS)));
        await this.#coordinator.orFailure(Promise.race([wait, step]));
        this.#advanceProcessingTime(true);
      }
    }
  }

  #advanceProcessingTime(blocked: boolean): void {
    const nowMs = this.#coordinator.clock.nowMs();
    for (const operator of this.#chain.operators)
      if ((operator.nextWakeUpMs?.() ?? Number.POSITIVE_INFINITY) <= nowMs)
        operator.processingTime?.(nowMs, blocked);
    const paused = this.#chain.operators.flatMap((operator) => operator.pausedSplits?.() ?? []);
    this.spec.source.pauseSplits?.(paused);
  }

  /** Until an operator wants to be woken, at the most. */
  #waitMs(mostMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const operator of this.#chain.operators)
      nextMs = Math.min(nextMs, operator.nextWakeUpMs?.() ?? nextMs);
    return Math.min(mostMs, Math.max(0, nextMs - this.#coordinator.clock.nowMs()));
  }

  /** Between two elements: the place for barriers. */
  async #gap(): Promise<void> {
    const full = this.#sinks.some((sink) => sink.full());
    const wait = this.#coordinator.demand(full);
    // Before the waiting: the checkpoint that it waits for may be the one whose barrier it has not taken.
    this.#takeDueBarrier();
    if (wait === undefined) return;
    await this.#coordinator.orFailure(wait);
    void this.#coordinator.demand(full);
    this.#takeDueBarrier();
  }

  #takeBarrier(id: number): void {
    const { clock } = this.#coordinator;
    const startMs = clock.nowMs();
    this.#barrier = id;
    const sealed = new Map<string, readonly SealedRows[]>();
    for (const sink of this.#sinks) if (sink.isTransactional) sealed.set(sink.uid, sink.seal(id));
    for (const operator of this.#chain.operators) operator.flush?.();
    const flushed = Promise.all(this.#sinks.map(async (sink) => sink.barrier(id)));
    // A rejection is looked at when the other subtasks have come so far.
    flushed.catch(() => {});
    const edges = this.spec.source.edgeStates?.() ?? [];
    const position = this.spec.source.positionAt(this.#sequence);
    position.firstKeyGroup = this.spec.keyGroups.first;
    position.lastKeyGroup = this.spec.keyGroups.last;
    position.task = this.spec.stage === "" ? "" : this.spec.name;
    this.#snapshotSequence = this.#sequence;
    const states = this.#slices.begin([...this.#dirty]);
    states.catch(() => {});
    this.#dirty.clear();
    this.#coordinator.acknowledge(this.spec.name, {
      positions: this.isSource ? [position, ...this.#laggingPositions(position)] : [],
      states,
      flushed,
      descriptors: this.descriptors(),
      sealed,
      frontiers: this.#sinks.flatMap((sink) => sink.frontier()),
      edges,
      pauseMs: clock.nowMs() - startMs,
    });
  }

  /** While groups of a former, wider region are skipped, each keeps its own position. */
  #laggingPositions(position: SourcePosition): SourcePosition[] {
    const floors = [...(this.#floors ?? [])].filter(([, sequence]) => sequence > this.#sequence);
    if (floors.length === 0) this.#floors = undefined;
    return floors.map(([keyGroup, sequence]) =>
      create(SourcePositionSchema, {
        ...position,
        sequence: BigInt(sequence),
        firstKeyGroup: keyGroup,
        lastKeyGroup: keyGroup,
      }),
    );
  }

  /** The earliest position of any of its groups; the others skip what they have seen. */
  #positionIn(from: RestoredSnapshot): SourcePosition | undefined {
    const { stage, keyGroups } = this.spec;
    const own = from.positions.filter(
      ({ task }) => task === "" || task.slice(0, task.lastIndexOf("/")) === stage,
    );
    const floors = new Map<number, number>();
    let earliest: SourcePosition | undefined;
    let covered = true;
    for (let group = keyGroups.first; group <= keyGroups.last; group += 1) {
      const holding = own.filter(
        ({ firstKeyGroup, lastKeyGroup }) => firstKeyGroup <= group && group <= lastKeyGroup,
      );
      if (holding.length === 0) covered = false;
      for (const position of holding) {
        floors.set(group, Math.max(floors.get(group) ?? 0, Number(position.sequence)));
        if (earliest === undefined || position.sequence < earliest.sequence) earliest = position;
      }
    }
    const start = covered ? Math.min(...floors.values()) : 0;
    if ([...floors.values()].some((sequence) => sequence > start)) this.#floors = floors;
    return earliest === undefined ? undefined : { ...earliest, sequence: BigInt(start) };
  }

  #busy(): boolean {
    return this.#chain.operators.some((operator) => operator.busy?.() === true);
  }

  /** Lets answers that are under way arrive. */
  async #drain(): Promise<void> {
    const { clock } = this.#coordinator;
    for (const operator of this.#chain.operators) operator.flush?.();
    const untilMs = clock.nowMs() + DRAIN_LIMIT_MS;
    while (this.#busy() && clock.nowMs() < untilMs) {
      await this.#coordinator.orFailure(delay(DRAIN_STEP_MS));
      this.#advanceProcessingTime(false);
    }
    this.#coordinator.check();
  }
}
