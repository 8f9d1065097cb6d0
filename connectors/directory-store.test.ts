import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FencedError, StoreError } from "../operators/mod.ts";
import { describeBlobStore } from "../tests/support/blob-store-contract.ts";
import { DirectoryBlobs, DirectoryHead } from "./directory-store.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "courtside-store-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

describeBlobStore(() => ({
  blobs: new DirectoryBlobs(join(directory, "blobs")),
  head: new DirectoryHead(join(directory, "head")),
}));

test("of many that swap the same revision one wins", async () => {
  const revisions = await Promise.allSettled(
    Array.from({ length: 8 }, async (_, i) =>
      new DirectoryHead(join(directory, "head")).swap(0, Buffer.from(String(i))),
    ),
  );
  expect(revisions.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("one that is far behind does not win with a number that was used and removed", async () => {
  const head = new DirectoryHead(join(directory, "head"));
  let revision = 0;
  for (let i = 0; i < 5; i += 1) revision = await head.swap(revision, Buffer.from(String(i)));
  await expect(
    new DirectoryHead(join(directory, "head")).swap(1, Buffer.from("late")),
  ).rejects.toThrow(FencedError);
  expect(Buffer.from((await head.read()).bytes ?? []).toString()).toBe("4");
});

test("a place that is no directory is an error that says what to do", async () => {
  await writeFile(join(directory, "file"), "");
  const blobs = new DirectoryBlobs(join(directory, "file"));
  await expect(blobs.put("a/b", [])).rejects.toThrow(StoreError);
  await expect(blobs.put("a/b", [])).rejects.toThrow(/name another place with --data/);
});

test.skipIf(process.getuid?.() === 0)(
  "a place without rights is an error that says so",
  async () => {
    await chmod(directory, 0o500);
    await expect(new DirectoryBlobs(directory).put("a", [])).rejects.toThrow(/has no rights there/);
    await chmod(directory, 0o700);
    expect(await readdir(directory)).toEqual([]);
  },
);
