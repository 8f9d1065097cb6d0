import { expect, test } from "vitest";
import { seededRandom } from "../../base/random.ts";
import { type Member, planFor } from "./assignment.ts";

/** Lets every worker act on the same view until nobody wants anything. */
function settle(members: Member[], regions: number): { members: Member[]; moves: number } {
  let now = members;
  let moves = 0;
  for (let round = 0; round < 20; round += 1) {
    const taken = new Set(now.flatMap((each) => each.regions));
    let changed = false;
    now = now.map((member) => {
      const { claim, shed } = planFor(member.id, now, regions);
      const won = claim.filter((region) => !taken.has(region));
      for (const region of won) taken.add(region);
      moves += shed.length;
      changed ||= won.length + shed.length > 0;
      return {
        id: member.id,
        regions: [...member.regions.filter((each) => !shed.includes(each)), ...won],
      };
    });
    if (!changed) break;
  }
  return { members: now, moves };
}

const sizes = (members: readonly Member[]): number[] =>
  members.map((each) => each.regions.length).toSorted((a, b) => a - b);

test("one worker takes all, a second gets half of them, and no more move than must", () => {
  const one = settle([{ id: "a", regions: [] }], 4);
  expect(sizes(one.members)).toEqual([4]);
  const two = settle([...one.members, { id: "b", regions: [] }], 4);
  expect(sizes(two.members)).toEqual([2, 2]);
  expect(two.moves).toBe(2);
});

test("four regions over three workers are two, one and one, and stay so", () => {
  const start = ["a", "b", "c"].map((id) => ({ id, regions: [] }));
  const { members } = settle(start, 4);
  expect(sizes(members)).toEqual([1, 1, 2]);
  expect(settle(members, 4).moves).toBe(0);
});

test("whatever workers come and go, every region is held once and shares differ by one at most", () => {
  const seed = Number(process.env["SEED"] ?? 3);
  const random = seededRandom(seed);
  let members: Member[] = [{ id: "w0", regions: [] }];
  for (let step = 1; step < 200; step += 1) {
    const regions = 16;
    if (members.length > 1 && random.next() < 0.4) members.splice(random.int(members.length), 1);
    else if (members.length < 20) members.push({ id: `w${String(step)}`, regions: [] });
    members = settle(members, regions).members;
    const held = members.flatMap((each) => each.regions).toSorted((a, b) => a - b);
    expect(held, `seed ${String(seed)}, step ${String(step)}`).toEqual(
      Array.from({ length: regions }, (_, i) => i),
    );
    expect(Math.max(...sizes(members)) - Math.min(...sizes(members))).toBeLessThanOrEqual(1);
  }
});
