import type { SeenPlays } from "../../proto/gen/courtside/v1/job_pb.ts";

/** Numbers that may be outstanding at once: more than any game has plays, so a gap never grows state. */
const MAX_MISSING = 1024;

/** What to do with the next play of a game. */
export type Verdict =
  | { readonly kind: "next" }
  /** Taken in before: drop it, nothing is lost. */
  | { readonly kind: "duplicate" }
  /** Not taken in before, and too late now: the plays behind it have been counted already. */
  | { readonly kind: "out-of-order"; readonly after: number };

/** Judges a play number and remembers it. Changes `seen` in place. */
export function judge(seen: SeenPlays, playNumber: number): Verdict {
  const last = seen.lastPlayNumber;
  if (playNumber <= last) {
    const index = seen.missing.indexOf(playNumber);
    if (index < 0) return { kind: "duplicate" };
    seen.missing.splice(index, 1);
    return { kind: "out-of-order", after: last };
  }
  const from = Math.max(last + 1, playNumber - MAX_MISSING);
  for (let number = from; number < playNumber; number += 1) seen.missing.push(number);
  if (seen.missing.length > MAX_MISSING) seen.missing.splice(0, seen.missing.length - MAX_MISSING);
  seen.lastPlayNumber = playNumber;
  return { kind: "next" };
}
