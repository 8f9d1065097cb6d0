import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { DEFAULT_KEY_GROUPS, keyGroupOf, type KeyGroupRange } from "../base/key-group.ts";
import { NO_TIME_MS, type Source, type SourceRecord } from "../operators/mod.ts";
import type { InBand } from "../operators/runtime/source.ts";
import {
  type SourcePosition,
  SourcePositionSchema,
} from "../proto/gen/courtside/v1/checkpoint_pb.ts";

const STREAM = "memory-log";

type Entry<I> = SourceRecord<I> | (InBand & { readonly sequence: number });

/**
 * An input in memory that can be read again from any position, as a stream of a broker can: records by key,
 * and watermarks for everybody. Tasks read their key groups of it.
 */
export class MemoryLog<I> {
  readonly keyGroups: number;
  readonly #entries: Entry<I>[] = [];
  #closed = false;

  constructor(keyGroups: number = DEFAULT_KEY_GROUPS) {
    this.keyGroups = keyGroups;
  }

  get length(): number {
    return this.#entries.length;
  }

  append(key: string, value: I, eventTimeMs = NO_TIME_MS): void {
    this.#entries.push({
      value,
      eventTimeMs,
      keyGroup: keyGroupOf(key, this.keyGroups),
      sequence: this.#entries.length + 1,
      traceparent: "",
    });
  }

  watermark(watermarkMs: number): void {
    this.#entries.push({ watermarkMs, scope: "", sequence: this.#entries.length + 1 });
  }

  /** Nothing follows: tasks that have read everything flush and end. */
  close(): void {
    this.#closed = true;
  }

  hasRecords({ first, last }: KeyGroupRange): boolean {
    return this.#entries.some(
      (entry) => "keyGroup" in entry && entry.keyGroup >= first && entry.keyGroup <= last,
    );
  }

  /** @param mayRead - told how far the reader has come, before each batch; may throw to end the task. */
  source({ first, last }: KeyGroupRange, mayRead: (sequence: number) => boolean): LogSource<I> {
    return new LogSource<I>(
      this.#entries,
      (entry) => !("keyGroup" in entry) || (entry.keyGroup >= first && entry.keyGroup <= last),
      () => this.#closed,
      mayRead,
    );
  }
}

/** One task's view of a log. */
export class LogSource<I> implements Source<I> {
  readonly #entries: readonly Entry<I>[];
  readonly #isMine: (entry: Entry<I>) => boolean;
  readonly #isClosed: () => boolean;
  readonly #mayRead: (sequence: number) => boolean;
  #next = 0;
  /** Position at the last barrier. */
  barrierSequence = 0;

  constructor(
    entries: readonly Entry<I>[],
    isMine: (entry: Entry<I>) => boolean,
    isClosed: () => boolean,
    mayRead: (sequence: number) => boolean,
  ) {
    this.#entries = entries;
    this.#isMine = isMine;
    this.#isClosed = isClosed;
    this.#mayRead = mayRead;
  }

  /** True when everything that is in the log was handed out. */
  get caughtUp(): boolean {
    return this.#next >= this.#entries.length;
  }

  open(from: SourcePosition | undefined): Promise<void> {
    this.#next = Number(from?.sequence ?? 0n);
    return Promise.resolve();
  }

  async poll(maxRecords: number, waitMs: number): Promise<readonly (SourceRecord<I> | InBand)[]> {
    const most = this.#mayRead(this.#next) ? maxRecords : 0;
    const batch: Entry<I>[] = [];
    for (; this.#next < this.#entries.length && batch.length < most; this.#next += 1) {
      const entry = this.#entries[this.#next];
      if (entry !== undefined && this.#isMine(entry)) batch.push(entry);
    }
    // Even without a wait the event loop gets its turn: checkpoints are written in it.
    await (batch.length === 0 ? sleep(Math.min(waitMs, 1)) : new Promise(setImmediate));
    return batch;
  }

  positionAt(sequence: number): SourcePosition {
    this.barrierSequence = sequence;
    return create(SourcePositionSchema, { stream: STREAM, sequence: BigInt(sequence) });
  }

  ended(): boolean {
    return this.#isClosed() && this.caughtUp;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
