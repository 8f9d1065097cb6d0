import assert from "node:assert/strict";
import { Readable } from "node:stream";
import type { ClickHouseClient } from "@clickhouse/client";
import { delay, preciseMs, systemClock } from "../base/clock.ts";
import { CourtsideError, errorText } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { SealedRows, TransactionalSink } from "../operators/runtime/sink.ts";
import { checkWindows } from "./clickhouse-windows.ts";

/** ClickHouse did not take a block in the time that a restart of it may need. */
export class SinkUnavailableError extends CourtsideError {
  override readonly code = "SINK_UNAVAILABLE";
  override readonly retryable = true;
}

/** Rows of a block at the most: one insert of a few megabytes, far below the server's own block size, so
 * that a block is one part and one token. */
const BLOCK_ROWS = 50_000;
/** Rows that wait, over all tables, above which a checkpoint is asked for early: about 100 MB of text. */
const FULL_ROWS = 200_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;
/** A server that restarts is back within seconds; one that is away for so long is somebody's problem. */
const GIVE_UP_AFTER_MS = 120_000;

export type Row = Readonly<Record<string, unknown>>;

/** When rows became visible, epoch milliseconds with fractions. */
export interface VisibleTimes {
  /** Barrier that sealed them. */
  readonly sealedMs: number;
  /** Checkpoint committed, insert begun. */
  readonly committedMs: number;
  /** Acknowledged by the store. */
  readonly insertedMs: number;
}

export interface ClickHouseSinkOptions<T> {
  readonly uid: string;
  readonly job: string;
  readonly client: ClickHouseClient;
  /**
   * Tables that it writes, with their database: `courtside.plays`. A checkpoint's rows become visible table
   * by table in this order, so a reader who waits for the last table's row finds the others there.
   */
  readonly tables: readonly string[];
  /** Puts the rows of one record into tables. */
  rows(value: T, put: (table: string, row: Row) => void): void;
  /** Told when the store has the records' rows. */
  onVisible?(values: readonly T[], times: VisibleTimes): void;
  readonly log: Log;
  /** Called before and after every insert. */
  readonly fault?: (name: string) => void;
}

/**
 * Writes rows with the checkpoint that covers them. Rows are sealed into blocks at the barrier, the blocks
 * are part of the snapshot, and they are inserted after its commit with a token each. On restore, blocks
 * that may not have arrived are inserted again with the same token, and the table refuses what it has.
 * Reading needs no FINAL.
 */
export class ClickHouseSink<T> implements TransactionalSink<T> {
  readonly mode = "transactional";
  readonly uid: string;
  readonly #options: ClickHouseSinkOptions<T>;
  #open = new Map<string, string[]>();
  #openRows = 0;
  #openValues: T[] = [];
  /** Waiting for the commit of the checkpoint that sealed them. */
  #sealedValues: readonly T[] = [];
  #sealedMs = 0;

  constructor(options: ClickHouseSinkOptions<T>) {
    this.uid = options.uid;
    this.#options = options;
  }

  async open(): Promise<void> {
    await checkWindows(this.#options.client, this.#options.tables);
  }

  write(value: T): void {
    this.#options.rows(value, (table, row) => {
      let rows = this.#open.get(table);
      if (rows === undefined) {
        assert(this.#options.tables.includes(table), `${this.uid} does not declare table ${table}`);
        this.#open.set(table, (rows = []));
      }
      rows.push(JSON.stringify(row));
      this.#openRows += 1;
    });
    if (this.#options.onVisible !== undefined) this.#openValues.push(value);
  }

  full(): boolean {
    return this.#openRows >= FULL_ROWS;
  }

  seal(checkpointId: number): readonly SealedRows[] {
    const { job } = this.#options;
    const blocks: SealedRows[] = [];
    for (const table of this.#options.tables) {
      const rows = this.#open.get(table) ?? [];
      for (let from = 0; from < rows.length; from += BLOCK_ROWS) {
        const part = rows.slice(from, from + BLOCK_ROWS);
        const block = String(from / BLOCK_ROWS);
        blocks.push({
          table,
          token: `${job}/${this.uid}/${table}/${String(checkpointId)}/${block}`,
          rows: part.length,
          bytes: Buffer.from(`${part.join("\n")}\n`),
        });
      }
    }
    this.#open = new Map();
    this.#openRows = 0;
    this.#sealedMs = preciseMs(systemClock);
    this.#sealedValues = this.#openValues;
    this.#openValues = [];
    return blocks;
  }

  async commit(blocks: readonly SealedRows[]): Promise<void> {
    const committedMs = preciseMs(systemClock);
    for (const block of blocks) {
      this.#options.fault?.("before-insert");
      await this.#insertUntilTaken(block);
      this.#options.fault?.("after-insert");
    }
    const insertedMs = preciseMs(systemClock);
    const times = { sealedMs: this.#sealedMs, committedMs, insertedMs };
    if (this.#sealedValues.length > 0) this.#options.onVisible?.(this.#sealedValues, times);
    this.#sealedValues = [];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #insertUntilTaken(block: SealedRows): Promise<void> {
    const giveUpMs = performance.now() + GIVE_UP_AFTER_MS;
    for (let waitMs = RETRY_MIN_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MAX_MS)) {
      try {
        await this.#insert(block);
        return;
      } catch (error) {
        if (performance.now() > giveUpMs || !mayPass(error))
          throw new SinkUnavailableError(
            `ClickHouse did not take ${String(block.rows)} rows for ${block.table}: ${errorText(error)}`,
            { cause: error },
          );
        this.#options.log.warn("insert_retry", { table: block.table, error: errorText(error) });
        await delay(waitMs);
      }
    }
  }

  async #insert({ table, token, bytes }: SealedRows): Promise<void> {
    // Not `insert`: it encodes rows itself, and these were encoded at the barrier.
    const { stream } = await this.#options.client.exec({
      query: `INSERT INTO ${table} FORMAT JSONEachRow`,
      values: Readable.from([bytes], { objectMode: false }),
      clickhouse_settings: {
        insert_deduplicate: 1,
        insert_deduplication_token: token,
        deduplicate_blocks_in_dependent_materialized_views: 1,
        date_time_input_format: "best_effort",
      },
    });
    for await (const _ of stream) void _;
  }
}

/** Answers of the server that the same rows would get again: they do not fit the table. */
const REFUSALS: ReadonlySet<string> = new Set([
  "16", // no such column
  "27", // cannot parse input
  "53", // type mismatch
  "60", // unknown table
  "62", // syntax error
  "117", // incorrect data
  "497", // access denied
]);

/** A server that is away or out of something for a while is asked again; a bug or a misfit is not. */
function mayPass(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  const timedOut =
    error instanceof Error && /time-?out|socket hang up|aborted/i.test(error.message);
  return timedOut || (typeof code === "string" && !REFUSALS.has(code));
}
