import { create } from "@bufbuild/protobuf";
import {
  type DeadLetter,
  DeadLetterSchema,
  type Feed,
  FoulKind,
  League,
  type PlayEvent,
  PlayKind,
  ReboundKind,
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
  /** Ids of the players on court as the row lists them, where it does. */
  playersOn?: string;
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

/**
 * An empty play. Written out because `create` costs more than everything else that a reader does for a row;
 * the compiler finds a field that is missing here.
 */
export function newPlay(gameId: string, feed: Feed): PlayEvent {
  return {
    $typeName: "courtside.v1.PlayEvent",
    gameId,
    league: League.NBA,
    season: seasonOf(gameId),
    playNumber: 0,
    revision: 1,
    retracted: false,
    period: 0,
    clockRemainingDs: 0,
    eventTimeMs: 0n,
    eventTimeEstimated: false,
    ingestTimeMs: 0n,
    kind: PlayKind.UNSPECIFIED,
    teamId: 0,
    side: Side.NONE,
    actorId: 0,
    actorName: "",
    assisterId: 0,
    blockerId: 0,
    stealerId: 0,
    fouledId: 0,
    playerInId: 0,
    playerOutId: 0,
    shotValue: 0,
    shotMade: false,
    freeThrowNumber: 0,
    freeThrowCount: 0,
    foulKind: FoulKind.UNSPECIFIED,
    reboundKind: ReboundKind.UNSPECIFIED,
    subtype: "",
    homeScore: 0,
    awayScore: 0,
    description: "",
    feed,
    homeOnCourtIds: [],
    awayOnCourtIds: [],
    feedPossessionTeamId: 0,
    gameOver: false,
  };
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
