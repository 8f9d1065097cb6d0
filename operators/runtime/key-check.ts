import { keyGroupOf } from "../../base/key-group.ts";
import { CourtsideError } from "../../base/errors.ts";
import type { OperatorContext } from "./operator.ts";

/** A record reached an operator under a key that belongs to another key group than its input message. */
export class KeyGroupMismatchError extends CourtsideError {
  override readonly code = "KEY_GROUP_MISMATCH";
  override readonly retryable = false;
}

/**
 * The key group of a record's key. A task holds whole key groups and tasks never talk to each other, so a
 * key of another group would put state where no restore looks for it.
 * @throws KeyGroupMismatchError when the key is not of the group that the input message came by.
 */
export function keyGroupOfRecord(uid: string, key: string, context: OperatorContext): number {
  const { keyGroup } = context.origin;
  if (keyGroupOf(key, context.keyGroups) !== keyGroup)
    throw new KeyGroupMismatchError(
      `operator ${uid}: key ${key} is not of key group ${String(keyGroup)}, by which its message came; ` +
        "publish by the same key, or repartition the stream by the new one",
    );
  return keyGroup;
}
