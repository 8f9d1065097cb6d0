import { create } from "@bufbuild/protobuf";
import {
  type DeadLetter,
  DeadLetterSchema,
  type Feed,
  League,
  type PlayEvent,
  PlayEventSchema,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { seasonOf } from "./game-id.ts";
import { type Problem } from "./row-cells.ts";

/** Input that a dead letter keeps, characters (contract of `DeadLetter.raw`). */
const RAW_MAX_CHARS = 2048;

/** Where something in a source stands. */
export interface Place {
  readonly line: number;
  readonly text: string;
}

/** A row on its way to a play or a dead letter. */
export interface Draft {
  readonly place: Place;
  readonly play: PlayEvent;
  /** Set when the row cannot become a play. */
  problem: Problem | undefined;
  /** Score after the row, where the row has it. */
  homeScore?: number | undefined;
  awayScore?: number | undefined;
  /** Clock of the arena in minutes since midnight, where the row has it. */
  clockMinutes?: number | undefined;
  /** Exact wall clock, epoch milliseconds, where the row has it. */
  timeMs?: number | undefined;
}

/** The rows of one game as a reader gets them. */
export interface GameRows<Row> {
  /** Ten digits. */
  readonly gameId: string;
  readonly rows: readonly Row[];
  /** Rows beside it that belong to no game or stand in the wrong place. */
  readonly strays: readonly DeadLetter[];
  /** True when the source broke off in this game: it has no end. */
  readonly broken: boolean;
}

export function newPlay(gameId: string, feed: Feed): PlayEvent {
  const play = create(PlayEventSchema);
  play.gameId = gameId;
  play.league = League.NBA;
  play.season = seasonOf(gameId);
  play.revision = 1;
  play.side = Side.NONE;
  play.feed = feed;
  return play;
}

export function deadLetter(
  problem: Problem,
  source: { readonly file: string; readonly feed: Feed },
  place: Place,
  gameId: string,
): DeadLetter {
  return create(DeadLetterSchema, {
    reason: problem.reason,
    message: problem.message,
    source: source.file,
    line: BigInt(place.line),
    gameId,
    feed: source.feed,
    raw: place.text.slice(0, RAW_MAX_CHARS),
  });
}
