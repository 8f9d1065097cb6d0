import { countedAs } from "../../features/mod.ts";
import type { AnalysedPlay } from "../../proto/gen/courtside/v1/job_pb.ts";
import type { PlayEvent } from "../../proto/gen/courtside/v1/play_pb.ts";

/** True when nothing that is told of a play differs; the play itself is compared by its account, not here. */
export function sameAnalysis(a: AnalysedPlay, b: AnalysedPlay): boolean {
  return (
    a.gameTimeMs === b.gameTimeMs &&
    sameValue(a.features, b.features) &&
    sameValue(a.state, b.state) &&
    sameValue(a.loads, b.loads) &&
    sameValue(a.runGrown, b.runGrown) &&
    sameValue(a.result, b.result)
  );
}

/** True when both plays change a window's numbers in the same way, or neither is there. */
export function countsTheSame(a: PlayEvent | undefined, b: PlayEvent | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.side === b.side && a.teamId === b.teamId && countedAs(a) === countedAs(b);
}

/** Equality of plain values: numbers (as bits, near enough), text, and messages, field by field. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i += 1) if (!sameValue(a[i], b[i])) return false;
    return true;
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key of keys) if (!sameValue(left[key], right[key])) return false;
  return true;
}
