import { create, fromBinary } from "@bufbuild/protobuf";
import {
  type DeadLetter,
  DeadLetterSchema,
  type GameInfo,
  type PlayEvent,
  type PlayFrame,
  PlayFrameSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { errorText } from "../../base/errors.ts";
import { outputTag } from "../../operators/mod.ts";
import type { Account } from "./play-log.ts";

/** Characters of an unusable input that are kept. */
const RAW_CHARS = 2048;

/** Inputs that could not be used, from wherever in the job they are found. */
export const deadLetterTag = outputTag<DeadLetter>("dead-letters");

/** What the game operator takes. */
export type GameInput =
  | { readonly kind: "info"; readonly gameId: string; readonly info: GameInfo }
  | {
      readonly kind: "plays";
      readonly gameId: string;
      readonly accounts: readonly Account[];
      readonly arrival: Arrival | undefined;
    };

/** When a message came, epoch milliseconds; for measuring only. */
export interface Arrival {
  /** Stored by the broker. */
  readonly storedMs: number;
  /** Received here. */
  readonly receivedMs: number;
  /** Taken up. */
  readonly startedMs: number;
}

/** A message of the PLAYS stream, read or unreadable. */
export type FrameInput =
  | {
      readonly kind: "frame";
      readonly frame: PlayFrame;
      /** What the frame was read from; without it plays are encoded again for the log of the game. */
      readonly bytes?: Uint8Array;
      readonly arrival?: Omit<Arrival, "startedMs">;
    }
  | { readonly kind: "unreadable"; readonly letter: DeadLetter };

/** Never throws: a message that is no frame becomes a dead letter that says where it came from. */
export function decodeFrame(
  bytes: Uint8Array,
  subject: string,
  arrival?: Omit<Arrival, "startedMs">,
): FrameInput {
  try {
    const frame = fromBinary(PlayFrameSchema, bytes);
    return { kind: "frame", frame, bytes, ...(arrival && { arrival }) };
  } catch (error) {
    const letter = create(DeadLetterSchema, {
      reason: "UNREADABLE_MESSAGE",
      message: `not a courtside.v1.PlayFrame: ${errorText(error)}`,
      source: subject,
      raw: Buffer.from(bytes).toString("base64").slice(0, RAW_CHARS),
    });
    return { kind: "unreadable", letter };
  }
}

/**
 * Takes a frame apart: the game's information, then its plays; dead letters go to their side output. The plays
 * of a frame stay together, since the corrections among them are applied together.
 * @param nowMs - measures when the frame was taken up; not needed where nobody asks.
 */
export function spread(
  input: FrameInput,
  emit: (value: GameInput) => void,
  side: (letter: DeadLetter) => void,
  nowMs?: () => number,
): void {
  if (input.kind === "unreadable") return side(input.letter);
  const arrival =
    input.arrival === undefined || nowMs === undefined
      ? undefined
      : { ...input.arrival, startedMs: nowMs() };
  const { gameInfo, plays, deadLetters } = input.frame;
  for (const letter of deadLetters) side(letter);
  if (gameInfo !== undefined) emit({ kind: "info", gameId: gameInfo.gameId, info: gameInfo });
  const bytes = input.bytes === undefined ? [] : playBytes(input.bytes);
  let from = 0;
  for (let at = 1; at <= plays.length; at += 1) {
    const gameId = plays[from]?.gameId ?? "";
    if (at < plays.length && plays[at]?.gameId === gameId) continue;
    const accounts = plays.slice(from, at).map((play, i) => ({ play, bytes: bytes[from + i] }));
    emit({ kind: "plays", gameId, accounts, arrival });
    from = at;
  }
}

/** Number of `PlayFrame.plays`, and the wire types of Protobuf as far as a frame can have them. */
const PLAYS_FIELD = 2;
const WIRE_VARINT = 0;
const WIRE_64_BIT = 1;
const WIRE_LENGTH = 2;

/** The plays of a frame as views on its bytes, which have been read before and are therefore sound. */
function playBytes(frame: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = frame[at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < frame.length) {
    const tag = varint();
    const wire = tag & 7;
    if (wire === WIRE_LENGTH) {
      const end = varint() + at;
      if (tag >>> 3 === PLAYS_FIELD) found.push(frame.subarray(at, end));
      at = end;
    } else if (wire === WIRE_VARINT) varint();
    else at += wire === WIRE_64_BIT ? 8 : 4;
  }
  return found;
}

/** A play that the job cannot take, as a dead letter. */
export function refusedPlay(play: PlayEvent, reason: string, message: string): DeadLetter {
  return create(DeadLetterSchema, {
    reason,
    message,
    source: "PLAYS",
    gameId: play.gameId,
    feed: play.feed,
    raw: play.description.slice(0, RAW_CHARS),
    playNumber: play.playNumber,
  });
}

/** A frame as frames of one play each, so that a play that the job fails on can be left out alone. */
export function framesOfOnePlay(input: FrameInput): readonly FrameInput[] {
  if (input.kind === "unreadable") return [input];
  const { plays, ...rest } = input.frame;
  const first = create(PlayFrameSchema, { ...rest, plays: [] });
  return [
    { kind: "frame", frame: first },
    ...plays.map((play) => ({
      kind: "frame" as const,
      frame: create(PlayFrameSchema, { plays: [play] }),
    })),
  ];
}

/** What the job fails on as often as it is tried, as a dead letter. */
export function failedInput(input: FrameInput, reason: string): DeadLetter {
  const play = input.kind === "frame" ? input.frame.plays[0] : undefined;
  if (play !== undefined) return refusedPlay(play, "FAILED", reason);
  const gameId = input.kind === "frame" ? (input.frame.gameInfo?.gameId ?? "") : "";
  return create(DeadLetterSchema, { reason: "FAILED", message: reason, source: "PLAYS", gameId });
}
