import { create } from "@bufbuild/protobuf";
import { CourtsideError } from "../../base/errors.ts";
import {
  FieldShapeSchema,
  type StateDescriptor,
  StateDescriptorSchema,
} from "../../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { Codec } from "./codec.ts";

/** A snapshot does not fit the job that wants to start from it. */
export class IncompatibleSnapshotError extends CourtsideError {
  override readonly code = "INCOMPATIBLE_SNAPSHOT";
  override readonly retryable = false;
}

/** What a snapshot says about one state, so that a later version of the job can tell whether it can read it. */
export function describeState(
  operatorUid: string,
  stateName: string,
  kind: string,
  { typeName, fields }: Codec<unknown>,
): StateDescriptor {
  return create(StateDescriptorSchema, {
    operatorUid,
    stateName,
    kind,
    typeName,
    fields: (fields?.() ?? []).map((field) => create(FieldShapeSchema, field)),
  });
}

/**
 * Compares what a snapshot holds with what the job has now. Fields may come and go; one whose number now
 * has another type, or whose name has another number, would be read as something else.
 * @param allowNonRestored - state that the job does not have any more is left behind instead of refused.
 * @throws IncompatibleSnapshotError naming the state, and the field.
 */
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
    if (same === undefined) {
      if (allowNonRestored) continue;
      throw new IncompatibleSnapshotError(
        `the snapshot holds state ${name}, which the job does not have any more; give the operator its ` +
          "old uid, or leave the state behind with --allow-non-restored-state",
      );
    }
    if (same.kind !== old.kind || same.typeName !== old.typeName)
      throw new IncompatibleSnapshotError(
        `state ${name} was ${old.kind} of ${old.typeName} and is ${same.kind} of ` +
          `${same.typeName} now; give the new state another name`,
      );
    checkFields(name, old, same);
  }
}

function checkFields(name: string, old: StateDescriptor, now: StateDescriptor): void {
  for (const field of old.fields) {
    const inMessage = now.fields.filter(({ message }) => message === field.message);
    const byNumber = inMessage.find(({ number }) => number === field.number);
    const byName = inMessage.find((each) => each.name === field.name);
    const label = `${field.message}.${field.name}`;
    if (byNumber !== undefined && wireType(byNumber.type) !== wireType(field.type))
      throw new IncompatibleSnapshotError(
        `state ${name}: field ${label} (number ${String(field.number)}) was ${field.type}, and number ` +
          `${String(field.number)} is ${byNumber.name} of type ${byNumber.type} now; ` +
          "give the new field a number that was never used",
      );
    if (byName !== undefined && byName.number !== field.number)
      throw new IncompatibleSnapshotError(
        `state ${name}: field ${label} had number ${String(field.number)} and has ` +
          `${String(byName.number)} now; give it its old number back`,
      );
  }
}

/** Types that read each other's bytes, by the rules of Protobuf. */
const COMPATIBLE: readonly (readonly string[])[] = [
  ["int32", "uint32", "int64", "uint64", "bool"],
  ["sint32", "sint64"],
  ["fixed32", "sfixed32"],
  ["fixed64", "sfixed64"],
];

function wireType(type: string): string {
  const label = type.startsWith("repeated ") ? "repeated " : "";
  const inner = type.slice(label.length);
  return label + (COMPATIBLE.find((types) => types.includes(inner))?.[0] ?? inner);
}
