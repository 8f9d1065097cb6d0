import { expect, test } from "vitest";
import { silentLog } from "../../base/log.ts";
import {
  type BlobStore,
  CorruptSnapshotError,
  FencedError,
  type HeadStore,
  type Opened,
  RegionStore,
  type Snapshot,
} from "../../operators/mod.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (found: Uint8Array | undefined): string | undefined =>
  found === undefined ? undefined : Buffer.from(found).toString();

/** A place that is empty at first, with a head for a region. */
export interface StoreUnderTest {
  readonly blobs: BlobStore;
  readonly head: HeadStore;
}

/** A snapshot with the given changes and one block of rows. */
function snapshot(checkpointId: number, changed: Record<number, string>): Snapshot {
  const groups = Object.entries(changed).map(
    ([group, value]) => [Number(group), bytes(value)] as const,
  );
  const block = {
    table: "plays",
    token: `t${String(checkpointId)}`,
    rows: 2,
    bytes: bytes("{}\n{}\n"),
  };
  return {
    job: "insight",
    checkpointId,
    createdTimeMs: 1000 + checkpointId,
    keyGroups: 128,
    positions: [],
    changed: new Map([["", new Map(groups)]]),
    descriptors: [],
    sealed: new Map([["rows", [block]]]),
    frontiers: [],
    edges: [],
  };
}

function textsOf(opened: Opened): Record<number, string> {
  const states = opened.restored?.states.get("") ?? new Map<number, Uint8Array>();
  return Object.fromEntries([...states].map(([group, state]) => [group, text(state) ?? ""]));
}

/** What every place for snapshots must do. */
export function describeBlobStore(make: () => Promise<StoreUnderTest> | StoreUnderTest): void {
  const region = ({ blobs, head }: StoreUnderTest, owner = "one"): RegionStore =>
    new RegionStore({ blobs, head, job: "insight", region: "r0", owner, log: silentLog });

  const reopened = async (place: StoreUnderTest): Promise<Opened> => region(place).open();

  test("a blob comes back as it was, in parts or whole, and is gone when it is removed", async () => {
    const { blobs } = await make();
    const big = Buffer.alloc(3_000_000, "0123456789");
    await blobs.put("a/big", [big.subarray(0, 1_000_001), big.subarray(1_000_001)]);
    await blobs.put("a/none", []);
    expect(Buffer.from((await blobs.get("a/big")) ?? []).equals(big)).toBe(true);
    expect(text(await blobs.get("a/none"))).toBe("");
    expect(await blobs.get("a/other")).toBeUndefined();
    expect((await blobs.list("a/")).toSorted()).toEqual(["a/big", "a/none"]);
    expect(await blobs.list("b/")).toEqual([]);
    await blobs.remove("a/big");
    await blobs.remove("a/big");
    expect(await blobs.get("a/big")).toBeUndefined();
    expect(await blobs.list("a/")).toEqual(["a/none"]);
  });

  test("a restore finds changed groups as they are now and the others as they were", async () => {
    const place = await make();
    const store = region(place);
    expect(await store.open()).toMatchObject({ epoch: 1, restored: undefined, lost: [] });
    await store.write(snapshot(1, { 3: "three", 7: "seven" }));
    await store.write(snapshot(2, { 7: "seven again" }));
    const opened = await reopened(place);
    expect(textsOf(opened)).toEqual({ 3: "three", 7: "seven again" });
    expect(opened).toMatchObject({ epoch: 2, lastCheckpointId: 2 });
    expect(opened.restored).toMatchObject({ job: "insight", checkpointId: 2, createdTimeMs: 1002 });
    const [block] = opened.restored?.sealed.get("rows") ?? [];
    expect(block).toMatchObject({ table: "plays", token: "t2", rows: 2 });
  });

  test("old snapshots are dropped, segments that are still pointed into are kept", async () => {
    const place = await make();
    const store = region(place);
    await store.open();
    for (let id = 1; id <= 8; id += 1)
      await store.write(
        snapshot(id, id === 2 ? { 1: "old and quiet" } : { 2: `now ${String(id)}` }),
      );
    const names = await place.blobs.list("r0/");
    expect(names.filter((name) => name.endsWith(".manifest"))).toHaveLength(3);
    expect(names).toContain("r0/0000000002-1.segment");
    expect(names).not.toContain("r0/0000000003-1.segment");
    expect(textsOf(await reopened(place))).toEqual({ 1: "old and quiet", 2: "now 8" });
  });

  test.each([
    ["a truncated manifest", "manifest", bytes("half")],
    ["a changed segment", "segment", bytes("other bytes than those that were written")],
    ["a truncated segment", "segment", bytes("ch")],
    ["a missing manifest", "manifest", undefined],
    ["a missing segment", "segment", undefined],
  ])("%s falls back to the snapshot before and says what was lost", async (_what, part, damage) => {
    const place = await make();
    const store = region(place);
    await store.open();
    await store.write(snapshot(1, { 3: "three" }));
    await store.write(snapshot(2, { 3: "changed" }));
    const name = `r0/0000000002-1.${part}`;
    await place.blobs.remove(name);
    if (damage !== undefined) await place.blobs.put(name, [damage]);
    const opened = await reopened(place);
    expect(textsOf(opened)).toEqual({ 3: "three" });
    expect(opened.lost).toMatchObject([{ checkpointId: 2 }]);
    expect(opened.lastCheckpointId).toBe(2);
  });

  test("when no snapshot is whole, or the place is another one, it says so", async () => {
    const place = await make();
    const store = region(place);
    await store.open();
    await store.write(snapshot(1, { 3: "three" }));
    await place.blobs.remove("r0/0000000001-1.segment");
    await expect(reopened(place)).rejects.toThrow(CorruptSnapshotError);
    await place.blobs.remove("r0/0000000001-1.manifest");
    await expect(reopened(place)).rejects.toThrow(/name the store that the job was started with/);
  });

  test("a worker that was overtaken cannot commit, and cannot harm its successor's blobs", async () => {
    const place = await make();
    const zombie = region(place, "zombie");
    await zombie.open();
    await zombie.write(snapshot(1, { 3: "three" }));
    const successor = region(place, "successor");
    expect(await successor.open()).toMatchObject({ epoch: 2 });
    await successor.write(snapshot(2, { 3: "of the successor" }));
    await expect(zombie.write(snapshot(2, { 3: "of the zombie" }))).rejects.toThrow(FencedError);
    await successor.write(snapshot(3, { 4: "four" }));
    expect(textsOf(await reopened(place))).toEqual({ 3: "of the successor", 4: "four" });
  });

  test("what a crash left without a commit is swept by the next owner", async () => {
    const place = await make();
    const crashed = region(place);
    await crashed.open();
    await crashed.write(snapshot(1, { 3: "three" }));
    await place.blobs.put("r0/0000000002-1.segment", [bytes("orphan")]);
    const next = region(place);
    await next.open();
    await next.write(snapshot(2, { 4: "four" }));
    expect(await place.blobs.list("r0/")).not.toContain("r0/0000000002-1.segment");
    expect(textsOf(await reopened(place))).toEqual({ 3: "three", 4: "four" });
  });
}
