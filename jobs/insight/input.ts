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

/** Characters of an unusable input that are kept. */
const RAW_CHARS = 2048;

/** Inputs that could not be used, from wherever in the job they are found. */
export const deadLetterTag = outputTag<DeadLetter>("dead-letters");

/** What the game operator takes. */
export type GameInput =
  | { readonly kind: "info"; readonly gameId: string; readonly info: GameInfo }
  | { readonly kind: "play"; readonly gameId: string; readonly play: PlayEvent };

/** A message of the PLAYS stream, read or unreadable. */
export type FrameInput =
  | { readonly kind: "frame"; readonly frame: PlayFrame }
  | { readonly kind: "unreadable"; readonly letter: DeadLetter };

/** Never throws: a message that is no frame becomes a dead letter that says where it came from. */
export function decodeFrame(bytes: Uint8Array, subject: string): FrameInput {
  try {
    return { kind: "frame", frame: fromBinary(PlayFrameSchema, bytes) };
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

/** Takes a frame apart: the game's information, then its plays; dead letters go to their side output. */
export function spread(
  input: FrameInput,
  emit: (value: GameInput) => void,
  side: (letter: DeadLetter) => void,
): void {
  if (input.kind === "unreadable") return side(input.letter);
  const { gameInfo, plays, deadLetters } = input.frame;
  for (const letter of deadLetters) side(letter);
  if (gameInfo !== undefined) emit({ kind: "info", gameId: gameInfo.gameId, info: gameInfo });
  for (const play of plays) emit({ kind: "play", gameId: play.gameId, play });
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
