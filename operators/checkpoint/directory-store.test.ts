import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLog } from "../../base/log.ts";
import { CorruptSnapshotError, DirectoryStore } from "./directory-store.ts";
import type { Snapshot } from "./snapshot.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "courtside-store-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const bytes = (text: string): Uint8Array => Buffer.from(text);

function snapshot(checkpointId: number, changed: Record<number, string>): Snapshot {
  return {
    job: "insight",
    checkpointId,
    epoch: 4,
    createdTimeMs: 1000 + checkpointId,
    keyGroups: 128,
    positions: [],
    changed: new Map(Object.entries(changed).map(([group, text]) => [Number(group), bytes(text)])),
    descriptors: [],
    sealed: new Map([
      [
        "rows",
        [{ table: "plays", token: `t${String(checkpointId)}`, rows: 2, bytes: bytes("{}\n{}\n") }],
      ],
    ]),
  };
}

const open = (): DirectoryStore => new DirectoryStore(directory, silentLog);

async function texts(): Promise<Record<number, string>> {
  const restored = await open().latest();
  const entries = [...(restored?.states ?? [])].map(
    ([group, state]) => [group, Buffer.from(state).toString()] as const,
  );
  return Object.fromEntries(entries);
}

test("an empty directory has no snapshot", async () => {
  expect(await open().latest()).toBeUndefined();
});

test("a restore finds changed groups as they are now and the others as they were", async () => {
  const store = open();
  await store.write(snapshot(1, { 3: "three", 7: "seven" }));
  await store.write(snapshot(2, { 7: "seven again" }));
  expect(await texts()).toEqual({ 3: "three", 7: "seven again" });
  const restored = await open().latest();
  expect(restored).toMatchObject({
    job: "insight",
    checkpointId: 2,
    epoch: 4,
    createdTimeMs: 1002,
  });
  const [block] = restored?.sealed.get("rows") ?? [];
  expect(block).toMatchObject({ table: "plays", token: "t2", rows: 2 });
});

test("a store that was opened again keeps what the old one wrote", async () => {
  await open().write(snapshot(1, { 3: "three" }));
  const second = open();
  await second.latest();
  await second.write(snapshot(2, { 9: "nine" }));
  expect(await texts()).toEqual({ 3: "three", 9: "nine" });
});

test("old snapshots are dropped, segments that are still pointed into are kept", async () => {
  const store = open();
  for (let id = 1; id <= 10; id += 1)
    await store.write(snapshot(id, id === 2 ? { 1: "old and quiet" } : { 2: `now ${String(id)}` }));
  const names = await readdir(directory);
  expect(names.filter((name) => name.endsWith(".manifest"))).toHaveLength(3);
  expect(names).toContain("0000000002.segment");
  expect(await texts()).toEqual({ 1: "old and quiet", 2: "now 10" });
});

test.each([
  ["a truncated manifest", async () => truncate(join(directory, "0000000002.manifest"), 40)],
  ["a changed segment", async () => writeFile(join(directory, "0000000002.segment"), "other")],
  ["a missing segment", async () => rm(join(directory, "0000000002.segment"))],
  ["a longer manifest", async () => appendFile(join(directory, "0000000002.manifest"), "x")],
])("%s falls back to the snapshot before", async (_what, damage) => {
  const store = open();
  await store.write(snapshot(1, { 3: "three" }));
  await store.write(snapshot(2, { 3: "changed" }));
  await damage();
  expect(await texts()).toEqual({ 3: "three" });
});

test("when no snapshot is whole, the store says so instead of starting from nothing", async () => {
  await open().write(snapshot(1, { 3: "three" }));
  await rm(join(directory, "0000000001.segment"));
  await expect(open().latest()).rejects.toThrow(CorruptSnapshotError);
});

test("a half-written file of a crash is not seen and is swept by the next snapshot", async () => {
  await open().write(snapshot(1, { 3: "three" }));
  await writeFile(join(directory, "0000000002.segment.tmp"), "half");
  await writeFile(join(directory, "0000000002.segment"), "orphan without a manifest");
  const store = open();
  await store.latest();
  await store.write(snapshot(3, { 4: "four" }));
  expect(await readdir(directory)).not.toContain("0000000002.segment");
  expect(await readdir(directory)).not.toContain("0000000002.segment.tmp");
  expect((await readFile(join(directory, "0000000003.segment"))).length).toBeGreaterThan(0);
});
