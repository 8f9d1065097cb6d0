import { FoulKind } from "../../proto/gen/courtside/v1/play_pb.ts";

/** Words that name a kind of foul in the feeds, most telling first. */
const WORDS: readonly (readonly [RegExp, FoulKind])[] = [
  [
    /defens(e|ive)[- ]3[- ]second|delay|too many|excess|non-unsport|flopping|bench/i,
    FoulKind.NON_PERSONAL,
  ],
  [/tech|taunting/i, FoulKind.TECHNICAL],
  [/flagrant|punch/i, FoulKind.FLAGRANT],
  [/clear[- ]path/i, FoulKind.CLEAR_PATH],
  [/away[- ]from[- ]play/i, FoulKind.AWAY_FROM_PLAY],
  [/double/i, FoulKind.DOUBLE],
  [/take/i, FoulKind.TAKE],
  [/loose ball/i, FoulKind.LOOSE_BALL],
  [/offensive|charge|off-the-ball/i, FoulKind.OFFENSIVE],
  [/shooting/i, FoulKind.SHOOTING],
  [/personal|inbound|block/i, FoulKind.PERSONAL],
];

/** Spellings whose kind is remembered: the feeds have some dozens, a damaged file has any number. */
const REMEMBERED_MAX = 500;

const remembered = new Map<string, FoulKind>();

/** Kind of a foul by the feed's own words; `UNSPECIFIED` for words that are not known. */
export function foulKindOf(words: string): FoulKind {
  const known = remembered.get(words);
  if (known !== undefined) return known;
  const kind = WORDS.find(([pattern]) => pattern.test(words))?.[1] ?? FoulKind.UNSPECIFIED;
  if (remembered.size < REMEMBERED_MAX) remembered.set(words, kind);
  return kind;
}
