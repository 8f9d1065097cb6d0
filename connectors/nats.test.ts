import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { KeyGroupRange } from "../base/key-group.ts";
import { silentLog } from "../base/log.ts";
import { openNats } from "../jobs/nats.ts";
import { natsServers, startNats, type TestNats } from "../tests/support/nats.ts";
import { NatsSink } from "./nats-sink.ts";
import { NatsSource, SourcePositionLostError } from "./nats-source.ts";

let server: TestNats;
let connection: NatsConnection;

const servers = await natsServers();

function source(keyGroups?: KeyGroupRange, of = connection): NatsSource<number> {
  return new NatsSource<number>({
    connection: of,
    stream: "NUMBERS",
    subject: "numbers.>",
    decode: (message) => Number(message.string()),
    keyGroupOf: (subject) => Number(subject.split(".")[1]),
    ...(keyGroups && { keyGroups, subjectOf: (group: number) => `numbers.${String(group)}` }),
    traceparentHeader: "traceparent",
    log: silentLog,
  });
}

function sink(subjectOf = (_value: number): string => "numbers.5"): NatsSink<number> {
  return new NatsSink<number>({
    uid: "numbers",
    connection,
    job: "test",
    traceparentHeader: "traceparent",
    log: silentLog,
    encode: (value) => ({ subject: subjectOf(value), data: Buffer.from(String(value)) }),
  });
}

const position = (index: number) => ({ keyGroup: 5, inputSequence: 1, index });

async function write(from: number, to: number, into: NatsSink<number>): Promise<void> {
  for (let value = from; value < to; value += 1) {
    into.write(value, position(value), "");
    await into.blocked();
  }
}

async function read(count: number, from: NatsSource<number>): Promise<number[]> {
  const values: number[] = [];
  for (let idle = 0; values.length < count && idle < 100; idle += 1) {
    const records = await from.poll(64, 200);
    if (records.length > 0) idle = 0;
    values.push(...records.map((record) => record.value));
  }
  return values;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);

describe.each(servers)("against $name", ({ binary }) => {
  beforeEach(async () => {
    server = await startNats(binary);
    connection = await openNats(server.url, { name: "test" });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: "NUMBERS", subjects: ["numbers.>"] });
  });

  afterEach(async () => {
    await connection.close();
    await server.stop();
  });

  test("everything that was written is read once and in order, also across a kill of the server", async () => {
    const output = sink();
    await output.open(1);
    const input = source();
    await input.open(undefined);
    const reading = read(4000, input);
    await write(0, 1500, output);
    await server.restart();
    await write(1500, 4000, output);
    await output.flush();
    expect(await reading).toEqual(range(0, 4000));
    await input.close();
    await output.close();
  }, 30_000);

  test("outputs written while the server is away are stored behind those that were under way", async () => {
    const output = sink();
    await output.open(1);
    for (let round = 0; round < 5; round += 1) {
      const from = round * 200;
      await write(from, from + 150, output);
      const restarted = server.restart();
      await write(from + 150, from + 200, output);
      await restarted;
    }
    await output.flush();
    const input = source();
    await input.open(undefined);
    expect(await read(1000, input)).toEqual(range(0, 1000));
    await input.close();
    await output.close();
  }, 60_000);

  test("a source goes on behind the position that it is given", async () => {
    const output = sink();
    await output.open(1);
    await write(0, 20, output);
    await output.flush();
    const first = source();
    await first.open(undefined);
    expect(await read(20, first)).toEqual(range(0, 20));
    const at = first.positionAt(12);
    await first.close();
    const second = source();
    await second.open(at);
    const records = await second.poll(64, 500);
    expect(records[0]).toMatchObject({ value: 12, sequence: 13, keyGroup: 5, traceparent: "" });
    await second.close();
    await output.close();
  });

  test("an output that is written again at the same position is stored once", async () => {
    const output = sink();
    await output.open(1);
    await write(0, 10, output);
    await write(5, 15, output);
    await output.flush();
    const manager = await jetstreamManager(connection);
    const { state } = await manager.streams.info("NUMBERS");
    expect(state.messages).toBe(15);
    await output.close();
  });

  test("a position that retention has passed is an error that says so", async () => {
    const output = sink();
    await output.open(1);
    await write(0, 30, output);
    await output.flush();
    const input = source();
    await input.open(undefined);
    const at = input.positionAt(3);
    await input.close();
    const manager = await jetstreamManager(connection);
    await manager.streams.purge("NUMBERS", { seq: 10 });
    await expect(source().open(at)).rejects.toThrow(/retention has passed it/);
    await output.close();
  });

  test("a stream that was made anew is an error, not a silent start from its beginning", async () => {
    const input = source();
    await input.open(undefined);
    const at = input.positionAt(3);
    await input.close();
    const manager = await jetstreamManager(connection);
    await manager.streams.delete("NUMBERS");
    await manager.streams.add({ name: "NUMBERS", subjects: ["numbers.>"] });
    await expect(source().open(at)).rejects.toThrow(SourcePositionLostError);
  });

  test("a source of some key groups reads theirs alone, also across a restart of the server", async () => {
    const output = sink((value) => `numbers.${String(value % 8)}`);
    await output.open(1);
    const mine = (from: number, to: number): number[] =>
      range(from, to).filter((value) => value % 8 >= 2 && value % 8 <= 4);
    const input = source({ first: 2, last: 4 });
    await input.open(undefined);
    await write(0, 40, output);
    await output.flush();
    expect(await read(15, input)).toEqual(mine(0, 40));
    // Consumers know their filters: what the server sends is what this source is to get.
    const manager = await jetstreamManager(connection);
    const filters = (await manager.consumers.list("NUMBERS").next()).map(
      ({ config }) => config.filter_subjects ?? config.filter_subject,
    );
    const severalFilters = !(connection.info?.version ?? "").startsWith("2.9.");
    expect(filters).toEqual(
      severalFilters ? [["numbers.2", "numbers.3", "numbers.4"]] : ["numbers.>"],
    );
    await server.restart();
    await write(40, 80, output);
    await output.flush();
    expect(await read(15, input)).toEqual(mine(40, 80));
    const at = input.positionAt(60);
    await input.close();
    const second = source({ first: 2, last: 4 });
    await second.open(at);
    expect(await read(6, second)).toEqual(mine(60, 80));
    await second.close();
    await output.close();
  }, 30_000);

  test("a source whose connection is closed under it fails by its poll", async () => {
    const own = await openNats(server.url, { name: "closed" });
    const input = source(undefined, own);
    await input.open(undefined);
    await own.close();
    await expect
      .poll(async () => input.poll(64, 10).catch(String), { timeout: 10_000 })
      .toMatch(/closed connection/);
    await input.close();
  }, 15_000);
});
