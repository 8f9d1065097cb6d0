import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import { noTracing } from "../base/tracing.ts";
import { openNats } from "../jobs/nats.ts";
import {
  JobGraph,
  MemoryStore,
  Region,
  type SubtaskSpec,
  type TransactionalSink,
} from "../operators/mod.ts";
import { startNats, type TestNats } from "../tests/support/nats.ts";
import { MemorySource } from "./memory-source.ts";
import { type EdgeOptions, ensureEdgeStream, NatsEdgeSink } from "./nats-edge.ts";
import { NatsEdgeSource } from "./nats-edge-source.ts";

const KEY_GROUPS = 128;
const ORIGIN = { keyGroup: 0, sequence: 1, traceparent: "", outputs: 0 };
const PRODUCERS = ["a", "b"] as const;
let server: TestNats;
let connection: NatsConnection;

beforeEach(async () => {
  server = await startNats();
  connection = await openNats(server.url, { name: "test" });
  await ensureEdgeStream(connection, "EDGES", "edge.>");
});

afterEach(async () => {
  await connection.close();
  await server.stop();
});

function edge(): EdgeOptions {
  const subject = "edge.job.region.numbers";
  return { connection, stream: "EDGES", subject, traceparentHeader: "traceparent", log: silentLog };
}

function sink(producer: string): NatsEdgeSink<number> {
  return new NatsEdgeSink<number>({
    ...edge(),
    uid: "numbers",
    producer,
    partitions: 1,
    keyGroups: KEY_GROUPS,
    keyOf: () => "all",
    encode: (value) => Buffer.from(String(value)),
  });
}

function source(): NatsEdgeSource<number> {
  return new NatsEdgeSource<number>({
    ...edge(),
    task: "second/0",
    partition: 0,
    producers: PRODUCERS,
    decode: (bytes) => Number(Buffer.from(bytes).toString()),
  });
}

async function opened(): Promise<{
  a: NatsEdgeSink<number>;
  b: NatsEdgeSink<number>;
  input: NatsEdgeSource<number>;
  close: () => Promise<void>;
}> {
  const [a, b, input] = [sink("a"), sink("b"), source()];
  await a.open(1);
  await b.open(1);
  await input.open(undefined, { epoch: 1, edges: [] });
  const close = async (): Promise<void> => {
    for (const each of [a, b, input]) await each.close();
  };
  return { a, b, input, close };
}

/** Sends each value in a frame of its own. */
async function send(into: NatsEdgeSink<number>, values: readonly number[]): Promise<void> {
  for (const value of values) {
    into.write(value, 0, ORIGIN);
    into.flush();
    await into.blocked();
  }
}

/** Values and barriers, these as text, until the last one is there or nothing comes any more. */
async function read(from: NatsEdgeSource<number>, last: number | string) {
  const found: (number | string)[] = [];
  for (let idle = 0; idle < 50 && !found.includes(last); idle += 1)
    for (const element of await from.poll(256, 100)) {
      idle = 0;
      if ("value" in element) found.push(element.value);
      else if ("barrierId" in element) found.push(`barrier ${String(element.barrierId)}`);
    }
  return found;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);

test("removing what a checkpoint covers takes nothing from a reader that is behind", async () => {
  const { a, b, input, close } = await opened();
  await send(a, [1]);
  await send(b, [2]);
  await Promise.all([a.barrier(1), b.barrier(1)]);
  expect(await read(input, "barrier 1")).toEqual([1, 2, "barrier 1"]);
  // More than the reader asks for on its own: the rest lies in the stream while the checkpoint is committed.
  await send(b, range(10, 2010));
  await b.barrier(2);
  await a.forget(1);
  await b.forget(1);
  await a.barrier(2);
  expect(await read(input, "barrier 2")).toEqual([...range(10, 2010), "barrier 2"]);
  await close();
}, 30_000);

test("a reader goes on when a killed server numbers the emptied stream from 1 again", async () => {
  const { a, b, input, close } = await opened();
  await send(a, range(1, 51));
  await Promise.all([a.barrier(1), b.barrier(1)]);
  expect(await read(input, "barrier 1")).toEqual([...range(1, 51), "barrier 1"]);
  const manager = await jetstreamManager(connection);
  await manager.streams.purge("EDGES", { filter: "edge.>" });
  await server.restart();
  await send(a, [51]);
  await Promise.all([a.barrier(2), b.barrier(2)]);
  expect(await read(input, "barrier 2")).toEqual([51, "barrier 2"]);
  await close();
}, 30_000);

test("what is committed goes, but the stream is never empty", async () => {
  const { a, b, close } = await opened();
  const manager = await jetstreamManager(connection);
  for (const id of [1, 2, 3]) {
    await send(a, range(0, 20));
    await Promise.all([a.barrier(id), b.barrier(id)]);
    await a.forget(id);
    await b.forget(id);
    const { state } = await manager.streams.info("EDGES");
    expect(state.messages).toBe(2);
  }
  expect(a.full()).toBe(false);
  await close();
}, 30_000);

/** A table that takes every block once, by its token. */
class Table implements TransactionalSink<number> {
  readonly mode = "transactional";
  readonly uid = "table";
  readonly rows: number[];
  readonly #tokens: Set<string>;
  #open: number[] = [];

  constructor(rows: number[], tokens: Set<string>) {
    this.rows = rows;
    this.#tokens = tokens;
  }

  open = () => Promise.resolve();
  write = (value: number) => void this.#open.push(value);
  full = () => false;
  close = () => Promise.resolve();

  seal(checkpointId: number) {
    const rows = this.#open;
    this.#open = [];
    const bytes = Buffer.from(JSON.stringify(rows));
    return [{ table: "numbers", token: String(checkpointId), rows: rows.length, bytes }];
  }

  commit(blocks: readonly { readonly token: string; readonly bytes: Uint8Array }[]) {
    for (const { token, bytes } of blocks) {
      if (this.#tokens.has(token)) continue;
      this.#tokens.add(token);
      this.rows.push(...(JSON.parse(Buffer.from(bytes).toString()) as number[]));
    }
    return Promise.resolve();
  }
}

const LENGTHS = [1500, 4000];

/** Numbers in their order, a few a millisecond. */
async function* records(producer: number) {
  for (const n of range(1, (LENGTHS[producer] ?? 0) + 1)) {
    if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const value = producer * 10_000 + n;
    yield { value, eventTimeMs: n, keyGroup: producer, sequence: n, traceparent: "" };
  }
}

function first(producer: 0 | 1): SubtaskSpec<number> {
  const graph = new JobGraph<number>("job", { sourceHasTime: true });
  graph.source.map("same", (value) => value).sinkTo(sink(PRODUCERS[producer]));
  return {
    name: `first/${String(producer)}`,
    stage: "first",
    keyGroups: { first: producer * 64, last: producer * 64 + 63 },
    source: new MemorySource(records(producer)),
    graph,
  };
}

function twoStages(store: MemoryStore, table: Table, seen: (value: number) => void): Region {
  const graph = new JobGraph<number>("job", { sourceHasTime: true });
  graph.source
    .map("seen", (value) => {
      seen(value);
      return value;
    })
    .sinkTo(table);
  const keyGroups = { first: 0, last: KEY_GROUPS - 1 };
  const second = { name: "second/0", stage: "second", keyGroups, source: source(), graph };
  return new Region({
    job: "job",
    keyGroups: KEY_GROUPS,
    subtasks: [first(0), first(1), second],
    store,
    clock: systemClock,
    tracing: noTracing,
    log: silentLog,
    checkpointIntervalMs: 20,
  });
}

test("two stages make every row once across kills of the broker and failures in between", async () => {
  const store = new MemoryStore();
  const rows: number[] = [];
  const tokens = new Set<string>();
  let kills = 0;
  let runs = 0;
  for (let done = false; !done; runs += 1) {
    expect(runs).toBeLessThan(10);
    let passed = 0;
    let restarted: Promise<void> | undefined;
    const region = twoStages(store, new Table(rows, tokens), () => {
      passed += 1;
      if (passed === 600 && kills < 3) {
        kills += 1;
        restarted = server.restart();
      }
      if (passed === 1200 && runs < 2) throw new TypeError("died");
    });
    done = await region.run(new AbortController().signal).then(
      () => true,
      () => false,
    );
    await restarted;
  }
  expect(kills).toBeGreaterThan(1);
  const all = LENGTHS.flatMap((length, i) => range(1, length + 1).map((n) => i * 10_000 + n));
  expect(rows.toSorted((x, y) => x - y)).toEqual(all);
}, 90_000);
