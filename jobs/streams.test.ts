import { jetstreamManager, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startNats, type TestNats } from "../tests/support/nats.ts";
import { openNats, BrokerUnreachableError } from "./nats.ts";
import { ensureStreams, StreamMismatchError, StreamSetupError } from "./streams.ts";

let server: TestNats;

beforeAll(async () => {
  server = await startNats();
});

afterAll(async () => {
  await server.stop();
});

test("streams are created once and are found fitting the second time", async () => {
  const nc = await openNats(server.url, { name: "test" });
  await Promise.all([ensureStreams(nc), ensureStreams(nc)]);
  await ensureStreams(nc);
  const manager = await jetstreamManager(nc);
  const { config } = await manager.streams.info("PLAYS");
  expect(config).toMatchObject({ storage: "file", discard: "new", retention: "limits" });
  expect(config.duplicate_window).toBe(120e9);
  await nc.close();
});

test("a stream that would forget plays is refused by name and setting", async () => {
  const nc = await openNats(server.url, { name: "test" });
  await ensureStreams(nc);
  const manager = await jetstreamManager(nc);
  await manager.streams.delete("PLAYS");
  await manager.streams.add({
    name: "PLAYS",
    subjects: ["plays.>"],
    storage: StorageType.Memory,
    retention: RetentionPolicy.Limits,
  });
  await expect(ensureStreams(nc)).rejects.toThrow(
    /stream PLAYS exists with other settings: storage is memory, must be file/,
  );
  await expect(ensureStreams(nc)).rejects.toBeInstanceOf(StreamMismatchError);
  await manager.streams.delete("PLAYS");
  await nc.close();
});

test("a stream that does not fit on the disk is a clear error", async () => {
  const nc = await openNats(server.url, { name: "test" });
  const tooMuch = ensureStreams(nc, { playsMaxBytes: 2 ** 50 });
  await expect(tooMuch).rejects.toBeInstanceOf(StreamSetupError);
  await expect(tooMuch).rejects.toThrow(/does not create stream PLAYS/);
  await nc.close();
});

test("a broker that is not there is named together with the flag", async () => {
  const nobody = openNats("nats://127.0.0.1:1", { name: "test", waitMs: 100 });
  await expect(nobody).rejects.toBeInstanceOf(BrokerUnreachableError);
  await expect(nobody).rejects.toThrow(/nats:\/\/127\.0\.0\.1:1.*--nats-url/);
});
