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

export type Sink = ImmediateSink<unknown> | TransactionalSink<unknown>;

/** Gives every record of an immediate sink its position. */
export class SinkOperator<T> implements Operator<T> {
  readonly #sink: ImmediateSink<T> | TransactionalSink<T>;
  readonly #context: OperatorContext;

  constructor(sink: ImmediateSink<T> | TransactionalSink<T>, context: OperatorContext) {
    this.#sink = sink;
    this.#context = context;
  }

  record(value: T): void {
    const { origin } = this.#context;
    if (this.#sink.mode === "transactional") return this.#sink.write(value, origin);
    const { keyGroup, sequence: inputSequence } = origin;
    const index = origin.outputs;
    origin.outputs += 1;
    this.#sink.write(value, { keyGroup, inputSequence, index }, origin.traceparent);
  }

  watermark(): void {
    // Sinks are the end of the line.
  }

  blocked(): Promise<void> | undefined {
    return this.#sink.mode === "immediate" ? this.#sink.blocked() : undefined;
  }
}
