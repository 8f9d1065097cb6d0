import { checkStates } from "../runtime/check-states.ts";
import type { JobGraph } from "../runtime/graph.ts";
import type { Operator, OperatorContext, Outputs } from "../runtime/operator.ts";
import { type StateSpec, valueState } from "../state/keyed-state.ts";
import { canShareSlices, SlicedWindowOperator } from "./sliced-window-operator.ts";
import { WindowOperator } from "./window-operator.ts";
import type { WindowSpec } from "./window-spec.ts";

/** @throws GraphError when parts of the spec do not fit together, saying which and what to change. */
export function checkSpec<I, A, R, O, S extends StateSpec>(
  graph: JobGraph<unknown>,
  spec: WindowSpec<I, A, R, O, S>,
): void {
  const { uid, assigner, trigger, evictor, aggregate } = spec;
  const latenessMs = spec.allowedLatenessMs ?? 0;
  if (!(latenessMs >= 0))
    throw graph.error(`${uid}: allowed lateness ${String(latenessMs)} ms must not be negative`);
  if (latenessMs > 0 && assigner.time !== "event")
    throw graph.error(`${uid}: only event-time windows have late records; leave the lateness out`);
  if (assigner.merging && trigger !== undefined && trigger.onMerge === undefined)
    throw graph.error(
      `${uid}: windows of ${assigner.name} merge, and trigger ${trigger.name} cannot; ` +
        "use one with onMerge",
    );
  if (assigner.merging && evictor === undefined && aggregate.merge === undefined)
    throw graph.error(
      `${uid}: windows of ${assigner.name} merge; give the aggregate a merge function`,
    );
  checkStates(graph, uid, {
    contents: valueState(aggregate.codec),
    ...(evictor && { elements: valueState(evictor.codec) }),
    ...("state" in spec ? spec.state : {}),
  });
}

/** The operator for a spec: with shared slices where nobody could tell, else the general one. */
export function makeWindowOperator<I, A, R, O, S extends StateSpec>(
  spec: WindowSpec<I, A, R, O, S>,
  keyOf: (value: I) => string,
  context: OperatorContext,
  outputs: Outputs<O>,
): Operator<I> {
  return canShareSlices(spec)
    ? new SlicedWindowOperator(spec, keyOf, context, outputs)
    : new WindowOperator(spec, keyOf, context, outputs);
}
