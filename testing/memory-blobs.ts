import {
  type BlobStore,
  FencedError,
  type HeadRevision,
  type HeadStore,
} from "../operators/mod.ts";

/** Blobs in memory: what checkpoints and savepoints of a mini runner write lies here. */
export class MemoryBlobs implements BlobStore {
  readonly location = "memory";
  readonly #blobs = new Map<string, Uint8Array>();

  put(name: string, parts: readonly Uint8Array[]): Promise<void> {
    this.#blobs.set(name, Uint8Array.from(Buffer.concat(parts)));
    return Promise.resolve();
  }

  get(name: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#blobs.get(name));
  }

  list(prefix: string): Promise<readonly string[]> {
    return Promise.resolve([...this.#blobs.keys()].filter((name) => name.startsWith(prefix)));
  }

  remove(name: string): Promise<void> {
    this.#blobs.delete(name);
    return Promise.resolve();
  }
}

/** A head in memory. */
export class MemoryHead implements HeadStore {
  #head: HeadRevision = { bytes: undefined, revision: 0 };

  read(): Promise<HeadRevision> {
    return Promise.resolve(this.#head);
  }

  async swap(revision: number, bytes: Uint8Array): Promise<number> {
    if (revision !== this.#head.revision) throw new FencedError("the head was swapped meanwhile");
    this.#head = { bytes, revision: revision + 1 };
    return Promise.resolve(revision + 1);
  }
}
