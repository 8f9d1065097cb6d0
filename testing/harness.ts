import { ManualClock } from "../base/clock.ts";
import { DEFAULT_KEY_GROUPS, keyGroupOf } from "../base/key-group.ts";
import { noTracing } from "../base/tracing.ts";
import { NO_TIME_MS, TASK_SCOPE, type Output } from "../operators/runtime/element.ts";
import {
  descriptorsOf,
  encodeKeyGroup,
  restoreKeyGroups,
} from "../operators/runtime/chain-state.ts";
import { buildChain, type Chain, JobGraph } from "../operators/runtime/graph.ts";
import type { Operator, OperatorContext, WatermarkHold } from "../operators/runtime/operator.ts";
import type { Stream } from "../operators/runtime/stream.ts";
import { checkDescriptors } from "../operators/state/descriptors.ts";
import type { StateDescriptor } from "../proto/gen/courtside/v1/checkpoint_pb.ts";

/** Ends a stream in the harness, under a name to `take` it by. */
export type Collect = <T>(stream: Stream<T>, name?: string) => void;

/** State of a harness at one moment, to go on from in another. */
export interface HarnessSnapshot {
  readonly states: ReadonlyMap<number, Uint8Array>;
  readonly descriptors: readonly StateDescriptor[];
}

/** Something that left a collected stream, in order: a record, a watermark of the task, or idleness. */
export type Emitted =
  | { readonly kind: "record"; readonly value: unknown; readonly eventTimeMs: number }
  | { readonly kind: "watermark"; readonly watermarkMs: number }
  | { readonly kind: "status"; readonly idle: boolean };

/** Where a harness starts. */
export interface HarnessOptions {
  readonly from?: HarnessSnapshot;
  readonly keyGroups?: number;
  /** Processing time at the start; default 0. */
  readonly nowMs?: number;
}

/** Makes a further input of the harness, for operators with several; fed by its name. */
export type NewInput = <T>(name: string) => Stream<T>;

/** Default name of a collected stream. */
const MAIN = "main";

/**
 * Drives the operators of a graph by hand: records in, outputs out, snapshot and restore when the test says
 * so. Nothing sleeps; time is what the test says.
 *
 * @example
 * const h = new Harness<Play>((source, collect) => collect(source.keyBy(gameId).process(score)));
 * h.record("game-1", play);
 * expect(h.take()).toEqual([...]);
 */
export class Harness<I> {
  readonly clock: ManualClock;
  readonly #chain: Chain<I>;
  readonly #context: OperatorContext;
  readonly #graph: JobGraph<I>;
  readonly #emitted = new Map<string, Emitted[]>();
  readonly #touched = new Set<number>();
  readonly #inputs = new Map<string, Output<unknown>>();
  #sequence = 0;
  /** What the job has failed with, for tests of failures. */
  failure: Error | undefined;

  constructor(
    define: (source: Stream<I>, collect: Collect, input: NewInput) => void,
    { from, keyGroups = DEFAULT_KEY_GROUPS, nowMs = 0 }: HarnessOptions = {},
  ) {
    this.clock = new ManualClock(nowMs);
    this.#graph = new JobGraph<I>("harness", { keyGroups, sourceHasTime: true });
    define(
      this.#graph.source,
      (stream, name = MAIN) => this.#collect(stream, name),
      (name) => this.#input(name),
    );
    this.#context = {
      job: this.#graph.name,
      keyGroups,
      clock: this.clock,
      tracing: noTracing,
      origin: { keyGroup: -1, sequence: 0, traceparent: "", outputs: 0 },
      markDirty: (keyGroup) => void this.#touched.add(keyGroup),
      fail: (error) => {
        this.failure ??= error;
      },
    };
    this.#chain = buildChain(this.#graph, this.#context);
    if (from === undefined) return;
    checkDescriptors(from.descriptors, descriptorsOf(this.#chain.operators));
    restoreKeyGroups(this.#chain.operators, from.states);
    for (const keyGroup of from.states.keys()) this.#touched.add(keyGroup);
    for (const operator of this.#chain.operators) operator.resume?.();
  }

  /** The operators of the chain, upstream first, without the collectors. */
  get operators(): readonly Operator<unknown>[] {
    return this.#chain.operators;
  }

  /** Feeds one record as a message of the key's group. */
  record(key: string, value: I, eventTimeMs = NO_TIME_MS): void {
    this.#from(key);
    this.#chain.head.record(value, eventTimeMs);
    this.throwFailure();
  }

  /** Feeds one record to a further input. */
  recordTo(input: string, key: string, value: unknown, eventTimeMs = NO_TIME_MS): void {
    this.#from(key);
    this.#inputs.get(input)?.record(value, eventTimeMs);
    this.throwFailure();
  }

  /** Advances event time of a further input alone. */
  watermarkTo(input: string, watermarkMs: number): void {
    this.#inputs.get(input)?.watermark(watermarkMs, TASK_SCOPE);
    this.throwFailure();
  }

  /** Advances event time: of all keys, or of one. */
  watermark(watermarkMs: number, scope = TASK_SCOPE): void {
    if (scope !== TASK_SCOPE) {
      const keyGroup = keyGroupOf(scope, this.#graph.keyGroups);
      this.#context.origin = { ...this.#context.origin, keyGroup };
    }
    this.#chain.head.watermark(watermarkMs, scope);
    this.throwFailure();
  }

  status(idle: boolean): void {
    this.#chain.head.status(idle);
  }

  /** Advances processing time; what waits for it is done. */
  processingTime(nowMs: number, blocked = false): void {
    this.clock.advanceTo(nowMs);
    for (const operator of this.#chain.operators) operator.processingTime?.(nowMs, blocked);
    this.throwFailure();
  }

  /** The one moment at which the operators want to be woken, if any. */
  nextWakeUpMs(): number | undefined {
    const times = this.#chain.operators.flatMap((operator) => operator.nextWakeUpMs?.() ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Who holds the watermark back, by operator. */
  explainWatermark(): readonly WatermarkHold[] {
    return this.#chain.operators.flatMap((operator) => operator.explain?.() ?? []);
  }

  /** Sends what was held back to be sent together. */
  flush(): void {
    for (const operator of this.#chain.operators) operator.flush?.();
  }

  /** Lets answers of asynchronous calls that are there already be seen. */
  async turn(): Promise<void> {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }

  /** Lets asynchronous calls that need no further input come back. */
  async settle(): Promise<void> {
    this.flush();
    while (this.#chain.operators.some((operator) => operator.busy?.() === true)) {
      this.throwFailure();
      await this.turn();
    }
  }

  /** Outputs since the last `take` of this name. */
  take<T = unknown>(name = MAIN): T[] {
    return this.takeEmitted(name).flatMap((each) =>
      each.kind === "record" ? [each.value as T] : [],
    );
  }

  /** The same with event times, watermarks and statuses. */
  takeEmitted(name = MAIN): Emitted[] {
    const taken = this.#emitted.get(name) ?? [];
    this.#emitted.set(name, []);
    return taken;
  }

  snapshot(): HarnessSnapshot {
    const states = new Map<number, Uint8Array>();
    for (const keyGroup of this.#touched)
      states.set(keyGroup, encodeKeyGroup(this.#chain.operators, keyGroup));
    return { states, descriptors: descriptorsOf(this.#chain.operators) };
  }

  throwFailure(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  #from(key: string): void {
    this.#sequence += 1;
    const keyGroup = keyGroupOf(key, this.#graph.keyGroups);
    this.#context.origin = { keyGroup, sequence: this.#sequence, traceparent: "", outputs: 0 };
  }

  #input<T>(name: string): Stream<T> {
    return this.#graph.add<T>({
      uid: `input-${name}`,
      kind: "source",
      inputs: [],
      eventTime: "given",
      build: (_context, { main }) => {
        this.#inputs.set(name, main);
        return [main];
      },
    });
  }

  #collect<T>(stream: Stream<T>, name: string): void {
    this.#emitted.set(name, []);
    const put = (each: Emitted): void => void this.#emitted.get(name)?.push(each);
    const output: Output<T> = {
      record: (value, eventTimeMs) => put({ kind: "record", value, eventTimeMs }),
      watermark: (watermarkMs) => put({ kind: "watermark", watermarkMs }),
      status: (idle) => put({ kind: "status", idle }),
    };
    this.#graph.add<never>({
      uid: `collect-${name}`,
      kind: "sink",
      inputs: [stream.edge],
      build: () => [output],
    });
  }
}
