import {
  DiscardPolicy,
  jetstream,
  type JetStreamClient,
  JetStreamApiError,
  jetstreamManager,
  type JetStreamManager,
  StorageType,
} from "@nats-io/jetstream";
import { headers, nanos, type NatsConnection } from "@nats-io/nats-core";
import { delay } from "../base/clock.ts";
import { CourtsideError, errorText } from "../base/errors.ts";
import { FencedError, type HeadRevision, type HeadStore } from "../operators/mod.ts";

/** The broker does not answer for a key. */
export class BucketError extends CourtsideError {
  override readonly code = "BUCKET_UNAVAILABLE";
  override readonly retryable = true;
}

const API_TIMEOUT_MS = 2000;
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 1000;
/** How long the broker may be away; the region then fails and starts again from its checkpoint. */
const GIVE_UP_AFTER_MS = 60_000;
/** Values are heads and records of a few kilobytes. */
const BUCKET_MAX_BYTES = 64 * 1024 * 1024;
/** Codes of the stream API. */
const WRONG_LAST_SEQUENCE = [10_071, 10_164];
const NO_MESSAGE = 10_037;
const NO_STREAM = 10_059;

const OPERATION = "KV-Operation";

export interface BucketOptions {
  /** Entries go after so long; for ever when absent. */
  readonly ttlMs?: number;
  readonly replicas?: number;
}

export interface Entry {
  readonly bytes: Uint8Array;
  readonly revision: number;
}

/**
 * A key-value bucket, as the broker's other clients know it. Reads go to the leader of its stream, never to a
 * replica that may be behind, and a swap whose answer was lost is looked up instead of being guessed.
 */
export class Bucket {
  readonly #js: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #name: string;

  private constructor(js: JetStreamClient, manager: JetStreamManager, name: string) {
    this.#js = js;
    this.#manager = manager;
    this.#name = name;
  }

  /** Makes the bucket when it is not there, and sets its time to live. */
  static async open(
    connection: NatsConnection,
    name: string,
    { ttlMs, replicas = 1 }: BucketOptions = {},
  ): Promise<Bucket> {
    const js = jetstream(connection, { timeout: API_TIMEOUT_MS });
    const manager = await jetstreamManager(connection, {
      checkAPI: false,
      timeout: API_TIMEOUT_MS,
    });
    const maxAge = ttlMs === undefined ? 0 : nanos(ttlMs);
    const wanted = {
      name: `KV_${name}`,
      subjects: [`$KV.${name}.>`],
      max_msgs_per_subject: 1,
      max_age: maxAge,
      max_bytes: BUCKET_MAX_BYTES,
      discard: DiscardPolicy.New,
      storage: StorageType.File,
      num_replicas: replicas,
      allow_rollup_hdrs: true,
      deny_delete: true,
      duplicate_window: ttlMs === undefined ? nanos(120_000) : nanos(Math.min(ttlMs, 120_000)),
    };
    try {
      const { config } = await manager.streams.info(wanted.name);
      if (ttlMs !== undefined && config.max_age !== maxAge)
        await manager.streams.update(wanted.name, {
          ...config,
          max_age: maxAge,
          duplicate_window: wanted.duplicate_window,
        });
    } catch (error) {
      if (!isApiError(error, [NO_STREAM])) throw unavailable(`bucket ${name}`, error);
      await manager.streams.add(wanted);
    }
    return new Bucket(js, manager, name);
  }

  async get(key: string): Promise<Entry | undefined> {
    const found = await this.#last(key);
    return found === undefined || found.bytes === undefined
      ? undefined
      : { bytes: found.bytes, revision: found.revision };
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    try {
      await this.#js.publish(this.#subject(key), bytes);
    } catch (error) {
      throw unavailable(key, error);
    }
  }

  async remove(key: string): Promise<void> {
    const header = headers();
    header.set(OPERATION, "DEL");
    try {
      await this.#js.publish(this.#subject(key), new Uint8Array(), { headers: header });
    } catch (error) {
      throw unavailable(key, error);
    }
  }

  /** Keys that begin with the prefix, which ends with a dot; removed ones may be among them. */
  async keys(prefix: string): Promise<readonly string[]> {
    try {
      const { state } = await this.#manager.streams.info(`KV_${this.#name}`, {
        subjects_filter: `${this.#subject(prefix)}>`,
      });
      return Object.keys(state.subjects ?? {}).map((each) => each.slice(this.#subject("").length));
    } catch (error) {
      throw unavailable(prefix, error);
    }
  }

  /**
   * @param revision - of the value that is replaced; 0 when there must be none.
   * @throws FencedError when the key is not at that revision.
   */
  async swap(key: string, revision: number, bytes: Uint8Array): Promise<number> {
    const giveUpMs = performance.now() + GIVE_UP_AFTER_MS;
    for (let waitMs = RETRY_MIN_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MAX_MS)) {
      try {
        const { seq } = await this.#js.publish(this.#subject(key), bytes, {
          expect: { lastSubjectSequence: revision },
        });
        return seq;
      } catch (error) {
        // Refused, or no answer: what the key holds now says whether an earlier attempt has arrived.
        const now = await this.#last(key).catch(() => undefined);
        if (now !== undefined && now.revision !== revision) {
          if (now.bytes !== undefined && Buffer.from(now.bytes).equals(bytes)) return now.revision;
          throw new FencedError(`${key} was changed by another process`, { cause: error });
        }
        if (now === undefined && isApiError(error, WRONG_LAST_SEQUENCE))
          throw new FencedError(`${key} was changed by another process`, { cause: error });
        if (performance.now() > giveUpMs) throw unavailable(key, error);
        await delay(waitMs);
      }
    }
  }

  /** The key as a head. */
  head(key: string): HeadStore {
    return {
      read: async (): Promise<HeadRevision> =>
        (await this.#last(key)) ?? { bytes: undefined, revision: 0 },
      swap: async (revision, bytes) => this.swap(key, revision, bytes),
    };
  }

  async #last(key: string): Promise<HeadRevision | undefined> {
    try {
      const message = await this.#manager.streams.getMessage(`KV_${this.#name}`, {
        last_by_subj: this.#subject(key),
      });
      if (message === null) return undefined;
      const removed = message.header.get(OPERATION) !== "";
      return { bytes: removed ? undefined : message.data, revision: message.seq };
    } catch (error) {
      if (isApiError(error, [NO_MESSAGE])) return undefined;
      throw unavailable(key, error);
    }
  }

  #subject(key: string): string {
    return `$KV.${this.#name}.${key}`;
  }
}

function isApiError(error: unknown, codes: readonly number[]): boolean {
  return error instanceof JetStreamApiError && codes.includes(error.code);
}

function unavailable(what: string, error: unknown): BucketError {
  return new BucketError(`the broker does not answer for ${what}: ${errorText(error)}`, {
    cause: error,
  });
}
