import { jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { Objm, type ObjectStore } from "@nats-io/obj";
import { errorText } from "../base/errors.ts";
import { type BlobStore, StoreError } from "../operators/mod.ts";

/** Room that is reserved: a savepoint of a season is some hundred megabytes. */
const BUCKET_BYTES = 2 * 1024 ** 3;
const CHUNK_BYTES = 128 * 1024;
const TIMEOUT_MS = 10_000;

/**
 * Blobs in a JetStream Object Store, for workers on several machines without another store. An object is there
 * with its meta data, which is written behind its chunks; the digest is checked when it is read.
 */
export class JetStreamBlobs implements BlobStore {
  readonly location: string;
  readonly #store: ObjectStore;

  private constructor(store: ObjectStore, bucket: string) {
    this.#store = store;
    this.location = `JetStream Object Store ${bucket}`;
  }

  /** Makes the bucket when it is not there. */
  static async open(
    connection: NatsConnection,
    bucket: string,
    { replicas = 1, maxBytes = BUCKET_BYTES }: { replicas?: number; maxBytes?: number } = {},
  ): Promise<JetStreamBlobs> {
    const manager = new Objm(jetstream(connection, { timeout: TIMEOUT_MS }));
    // In a cluster somebody else has made it, and only that one may.
    const store = await manager
      .open(bucket)
      .catch(async () => manager.create(bucket, { max_bytes: maxBytes, replicas }));
    return new JetStreamBlobs(store, bucket);
  }

  async put(name: string, parts: readonly Uint8Array[]): Promise<void> {
    await this.#explained(`write ${name} to`, async () =>
      this.#store.put(
        { name, options: { max_chunk_size: CHUNK_BYTES } },
        ReadableStream.from<Uint8Array>(parts.filter((part) => part.length > 0)),
      ),
    );
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const blob = await this.#explained(`read ${name} in`, async () => this.#store.getBlob(name));
    return blob ?? undefined;
  }

  async list(prefix: string): Promise<readonly string[]> {
    const all = await this.#explained("list", async () => this.#store.list());
    return all.map(({ name }) => name).filter((name) => name.startsWith(prefix));
  }

  async remove(name: string): Promise<void> {
    await this.#explained(`remove ${name} in`, async () => {
      if ((await this.#store.info(name)) !== null) await this.#store.delete(name);
    });
  }

  async #explained<T>(what: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw new StoreError(`cannot ${what} ${this.location}: ${errorText(error)}`, {
        cause: error,
      });
    }
  }
}
