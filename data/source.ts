import {
  type DeadLetter,
  type GameInfo,
  type PlayEvent,
} from "../proto/gen/courtside/v1/play_pb.ts";

/** One game as a source gives it: everything that is published for it. */
export interface SourceGame {
  readonly info: GameInfo;
  /** In play_number order, without gaps. */
  readonly plays: PlayEvent[];
  /** Rows of this game that could not become plays. */
  readonly deadLetters: DeadLetter[];
  /** Rows of the source that belong to this game: plays plus dead letters. */
  readonly rows: number;
}
