/** What stands beside the curve: runs, time-outs, lead changes, revised points. */
import { type PlayRow, type WireSide } from "../wire.ts";

export type Mark =
  | {
      readonly kind: "run";
      readonly side: WireSide;
      readonly points: number;
      readonly fromS: number;
      readonly elapsedS: number;
    }
  | { readonly kind: "timeout"; readonly side: WireSide; readonly elapsedS: number }
  | { readonly kind: "lead"; readonly side: WireSide; readonly elapsedS: number }
  | {
      readonly kind: "revised";
      readonly side: WireSide;
      readonly elapsedS: number;
      readonly homeWinProb: number;
    };

/** Unanswered points that make a run, as the job has it. */
const RUN_POINTS = 8;

/** @param plays - by rising number, without those that were taken back */
export function marksOf(plays: readonly PlayRow[]): Mark[] {
  const marks: Mark[] = [];
  let leader: WireSide | null = null;
  let run: { side: WireSide; points: number; fromS: number; endS: number } | null = null;
  const endRun = (): void => {
    if (run !== null && run.points >= RUN_POINTS) {
      const { side, points, fromS, endS } = run;
      marks.push({ kind: "run", side, points, fromS, elapsedS: endS });
    }
    run = null;
  };
  for (const play of plays) {
    const { elapsedS, side, homeWinProb } = play;
    if (play.kind === "timeout" && side !== null) marks.push({ kind: "timeout", side, elapsedS });
    if (play.revision > 1 && homeWinProb !== null) {
      marks.push({ kind: "revised", side: side ?? "home", elapsedS, homeWinProb });
    }
    const ahead = leaderOf(play);
    if (ahead !== null && leader !== null && ahead !== leader)
      marks.push({ kind: "lead", side: ahead, elapsedS });
    leader = ahead ?? leader;
    const runSide: WireSide | null = play.run === 0 ? null : play.run > 0 ? "home" : "away";
    const points = Math.abs(play.run);
    if (runSide === null || run === null || run.side !== runSide || points < run.points) {
      endRun();
      if (runSide !== null) run = { side: runSide, points, fromS: elapsedS, endS: elapsedS };
    } else if (points > run.points) {
      run.points = points;
      run.endS = elapsedS;
    }
  }
  endRun();
  return marks;
}

function leaderOf({ homeScore, awayScore }: PlayRow): WireSide | null {
  if (homeScore === awayScore) return null;
  return homeScore > awayScore ? "home" : "away";
}
