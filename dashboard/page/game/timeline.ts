/** The plays of a game as a line to walk along. */
import { type PlayRow } from "../../wire.ts";
import { type Watched } from "../live.ts";
import { type CurvePoint } from "../curve.ts";
import { type Mark, marksOf } from "../marks.ts";
import { biggestSwings, changesOf, type Swing } from "../../story.ts";

/** Swings that are numbered on the curve: five fit without hiding it. */
const SWINGS = 5;

export interface Timeline {
  /** Plays that stand, by rising number: those taken back are only in the list. */
  readonly plays: readonly PlayRow[];
  /** Of the home win probability by each of `plays`, -1..1. */
  readonly changes: readonly (number | null)[];
  /** Points of the curve: before tip-off when there is such a probability, then the plays that have one. */
  readonly points: readonly CurvePoint[];
  /** Index in `plays` of each point; -1 before tip-off. */
  readonly playAt: readonly number[];
  readonly marks: readonly Mark[];
  readonly swings: readonly Swing[];
  /** Points of the swings. */
  readonly swingPoints: readonly number[];
  readonly pregame: number | null;
}

export function timelineOf({ plays: all, facts }: Pick<Watched, "plays" | "facts">): Timeline {
  const plays = all.filter(({ retracted }) => !retracted);
  const pregame = facts?.homePregameWinProb ?? null;
  const points: CurvePoint[] = [];
  const playAt: number[] = [];
  if (pregame !== null) {
    points.push({ elapsedS: 0, homeWinProb: pregame, low: null, high: null });
    playAt.push(-1);
  }
  const pointOfPlay = new Map<number, number>();
  plays.forEach(({ elapsedS, homeWinProb, low, high }, index) => {
    if (homeWinProb === null) return;
    pointOfPlay.set(index, points.length);
    points.push({ elapsedS, homeWinProb, low, high });
    playAt.push(index);
  });
  const swings = biggestSwings(plays, pregame, SWINGS);
  return {
    plays,
    changes: changesOf(plays, pregame),
    points,
    playAt,
    marks: marksOf(plays),
    swings,
    swingPoints: swings.flatMap(({ index }) => pointOfPlay.get(index) ?? []),
    pregame,
  };
}

/** Point of a play by its number; null when there is none. */
export function pointOfNumber({ plays, playAt }: Timeline, number: number): number | null {
  const point = playAt.findIndex((index) => plays[index]?.number === number);
  return point < 0 ? null : point;
}
