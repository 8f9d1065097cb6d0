import type { EdgeState, SourcePosition } from "../../proto/gen/courtside/v1/checkpoint_pb.ts";

/** One message of a source, with where it lies. */
export interface SourceRecord<I> {
  readonly value: I;
  readonly keyGroup: number;
  /** Event time, when the source knows it: one that comes out of another stage does. */
  readonly eventTimeMs?: number;
  /** Position in the source, from 1, ascending. */
  readonly sequence: number;
  /** W3C `traceparent`, or empty. */
  readonly traceparent: string;
}

/** What a repartition stream carries between its records. */
export type InBand =
  | { readonly barrierId: number }
  | { readonly watermarkMs: number; readonly scope: string }
  | { readonly idle: boolean };

export function isInBand<I>(element: SourceRecord<I> | InBand): element is InBand {
  return !("keyGroup" in element);
}

/** What a source is told at its start beside its position. */
export interface SourceStart {
  readonly epoch: number;
  /** Progress of the repartition streams, from the snapshot. */
  readonly edges: readonly EdgeState[];
}

/** A replayable input. Its position belongs to the task's snapshot, never to the broker. */
export interface Source<I> {
  /** True for a repartition stream: barriers come in it, and nothing asks it for its position. */
  readonly inBand?: boolean;
  /**
   * Starts behind the given position, or at the beginning.
   * @throws when the position is no longer, or not yet, in the source.
   */
  open(from: SourcePosition | undefined, start: SourceStart): Promise<void>;
  /** Up to `maxRecords` in order; an empty list after `waitMs` without any. */
  poll(maxRecords: number, waitMs: number): Promise<readonly (SourceRecord<I> | InBand)[]>;
  /** Splits that should not be read for now, because they are ahead of the others; all others go on. */
  pauseSplits?(splits: readonly string[]): void;
  /** Position to note when everything up to `sequence` has been taken in. */
  positionAt(sequence: number): SourcePosition;
  /** Progress of a repartition stream at the barrier that is being taken; asked once a barrier. */
  edgeStates?(): readonly EdgeState[];
  /** True for an input with an end that has been reached. */
  ended(): boolean;
  close(): Promise<void>;
}
