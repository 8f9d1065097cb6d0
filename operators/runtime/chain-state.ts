import { fromBinary } from "@bufbuild/protobuf";
import {
  KeyGroupStateSchema,
  type StateDescriptor,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import { ByteWriter } from "../state/byte-writer.ts";
import type { Operator } from "./operator.ts";

type Operators = readonly Operator<unknown>[];

/** State of one key group over all operators, as bytes of a `KeyGroupState`. */
export function encodeKeyGroup(operators: Operators, keyGroup: number): Uint8Array {
  const out = new ByteWriter();
  out.integer(1, keyGroup);
  for (const { state } of operators) {
    const bytes = state?.snapshot(keyGroup);
    if (bytes !== undefined) out.field(2, bytes);
  }
  return out.take();
}

export function restoreKeyGroups(
  operators: Operators,
  states: ReadonlyMap<number, Uint8Array>,
): void {
  for (const [keyGroup, bytes] of states)
    for (const state of fromBinary(KeyGroupStateSchema, bytes).operators)
      for (const operator of operators)
        if (operator.state?.uid === state.uid) operator.state.restore(keyGroup, state);
}

export function descriptorsOf(operators: Operators): StateDescriptor[] {
  return operators.flatMap(({ state }) => state?.descriptors() ?? []);
}
