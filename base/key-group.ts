import assert from "node:assert/strict";
import { fnv1a } from "./random.ts";

/** Units of state that move between tasks; part of a savepoint, so never changed for a running job. */
export const DEFAULT_KEY_GROUPS = 128;
/** More key groups than this cost more bookkeeping than any job has tasks to fill. */
const MAX_KEY_GROUPS = 32_768;

/** The key group of a key: FNV-1a modulo the number of groups, as the broker's `partition()` does it. */
export function keyGroupOf(key: string, keyGroups: number = DEFAULT_KEY_GROUPS): number {
  assert(Number.isInteger(keyGroups) && keyGroups > 0, "key groups must be a positive integer");
  return fnv1a(key) % keyGroups;
}

/** Consecutive key groups, both ends included. */
export interface KeyGroupRange {
  readonly first: number;
  readonly last: number;
}

/** The key groups of task `index` of `parallelism`: contiguous, disjoint, as even as they can be. */
export function keyGroupRange(
  keyGroups: number,
  parallelism: number,
  index: number,
): KeyGroupRange {
  assert(parallelism > 0 && parallelism <= keyGroups, "parallelism must be in 1..key groups");
  assert(index >= 0 && index < parallelism, "a task's index must be below the parallelism");
  return {
    first: Math.ceil((index * keyGroups) / parallelism),
    last: Math.ceil(((index + 1) * keyGroups) / parallelism) - 1,
  };
}

/** Index of the task that holds a key group; agrees with `keyGroupRange`. */
export function taskOfKeyGroup(keyGroup: number, keyGroups: number, parallelism: number): number {
  return Math.floor((keyGroup * parallelism) / keyGroups);
}

/** Key groups for a job that starts at this parallelism: room to grow by half, a power of two, at least 128. */
export function defaultKeyGroups(parallelism: number): number {
  assert(Number.isInteger(parallelism) && parallelism > 0, "parallelism must be positive");
  const wanted = parallelism + Math.floor(parallelism / 2);
  const rounded = 2 ** Math.ceil(Math.log2(wanted));
  return Math.min(Math.max(rounded, DEFAULT_KEY_GROUPS), MAX_KEY_GROUPS);
}
