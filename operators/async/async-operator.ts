import assert from "node:assert/strict";
import type { OperatorState } from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { type Origin, type Output } from "../runtime/element.ts";
import type { Operator, OperatorContext, OperatorStateAccess } from "../runtime/operator.ts";
import { ByteWriter } from "../state/byte-writer.ts";
import { stringCodec, timedCodec } from "../state/codec.ts";
import { listState } from "../state/keyed-state.ts";
import { KeyedStore } from "../state/keyed-store.ts";
import { TEXT_NAMESPACES } from "../state/namespaces.ts";
import { type AsyncSpec, TimeoutError } from "./async-spec.ts";

/** A watermark or status on its way through the queue. */
interface Mark {
  readonly kind: "mark";
  readonly origin: Origin;
  pass(): void;
}

interface Waiting<I, O> {
  readonly kind: "record";
  readonly value: I;
  readonly eventTimeMs: number;
  readonly origin: Origin;
  /** Processing time at which it is given up; infinite without a time-out. */
  readonly deadlineMs: number;
  /** Undefined until it is answered, one way or the other. */
  results: readonly O[] | undefined;
  /** Place among the answers, for results that leave as they come. */
  answered: number;
  calls: number;
  /** When it is called again. */
  retryMs: number | undefined;
}

/**
 * Asynchronous I/O. Watermarks keep their place between the records, in both modes. Records that have not
 * left are in the snapshot, in order, and are called again after a restore, before new input.
 * @see Flink, AsyncWaitOperator.
 */
export class AsyncOperator<I, O> implements Operator<I>, OperatorStateAccess {
  readonly uid: string;
  readonly state: OperatorStateAccess = this;
  readonly #spec: AsyncSpec<I, O>;
  readonly #context: OperatorContext;
  readonly #main: Output<O>;
  /** Everything that has not left yet, oldest first. */
  #queue: (Waiting<I, O> | Mark)[] = [];
  /** Records that wait to be called. */
  #uncalled: Waiting<I, O>[] = [];
  #records = 0;
  #calls = 0;
  #answers = 0;
  #unblock: (() => void) | undefined;

  constructor(spec: AsyncSpec<I, O>, context: OperatorContext, main: Output<O>) {
    this.uid = spec.uid;
    this.#spec = spec;
    this.#context = context;
    this.#main = main;
  }

  record(value: I, eventTimeMs: number): void {
    this.#context.markDirty(this.#context.origin.keyGroup);
    const entry = this.#enqueue(value, eventTimeMs, this.#context.origin);
    if (entry.results !== undefined) return this.#drain();
    if (this.#uncalled.length >= this.#spec.batchSize) this.#send();
  }

  watermark(watermarkMs: number, scope: string): void {
    this.#mark(() => this.#main.watermark(watermarkMs, scope));
  }

  status(idle: boolean): void {
    this.#mark(() => this.#main.status(idle));
  }

  flush(): void {
    this.#send();
  }

  busy(): boolean {
    return this.#queue.length > 0;
  }

  /** True when it would take another record. */
  accepts(): boolean {
    return this.#records < this.#spec.capacity;
  }

  blocked(): Promise<void> | undefined {
    if (this.accepts()) return undefined;
    return new Promise((resolve) => {
      this.#unblock = resolve;
    });
  }

  resume(): void {
    this.#drain();
    this.#send();
  }

  processingTime(nowMs: number): void {
    for (const entry of this.#pending()) {
      if (entry.deadlineMs <= nowMs) this.#timeOut(entry);
      else if (entry.retryMs !== undefined && entry.retryMs <= nowMs) {
        entry.retryMs = undefined;
        this.#uncalled.push(entry);
      }
    }
    this.#send();
    this.#drain();
  }

  nextWakeUpMs(): number | undefined {
    const times = this.#pending().map(({ deadlineMs, retryMs }) =>
      Math.min(deadlineMs, retryMs ?? deadlineMs),
    );
    const next = Math.min(...times);
    return Number.isFinite(next) ? next : undefined;
  }

  /** Records that have not left, oldest first. */
  inFlight(): readonly I[] {
    return this.#queue.flatMap((entry) => (entry.kind === "record" ? [entry.value] : []));
  }

  /** Time-outs that are still to come. */
  armedTimeouts(): number {
    return this.#pending().filter(({ deadlineMs }) => Number.isFinite(deadlineMs)).length;
  }

  descriptors(): ReturnType<OperatorStateAccess["descriptors"]> {
    return this.#store().descriptors();
  }

  snapshot(keyGroup: number): Uint8Array | undefined {
    const store = this.#store();
    store.enter(store.create("", keyGroup));
    for (const entry of this.#queue) {
      if (entry.kind === "mark" || entry.origin.keyGroup !== keyGroup) continue;
      store.handles.records.add(entry);
      store.handles.origins.add(JSON.stringify(entry.origin));
    }
    const out = new ByteWriter();
    out.text(1, this.uid);
    const emptyBytes = out.size;
    store.write(keyGroup, 2, out);
    return out.size === emptyBytes ? undefined : out.take();
  }

  restore(keyGroup: number, state: OperatorState): void {
    const store = this.#store();
    store.restore(keyGroup, state.states);
    const origins = store.handles.origins.get();
    for (const [i, { value, eventTimeMs }] of store.handles.records.get().entries()) {
      const origin = JSON.parse(origins[i] ?? "") as Origin;
      // Records of one message share one origin, so that the numbering of outputs goes on.
      const same = this.#queue.find(
        (entry) =>
          entry.origin.keyGroup === origin.keyGroup && entry.origin.sequence === origin.sequence,
      );
      this.#enqueue(value, eventTimeMs, same?.origin ?? origin);
    }
  }

  #enqueue(value: I, eventTimeMs: number, origin: Origin): Waiting<I, O> {
    const { timeoutMs } = this.#spec;
    const results = this.#spec.skip(value);
    const deadlineMs =
      timeoutMs === undefined ? Number.POSITIVE_INFINITY : this.#context.clock.nowMs() + timeoutMs;
    const entry: Waiting<I, O> = {
      kind: "record",
      value,
      eventTimeMs,
      origin,
      deadlineMs,
      results,
      answered: results === undefined ? 0 : (this.#answers += 1),
      calls: 0,
      retryMs: undefined,
    };
    this.#queue.push(entry);
    this.#records += 1;
    if (results === undefined) this.#uncalled.push(entry);
    return entry;
  }

  #mark(pass: () => void): void {
    this.#queue.push({ kind: "mark", origin: this.#context.origin, pass });
    this.#drain();
  }

  #pending(): Waiting<I, O>[] {
    const { timeoutMs, retry } = this.#spec;
    if (timeoutMs === undefined && retry === undefined) return [];
    return this.#queue.flatMap((entry) =>
      entry.kind === "record" && entry.results === undefined ? [entry] : [],
    );
  }

  #send(): void {
    while (this.#uncalled.length > 0 && this.#calls < this.#spec.concurrency) {
      const batch = this.#uncalled.slice(0, this.#spec.batchSize);
      this.#uncalled = this.#uncalled.slice(batch.length);
      const open = batch.filter(({ results }) => results === undefined);
      if (open.length === 0) continue;
      this.#calls += 1;
      void this.#run(open);
    }
  }

  async #run(batch: readonly Waiting<I, O>[]): Promise<void> {
    try {
      await this.#call(batch);
      this.#calls -= 1;
      this.#send();
      this.#drain();
    } catch (error) {
      this.#context.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #call(batch: readonly Waiting<I, O>[]): Promise<void> {
    const { retry } = this.#spec;
    for (const entry of batch) entry.calls += 1;
    const sampled = batch.find((entry) => entry.origin.traceparent !== "");
    const values = batch.map((entry) => entry.value);
    let answers: readonly (readonly O[])[];
    try {
      answers = await this.#spec.call(values, sampled?.origin.traceparent ?? "");
    } catch (error) {
      const open = batch.filter(({ results }) => results === undefined);
      const again = retry?.onError?.(error) === true;
      if (!open.every((entry) => again && this.#retryLater(entry))) throw error;
      return;
    }
    assert.equal(answers.length, batch.length, `${this.uid}: one answer a record`);
    for (const [i, entry] of batch.entries()) {
      const results = answers[i] ?? [];
      if (retry?.onResult?.(results) !== true || !this.#retryLater(entry))
        this.#answer(entry, results);
    }
  }

  /** @returns false when it was tried often enough. */
  #retryLater(entry: Waiting<I, O>): boolean {
    const { retry } = this.#spec;
    if (retry === undefined || entry.calls > retry.maxRetries) return false;
    const waitMs = retry.delayMs * (retry.backoff ?? 1) ** (entry.calls - 1);
    const cappedMs = Math.min(waitMs, retry.maxDelayMs ?? Number.POSITIVE_INFINITY);
    entry.retryMs = this.#context.clock.nowMs() + cappedMs;
    return true;
  }

  /** The first answer counts, whether from the call or from the time-out. */
  #answer(entry: Waiting<I, O>, results: readonly O[]): void {
    if (entry.results !== undefined) return;
    entry.results = results;
    entry.answered = this.#answers += 1;
  }

  #timeOut(entry: Waiting<I, O>): void {
    const results = this.#spec.onTimeout?.(entry.value);
    if (results !== undefined) return this.#answer(entry, results);
    this.#context.fail(
      new TimeoutError(
        `operator ${this.uid}: no answer for ${describe(entry.value)} within ` +
          `${String(this.#spec.timeoutMs)} ms; raise the time-out, or give it an onTimeout handler`,
      ),
    );
  }

  /** Lets everything leave that nothing holds back. */
  #drain(): void {
    const before = this.#context.origin;
    for (;;) {
      const [head] = this.#queue;
      if (head === undefined) break;
      if (head.kind === "mark") this.#leave([head]);
      else if (
        !this.#leave(
          this.#spec.mode === "unordered" ? this.#answeredAhead() : this.#answeredInOrder(),
        )
      )
        break;
    }
    this.#context.origin = before;
    if (!this.accepts()) return;
    this.#unblock?.();
    this.#unblock = undefined;
  }

  #answeredInOrder(): Waiting<I, O>[] {
    const ready: Waiting<I, O>[] = [];
    for (const entry of this.#queue) {
      if (entry.kind === "mark" || entry.results === undefined) break;
      ready.push(entry);
    }
    return ready;
  }

  /** All answered records before the next mark, in the order of their answers. */
  #answeredAhead(): Waiting<I, O>[] {
    const ready: Waiting<I, O>[] = [];
    for (const entry of this.#queue) {
      if (entry.kind === "mark") break;
      if (entry.results !== undefined) ready.push(entry);
    }
    return ready.sort((a, b) => a.answered - b.answered);
  }

  /** @returns false when there is nothing to leave. */
  #leave(ready: readonly (Waiting<I, O> | Mark)[]): boolean {
    if (ready.length === 0) return false;
    for (const { origin } of ready) this.#context.markDirty(origin.keyGroup);
    if (ready.every((entry, i) => this.#queue[i] === entry)) this.#queue.splice(0, ready.length);
    else {
      const leaving = new Set(ready);
      this.#queue = this.#queue.filter((entry) => !leaving.has(entry));
    }
    for (const entry of ready) {
      this.#context.origin = entry.origin;
      if (entry.kind === "mark") entry.pass();
      else {
        this.#records -= 1;
        for (const result of entry.results ?? []) this.#main.record(result, entry.eventTimeMs);
      }
    }
    return true;
  }

  // eslint-disable-next-line typescript/explicit-function-return-type -- the handles' types are the point
  #store() {
    const states = {
      records: listState(timedCodec(this.#spec.codec)),
      origins: listState(stringCodec),
    };
    return new KeyedStore(this.uid, states, TEXT_NAMESPACES, this.#context.clock);
  }
}

function describe(value: unknown): string {
  const text =
    JSON.stringify(value, (_key, each: unknown) =>
      typeof each === "bigint" ? String(each) : each,
    ) ?? "undefined";
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
