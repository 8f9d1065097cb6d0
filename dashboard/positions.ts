import { type OutputPosition } from "../proto/gen/courtside/v1/insight_pb.ts";

/** What to do with an output: `fresh` is used, `seen` was used before. */
export type PositionVerdict = "fresh" | "seen";

interface LastPosition {
  readonly inputSequence: bigint;
  readonly index: number;
}

/**
 * Keeps the last output position of every producer (job, stage, key group) and refuses what is not beyond it: a
 * worker that starts again from a checkpoint makes the same positions again. Who made an output does not matter: a
 * worker that was overtaken makes at each position what its successor makes there, and the broker, which keeps
 * one message a position, may have kept that one. Grows with the key groups of the jobs, not with games.
 */
export class PositionGuard {
  readonly #last = new Map<string, LastPosition>();

  /** Judges a position and remembers it when it is fresh. */
  accept(position: OutputPosition): PositionVerdict {
    const producer = `${position.job}\n${position.stage}\n${String(position.keyGroup)}`;
    const last = this.#last.get(producer);
    if (last !== undefined && !isBeyond(position, last)) return "seen";
    const { inputSequence, index } = position;
    this.#last.set(producer, { inputSequence, index });
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
