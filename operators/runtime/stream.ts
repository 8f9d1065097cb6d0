import { errorText } from "../../base/errors.ts";
import { AsyncOperator } from "../async/async-operator.ts";
import {
  type AsyncBatch,
  type AsyncEach,
  type AsyncSpec,
  batchAsSpec,
  eachAsSpec,
} from "../async/async-spec.ts";
import { type IntervalJoin, IntervalJoinOperator } from "../join/interval-join-operator.ts";
import { type Sided, type WindowJoin, windowJoinSpec } from "../join/window-join.ts";
import type { StateSpec } from "../state/keyed-state.ts";
import type { OperatorStateSpec } from "../state/operator-state.ts";
import { type TimestampSpec, TimestampsOperator } from "../time/timestamps-operator.ts";
import { checkSpec, makeWindowOperator } from "../window/check-spec.ts";
import type { WindowSpec } from "../window/window-spec.ts";
import { checkStates } from "./check-states.ts";
import type { OutputTag } from "./element.ts";
import type { Edge, JobGraph } from "./graph.ts";
import type { Operator, OperatorContext, Outputs } from "./operator.ts";
import {
  type BroadcastProcess,
  type CoProcess,
  type KeyedProcess,
  type ProcessBase,
  type ProcessContext,
  type ProcessInput,
  ProcessOperator,
} from "./process-operator.ts";
import type { EdgeSink, ImmediateSink, TransactionalSink } from "./sink.ts";
import { SinkOperator } from "./sink.ts";

/** What a function that failed on a record gives to the dead letters. */
export interface Refused<T> {
  readonly value: T;
  readonly reason: string;
}

/** A function over records without a key, with state of the operator. */
export type OperatorProcess<I, O, B extends OperatorStateSpec> = Omit<
  KeyedProcess<I, O, {}, B>,
  "state" | "onTimer"
>;

/** Records of one type on their way through a job. */
export class Stream<T> {
  readonly #graph: JobGraph<unknown>;
  readonly edge: Edge;

  constructor(graph: JobGraph<unknown>, edge: Edge) {
    this.#graph = graph;
    this.edge = edge;
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
    return this.#add<O>(uid, "flatMap", (_context, outputs) => {
      const { main } = outputs;
      let timeMs = 0;
      const emit = (value: O): void => main.record(value, timeMs);
      const toSide = <S>(tag: OutputTag<S>, value: S): void =>
        outputs.side(tag.id)?.record(value, timeMs);
      return {
        record: (value: T, eventTimeMs: number) => {
          timeMs = eventTimeMs;
          apply(value, emit, toSide);
        },
        watermark: (watermarkMs, scope) => main.watermark(watermarkMs, scope),
        status: (idle) => main.status(idle),
      };
    });
  }

  /** Like `map`, but a record that the function throws on goes to the dead letters instead of ending the task. */
  tryMap<O>(uid: string, apply: (value: T) => O, deadLetters: OutputTag<Refused<T>>): Stream<O> {
    return this.flatMap(uid, (value, emit, side) => {
      let mapped: O;
      try {
        mapped = apply(value);
      } catch (error) {
        return side(deadLetters, { value, reason: errorText(error) });
      }
      emit(mapped);
    });
  }

  /** Gives records their event time and lets watermarks follow them. */
  timestamps(uid: string, spec: TimestampSpec<T>): Stream<T> {
    return this.#graph.add<T>({
      uid,
      kind: "timestamps",
      inputs: [this.edge],
      eventTime: "given",
      build: (context, { main }) => [new TimestampsOperator(uid, spec, context, main)],
    });
  }

  /** Keys must be of the key group by which the input message came; anything else is an error. */
  keyBy(keyOf: (value: T) => string): KeyedStream<T> {
    return new KeyedStream(this.#graph, this.edge, keyOf);
  }

  /** Records of all streams; the watermark is the minimum over the active ones. */
  union(uid: string, ...others: readonly Stream<T>[]): Stream<T> {
    return this.#graph.add<T>({
      uid,
      kind: "union",
      inputs: [this.edge, ...others.map(({ edge }) => edge)],
      build: (_context, { main }) =>
        [this, ...others].map(() => ({
          record: (value: T, eventTimeMs: number) => main.record(value, eventTimeMs),
          watermark: (watermarkMs, scope) => main.watermark(watermarkMs, scope),
          status: (idle) => main.status(idle),
        })),
    });
  }

  /** Asynchronous calls, one a record. */
  async<O>(spec: AsyncEach<T, O>): Stream<O> {
    return this.#async("async", spec.mode, eachAsSpec(spec));
  }

  /** Asynchronous calls over batches of records. */
  asyncBatch<O>(spec: AsyncBatch<T, O>): Stream<O> {
    return this.#async("asyncBatch", spec.mode, batchAsSpec(spec));
  }

  /** A function with state of the operator, which belongs to no key. */
  process<O, B extends OperatorStateSpec>(spec: OperatorProcess<T, O, B>): Stream<O> {
    return addProcess<O, {}, B>(this.#graph, { ...spec, state: {} }, "process", [
      [
        this.edge,
        { keyOf: undefined, onRecord: (context, value: T) => spec.onRecord(context, value) },
      ],
    ]);
  }

  /** A side output of the operator that made this stream. */
  side<S>(tag: OutputTag<S>): Stream<S> {
    return new Stream<S>(this.#graph, { node: this.edge.node, tag: tag.id });
  }

  sinkTo(sink: ImmediateSink<T> | TransactionalSink<T> | EdgeSink<T>): void {
    this.#graph.addSink(sink);
    this.#graph.add<never>({
      uid: sink.uid,
      kind: "sink",
      inputs: [this.edge],
      detail: sink.mode,
      build: (context) => [new SinkOperator(sink, context)],
    });
  }

  #async<O>(kind: string, mode: string | undefined, spec: AsyncSpec<T, O>): Stream<O> {
    const { uid, capacity, batchSize, concurrency, codec } = spec;
    if (!(capacity > 0 && batchSize > 0 && batchSize <= capacity && concurrency > 0))
      throw this.#graph.error(
        `${uid}: capacity ${String(capacity)} must be at least the batch size ${String(batchSize)}, and both ` +
          "and the concurrency above zero",
      );
    checkStates(this.#graph, uid, { records: { kind: "list", codec } });
    return this.#add<O>(
      uid,
      kind,
      (context, { main }) => new AsyncOperator(spec, context, main),
      mode ?? "ordered",
    );
  }

  #add<O>(
    uid: string,
    kind: string,
    build: (context: OperatorContext, outputs: Outputs<O>) => Operator<T>,
    detail?: string,
  ): Stream<O> {
    return this.#graph.add<O>({
      uid,
      kind,
      inputs: [this.edge],
      ...(detail !== undefined && { detail }),
      build: (context, outputs) => [build(context, outputs)],
    });
  }
}

/** Records with a key: the place for state, timers and windows. */
export class KeyedStream<T> {
  readonly #graph: JobGraph<unknown>;
  readonly edge: Edge;
  readonly keyOf: (value: T) => string;

  constructor(graph: JobGraph<unknown>, edge: Edge, keyOf: (value: T) => string) {
    this.#graph = graph;
    this.edge = edge;
    this.keyOf = keyOf;
  }

  process<O, S extends StateSpec, B extends OperatorStateSpec = {}>(
    spec: KeyedProcess<T, O, S, B>,
  ): Stream<O> {
    return addProcess<O, S, B>(this.#graph, spec, "process", [
      this.#input((context, value) => spec.onRecord(context, value)),
    ]);
  }

  /** A function over this stream and another one with the same keys. */
  coProcess<R, O, S extends StateSpec>(
    other: KeyedStream<R>,
    spec: CoProcess<T, R, O, S>,
  ): Stream<O> {
    return addProcess<O, S, {}>(this.#graph, spec, "coProcess", [
      this.#input((context, value) => spec.onLeft(context, value)),
      other.#input((context, value) => spec.onRight(context, value)),
    ]);
  }

  /** A function over this stream and one that every task sees whole. */
  withBroadcast<B, O, S extends StateSpec, P extends OperatorStateSpec>(
    broadcast: Stream<B>,
    spec: BroadcastProcess<T, B, O, S, P>,
  ): Stream<O> {
    return addProcess<O, S, P>(this.#graph, spec, "withBroadcast", [
      this.#input((context, value) => spec.onRecord(context, value)),
      [
        broadcast.edge,
        {
          keyOf: undefined,
          onRecord: (context, value) => spec.onBroadcast(context, value),
        },
      ],
    ]);
  }

  window<A, R, O, S extends StateSpec = {}>(spec: WindowSpec<T, A, R, O, S>): Stream<O> {
    checkSpec(this.#graph, spec);
    const { assigner, trigger, evictor } = spec;
    const parts = [assigner.name, trigger?.name, evictor && `evictor ${evictor.evictor.name}`];
    return this.#graph.add<O>({
      uid: spec.uid,
      kind: "window",
      inputs: [this.edge],
      detail: parts.filter((part) => part !== undefined).join(" "),
      ...(assigner.time === "event" && { eventTime: "needed" }),
      build: (context, outputs) => [makeWindowOperator(spec, this.keyOf, context, outputs)],
    });
  }

  /** Pairs of records of one key whose times are close. */
  intervalJoin<R, O>(other: KeyedStream<R>, spec: IntervalJoin<T, R, O>): Stream<O> {
    IntervalJoinOperator.check(spec);
    return this.#graph.add<O>({
      uid: spec.uid,
      kind: "intervalJoin",
      inputs: [this.edge, other.edge],
      detail: `${String(spec.lowerMs)}..${String(spec.upperMs)} ms`,
      eventTime: "needed",
      build: (context, outputs) =>
        new IntervalJoinOperator(spec, [this.keyOf, other.keyOf], context, outputs).inputs,
    });
  }

  /** Pairs of records of one key that are in the same window. */
  windowJoin<R, O>(other: KeyedStream<R>, spec: WindowJoin<T, R, O>): Stream<O> {
    const sided = this.#graph.add<Sided<T, R>>({
      uid: `${spec.uid}/sides`,
      kind: "union",
      inputs: [this.edge, other.edge],
      build: (_context, { main }) =>
        [this.keyOf, other.keyOf].map((keyOf, i) => ({
          record: (value: never, eventTimeMs: number) =>
            main.record(
              { isLeft: i === 0, value, key: (keyOf as (value: never) => string)(value) },
              eventTimeMs,
            ),
          watermark: (watermarkMs, scope) => main.watermark(watermarkMs, scope),
          status: (idle) => main.status(idle),
        })),
    });
    return sided.keyBy(({ key }) => key).window(windowJoinSpec(spec));
  }

  #input<O, S extends StateSpec, B extends OperatorStateSpec>(
    onRecord: (context: ProcessContext<O, S, B>, value: T) => void,
  ): readonly [Edge, ProcessInput<O, S, B>] {
    return [this.edge, { keyOf: this.keyOf, onRecord }];
  }
}

function addProcess<O, S extends StateSpec, B extends OperatorStateSpec>(
  graph: JobGraph<unknown>,
  spec: ProcessBase<O, S, B>,
  kind: string,
  inputs: readonly (readonly [Edge, ProcessInput<O, S, B>])[],
): Stream<O> {
  checkStates(graph, spec.uid, spec.state);
  for (const [name, { state }] of Object.entries(spec.operatorState ?? {}))
    checkStates(graph, spec.uid, { [name]: state });
  return graph.add<O>({
    uid: spec.uid,
    kind,
    inputs: inputs.map(([edge]) => edge),
    build: (context, outputs) =>
      new ProcessOperator(
        spec,
        inputs.map(([, input]) => input),
        context,
        outputs,
      ).inputs,
  });
}
