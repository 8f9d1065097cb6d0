import assert from "node:assert/strict";
import { DEFAULT_KEY_GROUPS } from "../../base/key-group.ts";
import { CourtsideError } from "../../base/errors.ts";
import { WatermarkValve } from "../time/valve.ts";
import { type Origin, type Output, type OutputTag, outputTag, TASK_SCOPE } from "./element.ts";
import type { Operator, OperatorContext, Outputs } from "./operator.ts";
import type { Sink } from "./sink.ts";
import { Stream } from "./stream.ts";

/** The graph cannot run as it is; the message says what to change. */
export class GraphError extends CourtsideError {
  override readonly code = "INVALID_GRAPH";
  override readonly retryable = false;
}

/** Main output of a node, or one of its side outputs. */
export interface Edge {
  readonly node: number;
  readonly tag: string | undefined;
}

export interface NodeSpec<O> {
  readonly uid: string;
  readonly kind: string;
  readonly inputs: readonly Edge[];
  /** For people: windows, trigger, mode. */
  readonly detail?: string;
  /** Whether records get their event time here, or must have it. */
  readonly eventTime?: "given" | "needed";
  /** Makes the operator: one for each input; the first stands for the state of all. */
  build(context: OperatorContext, outputs: Outputs<O>): readonly Operator<never>[];
}

/** What a job is besides its operators. */
export interface GraphOptions {
  /** Units of state; fixed for the life of a savepoint. */
  readonly keyGroups?: number;
  /** True when the source delivers records with event time and watermarks. */
  readonly sourceHasTime?: boolean;
}

/**
 * A job as plain data: build it once, run it anywhere. Nodes are in topological order, since a stream can
 * only be used after it was made.
 */
export class JobGraph<I> {
  readonly name: string;
  readonly keyGroups: number;
  readonly nodes: NodeSpec<never>[] = [];
  readonly sinks = new Map<string, Sink>();
  /** What the source delivers. */
  readonly source: Stream<I>;
  /** Takes a message apart when an operator failed on it, so that only the part that fails is left out. */
  isolate?: (value: I) => readonly I[];

  constructor(name: string, { keyGroups = DEFAULT_KEY_GROUPS, sourceHasTime }: GraphOptions = {}) {
    this.name = name;
    this.keyGroups = keyGroups;
    this.source = this.add<I>({
      uid: "source",
      kind: "source",
      inputs: [],
      ...(sourceHasTime === true && { eventTime: "given" }),
      build: (_context, { main }) => [main],
    });
  }

  /** @throws GraphError when a uid is used twice, a stream leads nowhere, or event time is missing. */
  validate(): void {
    const seen = new Set<string>();
    for (const { uid } of this.nodes) {
      if (seen.has(uid))
        throw this.error(
          `uid ${uid} is used twice; state is found by uid, so give each operator its own`,
        );
      seen.add(uid);
    }
    const read = new Set(this.nodes.flatMap(({ inputs }) => inputs.map(({ node }) => node)));
    for (const [i, { uid, kind, eventTime, inputs }] of this.nodes.entries()) {
      if (kind !== "sink" && !read.has(i))
        throw this.error(`nobody reads the output of ${uid}; end it in a sink or remove it`);
      if (eventTime === "needed" && !inputs.every(({ node }) => this.#hasTime(node)))
        throw this.error(
          `${uid} works in event time, but its input has none; put timestamps() before it, ` +
            "or use processing time",
        );
    }
  }

  add<O>(node: NodeSpec<O>): Stream<O> {
    if (typeof node.uid !== "string" || node.uid === "")
      throw this.error(`an operator of kind ${node.kind} needs a uid that stays`);
    this.nodes.push(node);
    return new Stream<O>(this as JobGraph<unknown>, {
      node: this.nodes.length - 1,
      tag: undefined,
    });
  }

  addSink(sink: Sink): void {
    if (this.sinks.has(sink.uid))
      throw this.error(`uid ${sink.uid} is used twice; give each sink its own`);
    this.sinks.set(sink.uid, sink);
  }

  error(text: string): GraphError {
    return new GraphError(`job ${this.name}: ${text}`);
  }

  /** True when every path to the node's output passes by something that gives event time. */
  #hasTime(index: number): boolean {
    const node = this.nodes[index];
    if (node?.eventTime === "given") return true;
    const inputs = node?.inputs ?? [];
    return inputs.length > 0 && inputs.every((edge) => this.#hasTime(edge.node));
  }
}

/**
 * Lets the inputs of one operator share their watermarks: what comes out of the valve goes to the first.
 * An operator with one input needs no valve.
 */
export function combineInputs(
  uid: string,
  inputs: readonly Operator<never>[],
  context: OperatorContext,
): readonly Operator<never>[] {
  const [first] = inputs;
  if (first === undefined || inputs.length === 1) return inputs;
  let movedMs = context.clock.nowMs();
  const valve = new WatermarkValve(inputs.length, {
    record: () => {},
    watermark: (watermarkMs, scope) => {
      if (scope === TASK_SCOPE) movedMs = context.clock.nowMs();
      first.watermark(watermarkMs, scope);
    },
    status: (idle) => first.status(idle),
  });
  const name = (input: number): string => `input ${String(input + 1)}`;
  return inputs.map((operator, input) => ({
    ...(operator.state && { state: operator.state }),
    record: (value: never, eventTimeMs: number) => operator.record(value, eventTimeMs),
    watermark: (watermarkMs, scope) => valve.watermark(input, watermarkMs, scope),
    status: (idle) => valve.status(input, idle),
    processingTime: (nowMs, blocked) => operator.processingTime?.(nowMs, blocked),
    nextWakeUpMs: () => operator.nextWakeUpMs?.(),
    explain: () => {
      const { heldBy, idle } = valve.explain();
      return {
        uid,
        watermarkMs: valve.lastMs,
        heldBy: heldBy.map(name),
        sinceMs: movedMs,
        idle: idle.map(name),
        paused: [],
      };
    },
  }));
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
  const built: (readonly Operator<never>[])[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i -= 1) {
    const node = graph.nodes[i];
    if (node !== undefined)
      built[i] = combineInputs(node.uid, node.build(context, outputsOf(graph, built, i)), context);
  }
  const head = built[0]?.[0];
  assert(head !== undefined, "a job has a source");
  // An operator with several inputs is one operator; the first stands for it.
  const operators = built.flatMap((inputs, i) =>
    graph.nodes[i]?.kind === "source" ? [] : inputs.slice(0, 1),
  );
  return {
    head: head,
    operators: operators,
    poison: outputsOf(graph, built, 0).side(POISON.id),
  };
}

function outputsOf<I>(
  graph: JobGraph<I>,
  built: readonly (readonly Operator<never>[])[],
  node: number,
): Outputs<never> {
  const readers = (tag: string | undefined): Output<never>[] =>
    graph.nodes.flatMap(({ inputs }, consumer) =>
      inputs.flatMap((edge, input) => {
        if (edge.node !== node || edge.tag !== tag) return [];
        const operators = built[consumer] ?? [];
        const operator = operators[input] ?? operators[0];
        return operator === undefined ? [] : [operator];
      }),
    );
  const sides = new Map<string, Output<unknown> | undefined>();
  // Watermarks and idleness reach the readers of side outputs too: their windows wait for them.
  const tags = new Set(
    graph.nodes.flatMap(({ inputs }) =>
      inputs.flatMap((edge) => (edge.node === node && edge.tag !== undefined ? [edge.tag] : [])),
    ),
  );
  const behind = [...tags].flatMap((tag) => readers(tag));
  return {
    main: fanOut(readers(undefined), behind),
    side: (id) => {
      if (!sides.has(id)) {
        const found = readers(id);
        sides.set(id, found.length === 0 ? undefined : fanOut(found, []));
      }
      return sides.get(id);
    },
  };
}

/** @param behind - readers of side outputs: they get what the main output says about time. */
function fanOut(
  outputs: readonly Output<never>[],
  behind: readonly Output<never>[],
): Output<never> {
  const [only] = outputs;
  if (outputs.length === 1 && only !== undefined && behind.length === 0) return only;
  const all = [...outputs, ...behind];
  return {
    record: (value, eventTimeMs) => {
      for (const output of outputs) output.record(value, eventTimeMs);
    },
    watermark: (watermarkMs, scope) => {
      for (const output of all) output.watermark(watermarkMs, scope);
    },
    status: (idle) => {
      for (const output of all) output.status(idle);
    },
  };
}
