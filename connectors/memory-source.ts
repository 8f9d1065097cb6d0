import { create } from "@bufbuild/protobuf";
import {
  type SourcePosition,
  SourcePositionSchema,
} from "../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { Source, SourceRecord } from "../operators/runtime/source.ts";

/** Name of the stream in the positions of a memory source. */
const STREAM = "memory";

/**
 * A bounded input from any iterable, for back-fills and tests: the same job, without a broker. Restoring
 * skips what lies before the position, so the iterable must give the same records again.
 */
export class MemorySource<I> implements Source<I> {
  readonly #records: AsyncIterator<SourceRecord<I>> | Iterator<SourceRecord<I>>;
  #from = 0;
  #ended = false;

  constructor(records: AsyncIterable<SourceRecord<I>> | Iterable<SourceRecord<I>>) {
    this.#records =
      Symbol.asyncIterator in records
        ? records[Symbol.asyncIterator]()
        : records[Symbol.iterator]();
  }

  open(from: SourcePosition | undefined): Promise<void> {
    this.#from = Number(from?.sequence ?? 0n);
    return Promise.resolve();
  }

  async poll(maxRecords: number): Promise<readonly SourceRecord<I>[]> {
    // Records that are always there must not starve the event loop: checkpoints are written in it.
    await new Promise(setImmediate);
    const batch: SourceRecord<I>[] = [];
    while (batch.length < maxRecords && !this.#ended) {
      const next = await this.#records.next();
      if (next.done === true) this.#ended = true;
      else if (next.value.sequence > this.#from) batch.push(next.value);
    }
    return batch;
  }

  positionAt(sequence: number): SourcePosition {
    return create(SourcePositionSchema, { stream: STREAM, sequence: BigInt(sequence) });
  }

  ended(): boolean {
    return this.#ended;
  }

  async close(): Promise<void> {
    await this.#records.return?.();
  }
}
