import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type GameLog,
  GameLogSchema,
  PlayListSchema,
} from "../../proto/gen/courtside/v1/job_pb.ts";
import { type PlayEvent, PlayEventSchema } from "../../proto/gen/courtside/v1/play_pb.ts";

/**
 * Accounts that are packed together: 64 of about 250 bytes become 3 to 4 KB, a whole game of 550 about 30 KB, and
 * a correction of a recent play unpacks at most two packs.
 */
export const PACK_PLAYS = 64;

/** Plays of one game: five times the longest on record; a feed that has more is ill. */
export const MAX_PLAYS = 4096;

/** Accounts beyond twice the plays and this are rewritten to those that hold: the log stays of the game's size. */
const SLACK_ACCOUNTS = 256;

/** The fastest level: higher ones save another tenth at several times the time. */
const PACK_OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Field 1 of `PlayList` and of nothing else, length-delimited. */
const PLAY_TAG = 0x0a;

/** One account of a play, with its bytes when they are at hand. */
export interface Account {
  readonly play: PlayEvent;
  /** As it came; may be a view on a larger buffer. */
  readonly bytes: Uint8Array | undefined;
}

export function createLog(): GameLog {
  return create(GameLogSchema);
}

/** Highest number known, 0 before the first. */
export function lastNumberOf(log: GameLog): number {
  return log.ends.at(-1) ?? 0;
}

/** Revision under which a play is known; 0 for one that is not. */
export function revisionOf(log: GameLog, playNumber: number): number {
  const at = rangeAt(log, playNumber);
  if ((log.ends[at] ?? -1) < playNumber) return 0;
  return log.revisions[playNumber] ?? 1;
}

/** How many plays are known, those that were taken back included. */
export function knownPlays(log: GameLog): number {
  let known = 0;
  for (const [i, start] of log.starts.entries()) known += (log.ends[i] ?? start) - start + 1;
  return known;
}

/** Revision of an account: feeds that know none leave it at 0. */
export function accountRevision(play: PlayEvent): number {
  return Math.max(1, play.revision);
}

/** Takes an account in; it must have a higher revision than the play is known under. */
export function remember(log: GameLog, { play, bytes }: Account): void {
  know(log, play.playNumber);
  const revision = accountRevision(play);
  if (revision !== 1) log.revisions[play.playNumber] = revision;
  // A copy: a view would keep the whole buffer of the connection alive.
  append(log, play.playNumber, bytes?.slice() ?? toBinary(PlayEventSchema, play));
}

/**
 * The accounts that hold, by number: the latest revision of each play that was not taken back.
 * @param after - plays up to this number are left out, and not unpacked where that can be helped.
 */
export function currentPlays(log: GameLog, after: number): PlayEvent[] {
  const byNumber = new Map<number, PlayEvent>();
  const take = (play: PlayEvent): void => {
    if (play.playNumber > after) byNumber.set(play.playNumber, play);
  };
  for (const [i, packed] of log.packed.entries()) {
    if ((log.packedMax[i] ?? 0) <= after) continue;
    for (const play of fromBinary(PlayListSchema, zstdDecompressSync(packed)).plays) take(play);
  }
  for (const bytes of log.recent) take(fromBinary(PlayEventSchema, bytes));
  return [...byNumber.values()]
    .filter((play) => !play.retracted)
    .sort((a, b) => a.playNumber - b.playNumber);
}

/** Drops accounts that have been replaced, once they outweigh those that hold. */
export function compact(log: GameLog): void {
  if (log.accounts <= 2 * knownPlays(log) + SLACK_ACCOUNTS) return;
  const plays = currentPlays(log, 0);
  log.packed = [];
  log.packedMax = [];
  log.recent = [];
  log.recentMax = 0;
  log.accounts = 0;
  for (const play of plays) append(log, play.playNumber, toBinary(PlayEventSchema, play));
}

/** Packs what is left over: nothing is expected to come any more. */
export function pack(log: GameLog): void {
  if (log.recent.length === 0) return;
  log.packed.push(zstdCompressSync(listBytes(log.recent), PACK_OPTIONS));
  log.packedMax.push(log.recentMax);
  log.recent = [];
  log.recentMax = 0;
}

/** What is kept for good: the numbers, so that plays that come again are known as such. */
export function close(log: GameLog): void {
  log.closed = true;
  log.packed = [];
  log.packedMax = [];
  log.recent = [];
  log.snapshots = [];
  log.accounts = 0;
}

function append(log: GameLog, playNumber: number, bytes: Uint8Array): void {
  log.recent.push(bytes);
  log.recentMax = Math.max(log.recentMax, playNumber);
  log.accounts += 1;
  if (log.recent.length >= PACK_PLAYS) pack(log);
}

/** Index of the last range that starts at or before the number; -1 for none. */
function rangeAt({ starts }: GameLog, playNumber: number): number {
  let at = starts.length - 1;
  // Nearly always the last one: plays come in order but for a few.
  if ((starts[at] ?? Infinity) <= playNumber) return at;
  let low = 0;
  while (low <= at) {
    const middle = (low + at) >> 1;
    if ((starts[middle] ?? 0) <= playNumber) low = middle + 1;
    else at = middle - 1;
  }
  return at;
}

function know(log: GameLog, playNumber: number): void {
  const { starts, ends } = log;
  const at = rangeAt(log, playNumber);
  const end = ends[at] ?? -1;
  if (end >= playNumber) return;
  const joinsNext = starts[at + 1] === playNumber + 1;
  if (end === playNumber - 1) {
    if (!joinsNext) ends[at] = playNumber;
    else {
      ends.splice(at, 1);
      starts.splice(at + 1, 1);
    }
  } else if (joinsNext) starts[at + 1] = playNumber;
  else {
    starts.splice(at + 1, 0, playNumber);
    ends.splice(at + 1, 0, playNumber);
  }
}

/** The bytes of a `PlayList`, made of the bytes of its plays. */
function listBytes(plays: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const play of plays) size += 1 + varintBytes(play.length) + play.length;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const play of plays) {
    bytes[at++] = PLAY_TAG;
    let length = play.length;
    for (; length > 0x7f; length >>>= 7) bytes[at++] = (length & 0x7f) | 0x80;
    bytes[at++] = length;
    bytes.set(play, at);
    at += play.length;
  }
  return bytes;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) bytes += 1;
  return bytes;
}
