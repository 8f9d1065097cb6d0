import assert from "node:assert/strict";
import { fnv1a } from "./random.ts";

/** Units of state that move between tasks; part of a savepoint, so never changed for a running job. */
export const DEFAULT_KEY_GROUPS = 128;

/** The key group of a key: FNV-1a modulo the number of groups, as the broker's `partition()` does it. */
export function keyGroupOf(key: string, keyGroups: number = DEFAULT_KEY_GROUPS): number {
  assert(Number.isInteger(keyGroups) && keyGroups > 0, "key groups must be a positive integer");
  return fnv1a(key) % keyGroups;
}
