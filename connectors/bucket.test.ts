import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/nats-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openNats } from "../jobs/nats.ts";
import { FencedError } from "../operators/mod.ts";
import { describeBlobStore } from "../tests/support/blob-store-contract.ts";
import { natsServers, startNats, type TestNats } from "../tests/support/nats.ts";
import { Bucket } from "./bucket.ts";
import { DirectoryBlobs } from "./directory-store.ts";
import { JetStreamBlobs } from "./jetstream-blobs.ts";
import { WorkerGroup } from "./worker-group.ts";

let server: TestNats;
let connection: NatsConnection;
let folder = "";
let places = 0;

const servers = await natsServers();

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe.each(servers)("against $name", ({ binary }) => {
  beforeAll(async () => {
    server = await startNats(binary);
    connection = await openNats(server.url, { name: "test" });
    folder = await mkdtemp(join(tmpdir(), "courtside-bucket-"));
  });

  afterAll(async () => {
    await connection.close();
    await server.stop();
    await rm(folder, { recursive: true });
  });

  test("a swap needs the revision that is there, and one of many wins", async () => {
    const bucket = await Bucket.open(connection, "swaps");
    const first = await bucket.swap("a.b", 0, bytes("1"));
    expect(Buffer.from((await bucket.get("a.b"))?.bytes ?? []).toString()).toBe("1");
    const many = await Promise.allSettled(
      Array.from({ length: 8 }, async (_, i) =>
        bucket.swap("a.b", first, bytes(`of ${String(i)}`)),
      ),
    );
    expect(many.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await expect(bucket.swap("a.b", 0, bytes("2"))).rejects.toThrow(FencedError);
    expect(await bucket.get("a.c")).toBeUndefined();
    expect(await bucket.keys("a.")).toEqual(["a.b"]);
    await bucket.remove("a.b");
    expect(await bucket.get("a.b")).toBeUndefined();
  });

  test("a swap whose answer is lost with the server is done once", async () => {
    const bucket = await Bucket.open(connection, "restarts");
    let revision = await bucket.swap("head", 0, bytes("0"));
    for (let i = 1; i <= 3; i += 1) {
      const swapping = bucket.swap("head", revision, bytes(String(i)));
      await server.restart();
      revision = await swapping;
      const found = await bucket.get("head");
      expect(found?.revision).toBe(revision);
      expect(Buffer.from(found?.bytes ?? []).toString()).toBe(String(i));
    }
  }, 60_000);

  test("a worker that does not renew its key is gone after the lease, and knows it itself", async () => {
    const bucket = await Bucket.open(connection, "workers", { ttlMs: 600 });
    const [one, two] = [1, 2].map((time) => new WorkerGroup(bucket, "job", 600, time));
    if (one === undefined || two === undefined) throw new Error("two workers");
    await one.beat([0, 1], {});
    await two.beat([2], {});
    expect(new Set((await one.members()).flatMap(({ regions }) => regions))).toEqual(
      new Set([0, 1, 2]),
    );
    expect(two.isLive()).toBe(true);
    await expect
      .poll(
        async () => {
          await one.beat([0, 1], {});
          return (await one.members()).map(({ id }) => id);
        },
        { interval: 100, timeout: 5000 },
      )
      .toEqual([one.id]);
    expect(one.isLive()).toBe(true);
    expect(two.isLive()).toBe(false);
    await one.leave();
    expect(await two.members()).toEqual([]);
  });

  describe("snapshots in a directory with their heads in a bucket", () => {
    describeBlobStore(async () => {
      const bucket = await Bucket.open(connection, "heads");
      places += 1;
      const place = String(places);
      return { blobs: new DirectoryBlobs(join(folder, place)), head: bucket.head(`job.${place}`) };
    });
  });

  describe("snapshots in a JetStream Object Store with their heads in a bucket", () => {
    describeBlobStore(async () => {
      const bucket = await Bucket.open(connection, "heads");
      places += 1;
      const place = String(places);
      const blobs = await JetStreamBlobs.open(connection, `snapshots_${place}`, {
        maxBytes: 2 ** 25,
      });
      return { blobs, head: bucket.head(`job.${place}`) };
    });
  });
});
