import { create } from "@bufbuild/protobuf";
import {
  type SinkFrontier,
  SinkFrontierSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { LostCheckpoint } from "../checkpoint/snapshot.ts";
import type { Origin } from "./element.ts";
import type { Operator, OperatorContext } from "./operator.ts";

/** Identity of one output: the same after a replay, so that nobody counts it twice. */
export interface Position {
  readonly keyGroup: number;
  readonly inputSequence: number;
  readonly index: number;
}

/**
 * Publishes at event latency. Exact because a replay makes the same outputs at the same positions: readers
 * refuse what is not beyond the last position that they have seen.
 */
export interface ImmediateSink<T> {
  readonly mode: "immediate";
  readonly uid: string;
  open(epoch: number): Promise<void>;
  write(value: T, position: Position, traceparent: string): void;
  /** Resolves when the sink takes more; undefined when it does at once. */
  blocked(): Promise<void> | undefined;
  /** Resolves when everything written so far is stored for good. @throws when that failed for good. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Rows that belong together: inserted whole, and once, however often they are committed. */
export interface SealedRows {
  readonly table: string;
  /** Says job, sink and checkpoint: the store refuses a second block with the same one. */
  readonly token: string;
  readonly rows: number;
  readonly bytes: Uint8Array;
}

/** Rows become visible with the checkpoint that covers them; right for any operator. */
export interface TransactionalSink<T> {
  readonly mode: "transactional";
  readonly uid: string;
  /** Checks the target. @throws when it could not keep the promise, for example without a window. */
  open(): Promise<void>;
  write(value: T, origin: Origin): void;
  /** True when a checkpoint should come early, because much is waiting. */
  full(): boolean;
  /** Seals what was written since the last barrier; must not wait for the network. */
  seal(checkpointId: number): readonly SealedRows[];
  /** Idempotent: may run again after a crash. Retries by itself. @throws when it gave up. */
  commit(blocks: readonly SealedRows[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * Writes to a repartition stream: records, watermarks and barriers in their order. What it sent since the last
 * committed checkpoint stays in the stream until `forget`.
 */
export interface EdgeSink<T> {
  readonly mode: "edge";
  readonly uid: string;
  open(epoch: number): Promise<void>;
  write(value: T, eventTimeMs: number, origin: Origin): void;
  watermark(watermarkMs: number, scope: string): void;
  status(idle: boolean): void;
  /** Sends the barrier behind everything else. Resolves when all up to it is stored. */
  barrier(checkpointId: number): Promise<void>;
  /** Input is exhausted for now: send what waits for company. */
  flush(): void;
  blocked(): Promise<void> | undefined;
  /** True when a checkpoint should come early, because the stream fills up. */
  full(): boolean;
  /** The checkpoint is committed: what lies before its barrier can go. */
  forget(checkpointId: number): Promise<void>;
  close(): Promise<void>;
}

export type Sink = ImmediateSink<unknown> | TransactionalSink<unknown> | EdgeSink<unknown>;

/**
 * The end of a chain. Gives every record of an immediate sink its position, and knows how far a transactional
 * sink has come: after a damaged checkpoint its rows are sealed again as they were, under its id.
 */
export class SinkOperator<T> implements Operator<T> {
  readonly uid: string;
  readonly #sink: ImmediateSink<T> | TransactionalSink<T> | EdgeSink<T>;
  readonly #context: OperatorContext;
  /** The last record that was written: input sequence, and number among those of the same input. */
  #sequence = 0;
  #count = 0;
  /** Damaged checkpoints whose rows are still to be made, oldest first. */
  #lost: { readonly id: number; readonly sequence: number; readonly count: number }[] = [];
  #remade: SealedRows[] = [];

  constructor(
    sink: ImmediateSink<T> | TransactionalSink<T> | EdgeSink<T>,
    context: OperatorContext,
  ) {
    this.uid = sink.uid;
    this.#sink = sink;
    this.#context = context;
  }

  get isTransactional(): boolean {
    return this.#sink.mode === "transactional";
  }

  record(value: T, eventTimeMs: number): void {
    this.#context.check?.();
    const { origin } = this.#context;
    const sink = this.#sink;
    if (sink.mode === "edge") return sink.write(value, eventTimeMs, origin);
    if (sink.mode === "transactional") {
      this.#count = origin.sequence === this.#sequence ? this.#count + 1 : 1;
      this.#sequence = origin.sequence;
      while (this.#isBeyondLost()) this.#sealOldestLost();
      return sink.write(value, origin);
    }
    const { keyGroup, sequence: inputSequence } = origin;
    const index = origin.outputs;
    origin.outputs += 1;
    sink.write(value, { keyGroup, inputSequence, index }, origin.traceparent);
  }

  watermark(watermarkMs: number, scope: string): void {
    if (this.#sink.mode === "edge") this.#sink.watermark(watermarkMs, scope);
  }

  status(idle: boolean): void {
    if (this.#sink.mode === "edge") this.#sink.status(idle);
  }

  flush(): void {
    if (this.#sink.mode === "edge") this.#sink.flush();
  }

  blocked(): Promise<void> | undefined {
    return this.#sink.mode === "transactional" ? undefined : this.#sink.blocked();
  }

  async open(epoch: number): Promise<void> {
    return this.#sink.mode === "transactional" ? this.#sink.open() : this.#sink.open(epoch);
  }

  full(): boolean {
    return this.#sink.mode !== "immediate" && this.#sink.full();
  }

  seal(checkpointId: number): readonly SealedRows[] {
    if (this.#sink.mode !== "transactional") return [];
    const blocks = [...this.#remade, ...this.#sink.seal(checkpointId)];
    this.#remade = [];
    return blocks;
  }

  /** Resolves when everything before the barrier is stored. */
  async barrier(checkpointId: number): Promise<void> {
    if (this.#sink.mode === "immediate") return this.#sink.flush();
    if (this.#sink.mode === "edge") return this.#sink.barrier(checkpointId);
  }

  async commit(blocks: readonly SealedRows[]): Promise<void> {
    if (this.#sink.mode === "transactional" && blocks.length > 0) await this.#sink.commit(blocks);
  }

  async forget(checkpointId: number): Promise<void> {
    if (this.#sink.mode === "edge") await this.#sink.forget(checkpointId);
  }

  frontier(): SinkFrontier[] {
    if (!this.isTransactional) return [];
    return [
      create(SinkFrontierSchema, {
        sinkUid: this.uid,
        sequence: BigInt(this.#sequence),
        count: this.#count,
      }),
    ];
  }

  /** Goes on behind the frontier of the snapshot; what `lost` had sealed is sealed again under its ids. */
  restore(frontiers: readonly SinkFrontier[], lost: readonly LostCheckpoint[]): void {
    const mine = (of: readonly SinkFrontier[]): { sequence: number; count: number } => {
      const found = of.find(({ sinkUid }) => sinkUid === this.uid);
      return { sequence: Number(found?.sequence ?? 0n), count: found?.count ?? 0 };
    };
    const { sequence, count } = mine(frontiers);
    this.#sequence = sequence;
    this.#count = count;
    this.#lost = lost.map((each) => ({ id: each.checkpointId, ...mine(each.frontiers) }));
  }

  /** Everything up to the last lost checkpoint has come by: what is open belongs to it. */
  sealLost(): void {
    while (this.#lost.length > 0) this.#sealOldestLost();
  }

  #isBeyondLost(): boolean {
    const [oldest] = this.#lost;
    if (oldest === undefined) return false;
    return this.#sequence === oldest.sequence
      ? this.#count > oldest.count
      : this.#sequence > oldest.sequence;
  }

  #sealOldestLost(): void {
    const oldest = this.#lost.shift();
    if (oldest !== undefined && this.#sink.mode === "transactional")
      this.#remade.push(...this.#sink.seal(oldest.id));
  }
}
