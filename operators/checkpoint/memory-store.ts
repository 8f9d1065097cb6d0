import type { Opened, RestoredSnapshot, Snapshot, SnapshotStore } from "./snapshot.ts";

/** Keeps the last snapshot in memory, for tests and for runs that need none after their end. */
export class MemoryStore implements SnapshotStore {
  #last: RestoredSnapshot | undefined;
  #epoch = 0;

  open(): Promise<Opened> {
    this.#epoch += 1;
    return Promise.resolve({
      epoch: this.#epoch,
      restored: this.#last,
      lost: [],
      lastCheckpointId: this.#last?.checkpointId ?? 0,
      isFromSavepoint: false,
    });
  }

  write(snapshot: Snapshot): Promise<void> {
    const { changed, ...rest } = snapshot;
    const states = new Map(this.#last?.states);
    for (const [stage, groups] of changed)
      states.set(stage, new Map([...(states.get(stage) ?? []), ...groups]));
    this.#last = { ...rest, states };
    return Promise.resolve();
  }
}
