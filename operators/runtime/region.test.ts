import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { silentLog } from "../../base/log.ts";
import { noTracing } from "../../base/tracing.ts";
import { directoryStore } from "../../connectors/directory-store.ts";
import { MemorySource } from "../../connectors/memory-source.ts";
import { JobGraph, poisonTag } from "./graph.ts";
import { Quarantine } from "./quarantine.ts";
import { Region } from "./region.ts";
import type { TransactionalSink } from "./sink.ts";
import { RecordError } from "./subtask.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "courtside-region-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** A table that refuses a block with a token that it has. */
class Table {
  readonly rows: string[] = [];
  readonly #tokens = new Set<string>();
  /** Blocks that still arrive before the process "dies". */
  blocksLeft = Number.POSITIVE_INFINITY;

  sink(uid: string): TransactionalSink<string> {
    let open: string[] = [];
    return {
      mode: "transactional",
      uid,
      open: () => Promise.resolve(),
      write: (value) => void open.push(value),
      full: () => false,
      seal: (checkpointId) => {
        const rows = open;
        open = [];
        const token = `${uid}/${String(checkpointId)}`;
        const bytes = Buffer.from(rows.join("\n"));
        return rows.length === 0 ? [] : [{ table: uid, token, rows: rows.length, bytes }];
      },
      commit: (blocks) => {
        for (const { token, bytes } of blocks) {
          if (this.blocksLeft <= 0) return Promise.reject(new Error("died"));
          this.blocksLeft -= 1;
          if (this.#tokens.has(token)) continue;
          this.#tokens.add(token);
          this.rows.push(...Buffer.from(bytes).toString().split("\n"));
        }
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
  }
}

const NUMBERS = 400;
const numbers = Array.from({ length: NUMBERS }, (_, i) => i + 1);

/** Some records come slowly, so that there are several checkpoints. */
async function* records() {
  for (const sequence of numbers) {
    if (sequence % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
    const key = String(sequence % 7);
    yield { value: [sequence], keyGroup: keyGroupOf(key), sequence, traceparent: "" };
  }
}

function region(
  table: Table,
  onRecord: (value: number) => void = () => {},
  quarantine?: Quarantine,
): Region {
  const graph = new JobGraph<number[]>("numbers");
  graph.isolate = (values) => values.map((value) => [value]);
  graph.source
    .flatMap<string>("texts", (values, emit) => {
      for (const value of values) {
        onRecord(value);
        emit(String(value));
      }
    })
    .sinkTo(table.sink("rows"));
  graph.source
    .side(poisonTag<number[]>())
    .flatMap<string>("left-out", ({ value, reason }, emit) => emit(`${String(value)}: ${reason}`))
    .sinkTo(table.sink("letters"));
  return new Region({
    job: "numbers",
    keyGroups: graph.keyGroups,
    subtasks: [
      {
        name: "task",
        stage: "",
        graph,
        source: new MemorySource(records()),
        keyGroups: { first: 0, last: graph.keyGroups - 1 },
      },
    ],
    store: directoryStore(directory, "numbers", silentLog),
    clock: systemClock,
    tracing: noTracing,
    log: silentLog,
    checkpointIntervalMs: 1,
    ...(quarantine && { quarantine }),
  });
}

const never = new AbortController().signal;

test.each([0, 1, 2])(
  "when the newest snapshot is damaged after %i blocks, every row is still there once",
  async (blocks) => {
    const table = new Table();
    table.blocksLeft = blocks;
    await expect(region(table).run(never)).rejects.toThrow("died");
    const manifests = (await readdir(join(directory, "all")))
      .filter((name) => name.endsWith(".manifest"))
      .toSorted();
    const newest = manifests.at(-1) ?? "";
    table.blocksLeft = Number.POSITIVE_INFINITY;
    if (manifests.length > 1) await writeFile(join(directory, "all", newest), "damaged");
    await region(table).run(never);
    expect(table.rows.toSorted()).toEqual(numbers.map(String).toSorted());
  },
);

test("a record that fails is tried as often as is allowed, then left out alone and told", async () => {
  const table = new Table();
  const quarantine = new Quarantine(3);
  let tries = 0;
  const fail = (value: number): void => {
    if (value !== 113) return;
    tries += 1;
    throw new TypeError("unlucky");
  };
  for (let run = 0; ; run += 1) {
    expect(run).toBeLessThan(10);
    const error = await region(table, fail, quarantine)
      .run(never)
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    if (error === undefined) break;
    expect(error).toBeInstanceOf(RecordError);
    if (error instanceof RecordError) quarantine.note(error);
  }
  expect(tries).toBe(4);
  const told = "113: message 113 of key group";
  expect(table.rows.filter((row) => row.startsWith(told))).toHaveLength(1);
  const texts = table.rows.filter((row) => !row.startsWith(told));
  expect(texts.toSorted()).toEqual(
    numbers
      .filter((n) => n !== 113)
      .map(String)
      .toSorted(),
  );
});

test("a forced checkpoint is taken although nothing has changed", async () => {
  const table = new Table();
  const stop = new AbortController();
  const running = region(table).run(stop.signal);
  await running;
  const again = region(table);
  const ended = again.run(stop.signal);
  await expect(Promise.race([again.checkpoint(), ended])).resolves.toBeUndefined();
  await ended;
});

test("checkpoints go on when one of several sources has ended, and while another waits for one", async () => {
  const table = new Table();
  const committed: number[] = [];
  const subtask = (stage: string, values: readonly number[], full: () => boolean) => {
    const graph = new JobGraph<number[]>("numbers");
    graph.source
      .flatMap<string>("texts", ([value], emit) => emit(String(value)))
      .sinkTo({ ...table.sink(stage), full });
    const paced = async function* () {
      for await (const record of records())
        if (values.includes(record.sequence)) yield { ...record, keyGroup: 0 };
    };
    const keyGroups = { first: 0, last: graph.keyGroups - 1 };
    return { name: `${stage}/0`, stage, graph, source: new MemorySource(paced()), keyGroups };
  };
  const many = new Region({
    job: "numbers",
    keyGroups: 128,
    subtasks: [
      subtask("short", numbers.slice(0, 5), () => false),
      subtask("one", numbers.slice(0, 60), () => false),
      subtask("two", numbers.slice(0, 40), () => true),
    ],
    store: directoryStore(directory, "numbers", silentLog),
    clock: systemClock,
    tracing: noTracing,
    log: silentLog,
    checkpointIntervalMs: 1,
    onCheckpoint: ({ checkpointId }) => void committed.push(checkpointId),
  });
  await many.run(never);
  expect(committed.length).toBeGreaterThan(2);
  expect(table.rows).toHaveLength(5 + 60 + 40);
}, 30_000);
