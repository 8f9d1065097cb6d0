import type { Codec } from "../state/codec.ts";
import type { StateSpec } from "../state/keyed-state.ts";
import type { JobGraph } from "./graph.ts";

/** @throws GraphError when a state cannot be written down, naming it. */
export function checkStates(graph: JobGraph<unknown>, uid: string, spec: StateSpec): void {
  for (const [name, { codec }] of Object.entries(spec)) {
    const { typeName, encode, decode } = (codec ?? {}) as Partial<Codec<unknown>>;
    if (typeName === undefined || encode === undefined || decode === undefined)
      throw graph.error(
        `state ${name} of ${uid} cannot be written into a snapshot; declare it with a codec, for example ` +
          `valueState(protoCodec(MyMessageSchema))`,
      );
  }
}
