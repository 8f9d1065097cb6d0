import type { SourcePosition } from "../../proto/gen/courtside/v1/checkpoint_pb.ts";

/** One message of a source, with where it lies. */
export interface SourceRecord<I> {
  readonly value: I;
  readonly keyGroup: number;
  /** Position in the source, from 1, ascending. */
  readonly sequence: number;
  /** W3C `traceparent`, or empty. */
  readonly traceparent: string;
}

/** A replayable input. Its position belongs to the task's snapshot, never to the broker. */
export interface Source<I> {
  /**
   * Starts behind the given position, or at the beginning.
   * @throws when the position is no longer, or not yet, in the source.
   */
  open(from: SourcePosition | undefined): Promise<void>;
  /** Up to `maxRecords` in order; an empty list after `waitMs` without any. */
  poll(maxRecords: number, waitMs: number): Promise<readonly SourceRecord<I>[]>;
  /** Position to note when everything up to `sequence` has been taken in. */
  positionAt(sequence: number): SourcePosition;
  /** True for an input with an end that has been reached. */
  ended(): boolean;
  close(): Promise<void>;
}
