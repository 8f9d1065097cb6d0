import { ManualClock } from "../../base/clock.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { noTracing } from "../../base/tracing.ts";
import {
  descriptorsOf,
  checkDescriptors,
  encodeKeyGroup,
  restoreKeyGroups,
} from "../runtime/chain-state.ts";
import { buildChain, type Chain, JobGraph, type Stream } from "../runtime/graph.ts";
import type { OperatorContext } from "../runtime/operator.ts";
import type { TransactionalSink } from "../runtime/sink.ts";
import type { StateDescriptor } from "../../proto/gen/courtside/v1/checkpoint_pb.ts";

/** Ends a stream in the harness, under a name to `take` it by. */
export type Collect = <T>(stream: Stream<T>, name?: string) => void;

/** State of a harness at one moment, to go on from in another. */
export interface HarnessSnapshot {
  readonly states: ReadonlyMap<number, Uint8Array>;
  readonly descriptors: readonly StateDescriptor[];
}

/** Default name of a collected stream. */
const MAIN = "main";

/**
 * Drives the operators of a graph by hand: records in, outputs out, snapshot and restore when the test says
 * so. Nothing sleeps; time is what the records and watermarks say.
 *
 * @example
 * const h = new Harness<Play>((source, collect) => collect(source.keyBy(gameId).process(score)));
 * h.record("game-1", play);
 * expect(h.take()).toEqual([...]);
 */
export class Harness<I> {
  readonly clock = new ManualClock();
  readonly #chain: Chain<I>;
  readonly #context: OperatorContext;
  readonly #graph: JobGraph<I>;
  readonly #outputs = new Map<string, unknown[]>();
  readonly #touched = new Set<number>();
  #sequence = 0;
  #failure: Error | undefined;

  constructor(define: (source: Stream<I>, collect: Collect) => void, from?: HarnessSnapshot) {
    this.#graph = new JobGraph<I>("harness");
    define(this.#graph.source, (stream, name = MAIN) => stream.sinkTo(this.#collector(name)));
    this.#context = {
      job: this.#graph.name,
      keyGroups: this.#graph.keyGroups,
      clock: this.clock,
      tracing: noTracing,
      origin: { keyGroup: -1, sequence: 0, traceparent: "", outputs: 0 },
      markDirty: (keyGroup) => void this.#touched.add(keyGroup),
      fail: (error) => {
        this.#failure = error;
      },
    };
    this.#chain = buildChain(this.#graph, this.#context);
    if (from === undefined) return;
    checkDescriptors(from.descriptors, descriptorsOf(this.#chain.operators));
    restoreKeyGroups(this.#chain.operators, from.states);
    for (const keyGroup of from.states.keys()) this.#touched.add(keyGroup);
    for (const operator of this.#chain.operators) operator.resume?.();
  }

  /** Feeds one record as a message of the key's group. */
  record(key: string, value: I, eventTimeMs = 0): void {
    this.#sequence += 1;
    const keyGroup = keyGroupOf(key, this.#graph.keyGroups);
    this.#context.origin = { keyGroup, sequence: this.#sequence, traceparent: "", outputs: 0 };
    this.#chain.head.record(value, eventTimeMs);
    this.#throwFailure();
  }

  /** Advances event time: of all keys, or of one. */
  watermark(watermarkMs: number, scope = ""): void {
    if (scope !== "") {
      const keyGroup = keyGroupOf(scope, this.#graph.keyGroups);
      this.#context.origin = { ...this.#context.origin, keyGroup };
    }
    this.#chain.head.watermark({ watermarkMs, scope });
  }

  /** Lets asynchronous calls that need no further input come back. */
  async settle(): Promise<void> {
    for (const operator of this.#chain.operators) operator.flush?.();
    while (this.#chain.operators.some((operator) => operator.busy?.() === true)) {
      this.#throwFailure();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  }

  /** Outputs since the last `take` of this name. */
  take<T = unknown>(name = MAIN): T[] {
    const taken = this.#outputs.get(name) ?? [];
    this.#outputs.set(name, []);
    return taken as T[];
  }

  snapshot(): HarnessSnapshot {
    const states = new Map<number, Uint8Array>();
    for (const keyGroup of this.#touched)
      states.set(keyGroup, encodeKeyGroup(this.#chain.operators, keyGroup));
    return { states, descriptors: descriptorsOf(this.#chain.operators) };
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #collector<T>(name: string): TransactionalSink<T> {
    const values: unknown[] = [];
    this.#outputs.set(name, values);
    return {
      mode: "transactional",
      uid: `collect-${name}`,
      open: () => Promise.resolve(),
      write: (value) => void this.#outputs.get(name)?.push(value),
      full: () => false,
      seal: () => [],
      commit: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  }
}
