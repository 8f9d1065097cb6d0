import assert from "node:assert/strict";
import { DEFAULT_KEY_GROUPS } from "../../base/key-group.ts";
import { CourtsideError } from "../../base/errors.ts";
import type { StateSpec } from "../state/keyed-state.ts";
import { type TimestampSpec, UnionValve } from "../time/watermark.ts";
import { WindowOperator, type WindowSpec } from "../window/window-operator.ts";
import { type AsyncBatch, AsyncOperator } from "./async-operator.ts";
import { type Origin, type Output, type OutputTag, outputTag } from "./element.ts";
import type { Operator, OperatorContext, Outputs } from "./operator.ts";
import { type KeyedProcess, ProcessOperator } from "./process-operator.ts";
import type { EdgeSink, ImmediateSink, Sink, TransactionalSink } from "./sink.ts";
import { SinkOperator } from "./sink.ts";
import { TimestampsOperator } from "./timestamps-operator.ts";

/** The graph cannot run as it is; the message says what to change. */
export class GraphError extends CourtsideError {
  override readonly code = "INVALID_GRAPH";
  override readonly retryable = false;
}

/** Main output of a node, or one of its side outputs. */
interface Edge {
  readonly node: number;
  readonly tag: string | undefined;
}

export interface GraphNode {
  readonly uid: string;
  readonly kind: string;
  readonly inputs: readonly Edge[];
  /** Makes the operator; one for each input, the same object unless inputs are told apart. */
  build(context: OperatorContext, outputs: Outputs<unknown>): readonly Operator<unknown>[];
}

/**
 * A job as plain data: build it once, run it anywhere. Nodes are in topological order, since a stream can
 * only be used after it was made.
 */
export class JobGraph<I> {
  readonly name: string;
  readonly keyGroups: number;
  readonly nodes: GraphNode[] = [];
  readonly sinks = new Map<string, Sink>();
  /** What the source delivers. */
  readonly source: Stream<I>;
  /** Takes a message apart when an operator failed on it, so that only the part that fails is left out. */
  isolate?: (value: I) => readonly I[];

  /** @param keyGroups - units of state; fixed for the life of a savepoint. */
  constructor(name: string, keyGroups: number = DEFAULT_KEY_GROUPS) {
    this.name = name;
    this.keyGroups = keyGroups;
    this.source = this.add<I>("source", "source", [], (_context, { main }) => [main]);
  }

  /** @throws GraphError when a uid is used twice or a stream leads nowhere. */
  validate(): void {
    const seen = new Set<string>();
    for (const { uid } of this.nodes) {
      if (seen.has(uid))
        throw new GraphError(
          `job ${this.name}: uid ${uid} is used twice; state is found by uid, so give each operator its own`,
        );
      seen.add(uid);
    }
    const read = new Set(this.nodes.flatMap(({ inputs }) => inputs.map(({ node }) => node)));
    for (const [i, { uid, kind }] of this.nodes.entries())
      if (kind !== "sink" && !read.has(i))
        throw new GraphError(
          `job ${this.name}: nobody reads the output of ${uid}; end it in a sink or remove it`,
        );
  }

  add<O>(
    uid: string,
    kind: string,
    inputs: readonly Edge[],
    build: (context: OperatorContext, outputs: Outputs<O>) => readonly Operator<never>[],
  ): Stream<O> {
    assert(uid !== "", "an operator needs a uid");
    this.nodes.push({ uid, kind, inputs, build });
    return new Stream<O>(this as JobGraph<unknown>, {
      node: this.nodes.length - 1,
      tag: undefined,
    });
  }

  addSink(sink: Sink): void {
    if (this.sinks.has(sink.uid))
      throw new GraphError(
        `job ${this.name}: uid ${sink.uid} is used twice; give each sink its own`,
      );
    this.sinks.set(sink.uid, sink);
  }
}

/** Records of one type on their way through a job. */
export class Stream<T> {
  readonly #graph: JobGraph<unknown>;
  readonly #edge: Edge;

  constructor(graph: JobGraph<unknown>, edge: Edge) {
    this.#graph = graph;
    this.#edge = edge;
  }

  map<O>(uid: string, apply: (value: T) => O): Stream<O> {
    return this.flatMap(uid, (value, emit) => emit(apply(value)));
  }

  filter(uid: string, keep: (value: T) => boolean): Stream<T> {
    return this.flatMap(uid, (value, emit) => {
      if (keep(value)) emit(value);
    });
  }

  /** Without state: the function sees one record and emits any number. */
  flatMap<O>(
    uid: string,
    apply: (
      value: T,
      emit: (value: O) => void,
      side: <S>(tag: OutputTag<S>, value: S) => void,
    ) => void,
  ): Stream<O> {
    return this.#graph.add<O>(uid, "flatMap", [this.#edge], (_context, outputs) => {
      const { main } = outputs;
      let timeMs = 0;
      const emit = (value: O): void => main.record(value, timeMs);
      const toSide = <S>(tag: OutputTag<S>, value: S): void =>
        outputs.side(tag.id)?.record(value, timeMs);
      return [
        {
          record: (value: T, eventTimeMs: number) => {
            timeMs = eventTimeMs;
            apply(value, emit, toSide);
          },
          watermark: (watermark) => main.watermark(watermark),
        },
      ];
    });
  }

  /** Gives records their event time and lets watermarks follow them. */
  timestamps(uid: string, spec: TimestampSpec<T>): Stream<T> {
    return this.#graph.add<T>(uid, "timestamps", [this.#edge], (context, { main }) => [
      new TimestampsOperator(uid, spec, context, main),
    ]);
  }

  /** Keys must be of the key group by which the input message came; anything else is an error. */
  keyBy(keyOf: (value: T) => string): KeyedStream<T> {
    return new KeyedStream(this.#graph, this.#edge, keyOf);
  }

  /** Records of both streams; watermarks are the minimum of both. */
  union(uid: string, other: Stream<T>): Stream<T> {
    return this.#graph.add<T>(uid, "union", [this.#edge, other.#edge], (_context, { main }) => {
      const valve = new UnionValve(2);
      return [0, 1].map((input) => ({
        record: (value: T, eventTimeMs: number) => main.record(value, eventTimeMs),
        watermark: (watermark) => valve.advance(input, watermark, main),
      }));
    });
  }

  /** Ordered asynchronous calls over batches of records. */
  asyncBatch<O>(spec: AsyncBatch<T, O>): Stream<O> {
    return this.#graph.add<O>(spec.uid, "asyncBatch", [this.#edge], (context, { main }) => [
      new AsyncOperator(spec, context, main),
    ]);
  }

  /** A side output of the operator that made this stream. */
  side<S>(tag: OutputTag<S>): Stream<S> {
    return new Stream<S>(this.#graph, { node: this.#edge.node, tag: tag.id });
  }

  sinkTo(sink: ImmediateSink<T> | TransactionalSink<T> | EdgeSink<T>): void {
    this.#graph.addSink(sink);
    this.#graph.add<never>(sink.uid, "sink", [this.#edge], (context) => [
      new SinkOperator(sink, context),
    ]);
  }
}

/** Records with a key: the place for state, timers and windows. */
export class KeyedStream<T> {
  readonly #graph: JobGraph<unknown>;
  readonly #edge: Edge;
  readonly #keyOf: (value: T) => string;

  constructor(graph: JobGraph<unknown>, edge: Edge, keyOf: (value: T) => string) {
    this.#graph = graph;
    this.#edge = edge;
    this.#keyOf = keyOf;
  }

  process<O, S extends StateSpec>(process: KeyedProcess<T, O, S>): Stream<O> {
    return this.#graph.add<O>(process.uid, "process", [this.#edge], (context, outputs) => [
      new ProcessOperator(process, this.#keyOf, context, outputs),
    ]);
  }

  window<A, R, O>(spec: WindowSpec<T, A, R, O>): Stream<O> {
    return this.#graph.add<O>(spec.uid, "window", [this.#edge], (context, outputs) => [
      new WindowOperator(spec, this.#keyOf, context, outputs),
    ]);
  }
}

/** An input that made the job fail as often as it is tried, with the last reason. */
export interface Poison<I> {
  readonly value: I;
  readonly origin: Origin;
  readonly reason: string;
}

const POISON = outputTag<Poison<unknown>>("poison");

/** Side output of the source: inputs that are left out because the job fails on them. */
export function poisonTag<I>(): OutputTag<Poison<I>> {
  return POISON as OutputTag<Poison<I>>;
}

/** The operators of one task, wired: the head takes what the source delivers. */
export interface Chain<I> {
  readonly head: Output<I>;
  /** Takes what is left out; undefined when the job does not read `poisonTag`. */
  readonly poison: Output<Poison<I>> | undefined;
  /** Upstream first. */
  readonly operators: readonly Operator<unknown>[];
}

/** Makes the operators of a job and connects them; downstream first, so that outputs exist when needed. */
export function buildChain<I>(graph: JobGraph<I>, context: OperatorContext): Chain<I> {
  graph.validate();
  const built: (readonly Operator<unknown>[])[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i -= 1)
    built[i] = graph.nodes[i]?.build(context, outputsOf(graph, built, i)) ?? [];
  const head = built[0]?.[0];
  assert(head !== undefined, "a job has a source");
  // A union is one operator with several inputs; the first stands for it.
  const operators = built.slice(1).flatMap((inputs) => inputs.slice(0, 1));
  return { head, operators, poison: outputsOf(graph, built, 0).side(POISON.id) };
}

function outputsOf<I>(
  graph: JobGraph<I>,
  built: readonly (readonly Operator<unknown>[])[],
  node: number,
): Outputs<unknown> {
  const readers = (tag: string | undefined): Output<unknown>[] =>
    graph.nodes.flatMap(({ inputs }, consumer) =>
      inputs.flatMap((edge, input) => {
        if (edge.node !== node || edge.tag !== tag) return [];
        const operators = built[consumer] ?? [];
        const operator = operators[input] ?? operators[0];
        return operator === undefined ? [] : [operator];
      }),
    );
  const sides = new Map<string, Output<unknown> | undefined>();
  return {
    main: fanOut(readers(undefined)),
    side: (id) => {
      if (!sides.has(id)) {
        const found = readers(id);
        sides.set(id, found.length === 0 ? undefined : fanOut(found));
      }
      return sides.get(id);
    },
  };
}

function fanOut(outputs: readonly Output<unknown>[]): Output<unknown> {
  const [only] = outputs;
  if (outputs.length === 1 && only !== undefined) return only;
  return {
    record: (value, eventTimeMs) => {
      for (const output of outputs) output.record(value, eventTimeMs);
    },
    watermark: (watermark) => {
      for (const output of outputs) output.watermark(watermark);
    },
  };
}
