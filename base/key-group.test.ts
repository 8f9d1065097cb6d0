import { expect, test } from "vitest";
import { defaultKeyGroups, keyGroupRange, taskOfKeyGroup } from "./key-group.ts";

test("ranges are contiguous, cover all groups, and routing agrees with them", () => {
  for (const keyGroups of [1, 7, 13, 128, 255])
    for (let parallelism = 1; parallelism <= keyGroups; parallelism += 1) {
      let next = 0;
      for (let index = 0; index < parallelism; index += 1) {
        const { first, last } = keyGroupRange(keyGroups, parallelism, index);
        expect(first).toBe(next);
        for (let group = first; group <= last; group += 1)
          if (taskOfKeyGroup(group, keyGroups, parallelism) !== index)
            expect.fail(`group ${String(group)} of ${String(keyGroups)}/${String(parallelism)}`);
        next = last + 1;
      }
      expect(next).toBe(keyGroups);
    }
});

test("a job gets room to grow by half, within 128 and 32768 groups", () => {
  expect([1, 80, 86, 200, 32768].map(defaultKeyGroups)).toEqual([128, 128, 256, 512, 32768]);
});

test("a parallelism above the key groups is refused", () => {
  expect(() => keyGroupRange(4, 5, 0)).toThrow(/parallelism/);
});
