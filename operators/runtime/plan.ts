import { ManualClock } from "../../base/clock.ts";
import { noTracing } from "../../base/tracing.ts";
import { descriptorsOf } from "./chain-state.ts";
import { buildChain, type JobGraph } from "./graph.ts";

/** One operator of a physical plan. */
export interface PlanNode {
  readonly uid: string;
  readonly kind: string;
  /** Windows, trigger, mode. */
  readonly detail: string;
  /** Uids that it reads, with the side output where it is one: `game:dead-letters`. */
  readonly inputs: readonly string[];
  /** States as they are in a snapshot. */
  readonly states: readonly {
    readonly name: string;
    readonly kind: string;
    readonly type: string;
  }[];
}

/** What a task of a job runs: one chain of operators over a range of key groups. */
export interface PhysicalPlan {
  readonly job: string;
  readonly keyGroups: number;
  readonly nodes: readonly PlanNode[];
}

/** The plan of a graph as plain JSON. @throws GraphError when the graph is not valid. */
export function planOf<I>(graph: JobGraph<I>): PhysicalPlan {
  const chain = buildChain(graph, {
    job: graph.name,
    keyGroups: graph.keyGroups,
    clock: new ManualClock(),
    tracing: noTracing,
    origin: { keyGroup: -1, sequence: 0, traceparent: "", outputs: 0 },
    markDirty: () => {},
    fail: () => {},
  });
  const states = descriptorsOf(chain.operators);
  const nodes = graph.nodes.map(({ uid, kind, detail, inputs }) => ({
    uid,
    kind,
    detail: detail ?? "",
    inputs: inputs.map(({ node, tag }) => {
      const from = graph.nodes[node]?.uid ?? "";
      return tag === undefined ? from : `${from}:${tag}`;
    }),
    states: states
      .filter(({ operatorUid }) => operatorUid === uid)
      .map(({ stateName: name, kind: stateKind, typeName }) => ({
        name,
        kind: stateKind,
        type: typeName,
      })),
  }));
  return { job: graph.name, keyGroups: graph.keyGroups, nodes };
}
