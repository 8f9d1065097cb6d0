import { type OutputPosition } from "../proto/gen/courtside/v1/insight_pb.ts";

/** What to do with an output: `fresh` is used, the others were seen before or come from a fenced worker. */
export type PositionVerdict = "fresh" | "seen" | "stale-epoch";

interface LastPosition {
  epoch: bigint;
  inputSequence: bigint;
  index: number;
}

/**
 * Keeps the last output position of every producer (job, stage, key group) and refuses what is not
 * beyond it: a worker that restarts from a checkpoint makes the same positions again, and a worker that
 * lost its lease still writes with its old epoch. Grows with the key groups of the jobs, not with games.
 */
export class PositionGuard {
  readonly #last = new Map<string, LastPosition>();

  /** Judges a position and remembers it when it is fresh. */
  accept(position: OutputPosition): PositionVerdict {
    const producer = `${position.job}\n${position.stage}\n${String(position.keyGroup)}`;
    const last = this.#last.get(producer);
    if (last !== undefined) {
      if (position.epoch < last.epoch) return "stale-epoch";
      if (!isBeyond(position, last)) {
        // A new worker that repeats old outputs is still the only one whose new outputs count.
        last.epoch = position.epoch;
        return "seen";
      }
    }
    const { epoch, inputSequence, index } = position;
    this.#last.set(producer, { epoch, inputSequence, index });
    return "fresh";
  }

  clear(): void {
    this.#last.clear();
  }
}

function isBeyond(position: OutputPosition, last: LastPosition): boolean {
  if (position.inputSequence !== last.inputSequence) {
    return position.inputSequence > last.inputSequence;
  }
  return position.index > last.index;
}
