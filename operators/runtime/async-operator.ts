import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  type OperatorState,
  OperatorStateSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { type Codec, numberCodec, stringCodec } from "../state/codec.ts";
import { listState } from "../state/keyed-state.ts";
import { MemoryBackend } from "../state/memory-backend.ts";
import type { Origin, Output, Watermark } from "./element.ts";
import type { Operator, OperatorContext, OperatorStateAccess } from "./operator.ts";

/** An asynchronous function over batches of records; results leave in the order of the input. */
export interface AsyncBatch<I, O> {
  readonly uid: string;
  /** How a record that waits for its answer is written into a snapshot. */
  readonly codec: Codec<I>;
  /** Records that pass at once, without a call. */
  skip?(value: I): O | undefined;
  /** Answers one output an input, in order; a rejection ends the task. */
  call(batch: readonly I[], traceparent: string): Promise<readonly O[]>;
  /** Records in the queue, answered or not, above which the task stops reading. */
  readonly capacity: number;
  /** Records in one call at the most. */
  readonly batchSize: number;
  /** Calls under way at once. */
  readonly concurrency: number;
}

type Entry<I, O> =
  | { readonly kind: "watermark"; readonly watermark: Watermark; readonly origin: Origin }
  | {
      readonly kind: "record";
      readonly value: I;
      readonly eventTimeMs: number;
      readonly origin: Origin;
      /** Undefined until the call has come back. */
      answer: O | undefined;
    };

type RecordEntry<I, O> = Extract<Entry<I, O>, { kind: "record" }>;

/**
 * Ordered asynchronous I/O. Records that have not left are in the snapshot, in order, and are called again
 * after a restore, before new input. @see Flink, AsyncWaitOperator.
 */
export class AsyncOperator<I, O> implements Operator<I>, OperatorStateAccess {
  readonly uid: string;
  readonly state: OperatorStateAccess = this;
  readonly #spec: AsyncBatch<I, O>;
  readonly #context: OperatorContext;
  readonly #main: Output<O>;
  /** Everything that has not left yet, oldest first. */
  readonly #queue: Entry<I, O>[] = [];
  /** Records that wait to be called. */
  #waiting: RecordEntry<I, O>[] = [];
  #calls = 0;
  #unblock: (() => void) | undefined;

  constructor(spec: AsyncBatch<I, O>, context: OperatorContext, main: Output<O>) {
    assert(spec.capacity >= spec.batchSize && spec.batchSize > 0 && spec.concurrency > 0);
    this.uid = spec.uid;
    this.#spec = spec;
    this.#context = context;
    this.#main = main;
  }

  record(value: I, eventTimeMs: number): void {
    const { origin } = this.#context;
    const answer = this.#spec.skip?.(value);
    const entry: RecordEntry<I, O> = { kind: "record", value, eventTimeMs, origin, answer };
    this.#queue.push(entry);
    if (answer !== undefined) return this.#drain();
    this.#waiting.push(entry);
    if (this.#waiting.length >= this.#spec.batchSize) this.#send();
  }

  watermark(watermark: Watermark): void {
    this.#queue.push({ kind: "watermark", watermark, origin: this.#context.origin });
    this.#drain();
  }

  flush(): void {
    this.#send();
  }

  busy(): boolean {
    return this.#queue.length > 0;
  }

  blocked(): Promise<void> | undefined {
    if (this.#queue.length < this.#spec.capacity) return undefined;
    return new Promise((resolve) => {
      this.#unblock = resolve;
    });
  }

  resume(): void {
    this.#drain();
    this.#send();
  }

  descriptors(): ReturnType<OperatorStateAccess["descriptors"]> {
    return inFlightBackend(this.uid, this.#spec.codec).descriptors();
  }

  snapshot(keyGroup: number): OperatorState | undefined {
    const backend = inFlightBackend(this.uid, this.#spec.codec);
    backend.setKey("", keyGroup);
    const { values, origins, eventTimes } = backend.handles;
    for (const entry of this.#queue) {
      if (entry.kind === "watermark" || entry.origin.keyGroup !== keyGroup) continue;
      values.add(entry.value);
      eventTimes.add(entry.eventTimeMs);
      origins.add(JSON.stringify(entry.origin));
    }
    const states = backend.snapshot(keyGroup);
    return states.length === 0 ? undefined : create(OperatorStateSchema, { uid: this.uid, states });
  }

  restore(keyGroup: number, state: OperatorState): void {
    const backend = inFlightBackend(this.uid, this.#spec.codec);
    backend.restore(keyGroup, state.states);
    backend.setKey("", keyGroup);
    const { values, origins, eventTimes } = backend.handles;
    const times = eventTimes.get();
    const from = origins.get();
    values.get().forEach((value, i) => {
      // Records of one message share one origin, so that the numbering of outputs goes on.
      const origin = this.#sharedOrigin(JSON.parse(from[i] ?? "") as Origin);
      const answer = this.#spec.skip?.(value);
      const eventTimeMs = times[i] ?? 0;
      const entry: RecordEntry<I, O> = { kind: "record", value, eventTimeMs, origin, answer };
      this.#queue.push(entry);
      if (answer === undefined) this.#waiting.push(entry);
    });
  }

  #sharedOrigin(origin: Origin): Origin {
    const { keyGroup, sequence } = origin;
    const same = this.#queue.find(
      (entry) => entry.origin.keyGroup === keyGroup && entry.origin.sequence === sequence,
    );
    return same?.origin ?? origin;
  }

  #send(): void {
    while (this.#waiting.length > 0 && this.#calls < this.#spec.concurrency) {
      const batch = this.#waiting.slice(0, this.#spec.batchSize);
      this.#waiting = this.#waiting.slice(batch.length);
      this.#calls += 1;
      void this.#run(batch);
    }
  }

  async #run(batch: readonly RecordEntry<I, O>[]): Promise<void> {
    try {
      const sampled = batch.find((entry) => entry.origin.traceparent !== "");
      const values = batch.map((entry) => entry.value);
      const answers = await this.#spec.call(values, sampled?.origin.traceparent ?? "");
      assert.equal(answers.length, batch.length, `${this.uid}: one answer a record`);
      for (const [i, entry] of batch.entries()) entry.answer = answers[i];
      this.#calls -= 1;
      this.#send();
      this.#drain();
    } catch (error) {
      this.#context.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Lets everything leave that nothing older holds back. */
  #drain(): void {
    const before = this.#context.origin;
    let left = 0;
    for (const entry of this.#queue) {
      if (entry.kind === "record" && entry.answer === undefined) break;
      left += 1;
      this.#context.origin = entry.origin;
      if (entry.kind === "watermark") this.#main.watermark(entry.watermark);
      else {
        this.#context.markDirty(entry.origin.keyGroup);
        this.#main.record(entry.answer as O, entry.eventTimeMs);
      }
    }
    this.#queue.splice(0, left);
    this.#context.origin = before;
    if (this.#queue.length < this.#spec.capacity) {
      this.#unblock?.();
      this.#unblock = undefined;
    }
  }
}

// eslint-disable-next-line typescript/explicit-function-return-type -- the handles' types are the point
function inFlightBackend<I>(uid: string, codec: Codec<I>) {
  return new MemoryBackend(uid, {
    values: listState(codec),
    eventTimes: listState(numberCodec),
    origins: listState(stringCodec),
  });
}
