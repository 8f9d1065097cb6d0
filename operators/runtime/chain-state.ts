import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CourtsideError } from "../../base/errors.ts";
import {
  KeyGroupStateSchema,
  type StateDescriptor,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { Operator } from "./operator.ts";

/** A snapshot does not fit the job that wants to start from it. */
export class IncompatibleSnapshotError extends CourtsideError {
  override readonly code = "INCOMPATIBLE_SNAPSHOT";
  override readonly retryable = false;
}

type Operators = readonly Operator<unknown>[];

/** State of one key group over all operators, as bytes. */
export function encodeKeyGroup(operators: Operators, keyGroup: number): Uint8Array {
  const states = operators.flatMap(({ state }) => {
    const snapshot = state?.snapshot(keyGroup);
    return snapshot === undefined ? [] : [snapshot];
  });
  return toBinary(
    KeyGroupStateSchema,
    create(KeyGroupStateSchema, { keyGroup, operators: states }),
  );
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

/** @throws IncompatibleSnapshotError when a state is gone or has another kind or type, naming it. */
export function checkDescriptors(
  before: readonly StateDescriptor[],
  now: readonly StateDescriptor[],
  allowNonRestored = false,
): void {
  for (const old of before) {
    const same = now.find(
      (each) => each.operatorUid === old.operatorUid && each.stateName === old.stateName,
    );
    const name = `${old.operatorUid}.${old.stateName}`;
    if (same === undefined && allowNonRestored) continue;
    if (same === undefined)
      throw new IncompatibleSnapshotError(
        `the snapshot holds state ${name}, which the job does not have any more; ` +
          "give the operator its old uid, or leave the state behind with --allow-non-restored-state",
      );
    if (same.kind !== old.kind || same.typeName !== old.typeName)
      throw new IncompatibleSnapshotError(
        `state ${name} was ${old.kind} of ${old.typeName} and is ${same.kind} of ` +
          `${same.typeName} now; give the new state another name`,
      );
  }
}
