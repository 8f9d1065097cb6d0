import { type OutputPosition } from "../proto/gen/courtside/v1/insight_pb.ts";
import { type ProducerStand } from "./wire-views.ts";

/** What to do with an output: `fresh` is used, `seen` was used before. */
export type PositionVerdict = "fresh" | "seen";

interface LastPosition {
  readonly inputSequence: bigint;
  readonly index: number;
  /** Highest epoch that wrote, for people: it judges nothing. */
  readonly epoch: bigint;
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
    const { inputSequence, index, epoch } = position;
    const highest = last !== undefined && last.epoch > epoch ? last.epoch : epoch;
    this.#last.set(producer, { inputSequence, index, epoch: highest });
    return "fresh";
  }

  /** Where every producer is. */
  *stands(): Generator<ProducerStand> {
    for (const [producer, { epoch, inputSequence }] of this.#last) {
      const [job = "", stage = "", keyGroup] = producer.split("\n");
      const stand = { inputSequence: Number(inputSequence), epoch: Number(epoch) };
      yield { job, stage, keyGroup: Number(keyGroup), ...stand };
    }
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
