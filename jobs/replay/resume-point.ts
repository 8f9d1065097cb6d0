import { create } from "@bufbuild/protobuf";
import { CourtsideError } from "../../base/errors.ts";
import { fnv1a } from "../../base/random.ts";
import {
  type DeadLetter,
  type PlayEvent,
  type PlayFrame,
  PlayFrameSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";

/** The stream holds another account of a game than the source. */
export class ReplayMismatchError extends CourtsideError {
  override readonly code = "REPLAY_MISMATCH";
  override readonly retryable = false;
  readonly gameId: string;

  constructor(gameId: string, detail: string) {
    super(
      `the stream already holds game ${gameId}, and not from this source: ${detail}; ` +
        "replay the source (and seed) that it was made from, or start on an empty store",
    );
    this.gameId = gameId;
  }
}

/** Between the game and the number of a frame, in the message ids of a replay out of order. */
const MARK = "/disorder-";

/** Says how a replay out of order tells its plays: one with another seed or speed has other frames. */
export function disorderMark(settings: Readonly<Record<string, number | string>>): string {
  const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const fixed = words.map((word) => word.replace(/^speed=(?!max$).*/, "speed=finite"));
  return fnv1a(fixed.toSorted().join(" ")).toString(16);
}

/** As `ResumePoint`, for plays that come in no order: frames are counted, and the last one says how far it was. */
export class DisorderedResumePoint {
  readonly #gameId: string;
  readonly #mark: string;
  /** Number of the last stored frame, -1 for none. */
  readonly #stored: number = -1;
  #seen = -1;

  /**
   * @param mark - of this replay, by `disorderMark`.
   * @param lastId - id of the last stored message, undefined when there is none.
   * @throws ReplayMismatchError when the stored messages were made in another way.
   */
  constructor(gameId: string, mark: string, lastId: string | undefined) {
    this.#gameId = gameId;
    this.#mark = mark;
    if (lastId === undefined) return;
    const start = this.messageId("");
    if (!lastId.startsWith(start))
      throw new ReplayMismatchError(gameId, "it was told in order, or with another disorder");
    this.#stored = Number(lastId.slice(start.length));
  }

  messageId(index: number | ""): string {
    return `${this.#gameId}${MARK}${this.#mark}/${index}`;
  }

  /** @returns the frame when it is not stored yet. */
  rest(frame: PlayFrame, index: number): PlayFrame | undefined {
    this.#seen = index;
    return index <= this.#stored ? undefined : frame;
  }

  /** @throws ReplayMismatchError when the stream holds more of the game than the source has. */
  checkReached(): void {
    if (this.#seen < this.#stored)
      throw new ReplayMismatchError(this.#gameId, "it has more messages than the source gives");
  }
}

/**
 * How much of one game the stream holds already: everything up to the end of the last message of its subject.
 * Frames of the source go through `rest` in order; packing may differ from that of the earlier run.
 */
export class ResumePoint {
  readonly #gameId: string;
  readonly #last: PlayFrame | undefined;
  #isReached: boolean;

  /**
   * @param last - the last stored message, undefined when there is none.
   * @param lastId - its id.
   * @throws ReplayMismatchError when it was told out of order: then it says nothing of what is missing.
   */
  constructor(gameId: string, last: PlayFrame | undefined, lastId = "") {
    if (lastId.includes(MARK)) throw new ReplayMismatchError(gameId, "it was told out of order");
    this.#gameId = gameId;
    this.#last = last;
    this.#isReached = last === undefined;
  }

  /**
   * @returns what of the frame is not stored yet, undefined when all of it is.
   * @throws ReplayMismatchError when the stored play differs from the source's.
   */
  rest(frame: PlayFrame, _index = 0): PlayFrame | undefined {
    if (this.#isReached || this.#last === undefined) return frame;
    const play = this.#last.plays.at(-1);
    const letter = this.#last.deadLetters.at(-1);
    if (play !== undefined) return this.#cutPlays(frame, play);
    if (letter !== undefined) return this.#cutLetters(frame, letter);
    this.#isReached = frame.gameInfo !== undefined;
    return undefined;
  }

  /** @throws ReplayMismatchError when the game has ended and what is stored was not found in it. */
  checkReached(): void {
    if (this.#isReached) return;
    throw new ReplayMismatchError(this.#gameId, "its last stored message is not in the source");
  }

  #cutPlays(frame: PlayFrame, stored: PlayEvent): PlayFrame | undefined {
    const index = frame.plays.findIndex(
      (play) => play.playNumber === stored.playNumber && play.revision === stored.revision,
    );
    const play = frame.plays[index];
    if (play === undefined) return undefined;
    if (!isSamePlay(play, stored)) {
      const [is, was] = [play, stored].map(({ description }) => JSON.stringify(description));
      const detail = `play ${stored.playNumber} is stored as ${was ?? ""} and read as ${is ?? ""}`;
      throw new ReplayMismatchError(this.#gameId, detail);
    }
    this.#isReached = true;
    const plays = frame.plays.slice(index + 1);
    return plays.length === 0 ? undefined : create(PlayFrameSchema, { plays });
  }

  #cutLetters(frame: PlayFrame, stored: DeadLetter): PlayFrame | undefined {
    const index = frame.deadLetters.findIndex((letter) => letterKey(letter) === letterKey(stored));
    if (index < 0) return undefined;
    this.#isReached = true;
    const deadLetters = frame.deadLetters.slice(index + 1);
    return deadLetters.length === 0 ? undefined : create(PlayFrameSchema, { deadLetters });
  }
}

/** What tells rejected rows apart; not the path, which may be spelled in other ways. */
export function letterKey({ line, reason, raw }: DeadLetter): string {
  return `${line}/${reason}/${raw}`;
}

function isSamePlay(play: PlayEvent, stored: PlayEvent): boolean {
  return (
    play.kind === stored.kind &&
    play.period === stored.period &&
    play.clockRemainingDs === stored.clockRemainingDs &&
    play.homeScore === stored.homeScore &&
    play.awayScore === stored.awayScore &&
    play.description === stored.description
  );
}
