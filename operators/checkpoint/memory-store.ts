import type { RestoredSnapshot, Snapshot, SnapshotStore } from "./snapshot.ts";

/** Keeps the last snapshot in memory, for tests and for runs that need none after their end. */
export class MemoryStore implements SnapshotStore {
  #last: RestoredSnapshot | undefined;

  latest(): Promise<RestoredSnapshot | undefined> {
    return Promise.resolve(this.#last);
  }

  write(snapshot: Snapshot): Promise<void> {
    const { changed, ...rest } = snapshot;
    const states = new Map([...(this.#last?.states ?? []), ...changed]);
    this.#last = { ...rest, states };
    return Promise.resolve();
  }
}
