import { type BytePiece } from "./file-bytes.ts";

const BLOCK_BYTES = 512;
const MAGIC_AT = 257;
/** Types of entries that are files: `0`, and a zero byte in old archives. */
const FILE_TYPES = new Set([0x30, 0]);

/** Packed data ends in the middle of a file of the archive. */
const CUT = "the archive ends in the middle of a file";

/**
 * The content of the files in a tar archive, one behind the other; anything else is passed through as it is. The
 * season archives hold one table each.
 */
export async function* tarContent(pieces: AsyncIterable<BytePiece>): AsyncIterable<BytePiece> {
  let held: Buffer = Buffer.alloc(0);
  let isTar: boolean | undefined;
  /** Bytes of the entry under way that are still to come, and whether it is a file. */
  let left = 0;
  let padding = 0;
  let isFile = false;
  let cut = false;
  for await (const piece of pieces) {
    if (isTar === false) {
      yield piece;
      continue;
    }
    let bytes = held.length === 0 ? piece.bytes : Buffer.concat([held, piece.bytes]);
    if (isTar === undefined) {
      held = bytes;
      if (bytes.length < BLOCK_BYTES && piece.broken === undefined) continue;
      isTar = bytes.toString("latin1", MAGIC_AT, MAGIC_AT + 5) === "ustar";
      if (!isTar) {
        held = Buffer.alloc(0);
        yield { ...piece, bytes };
        continue;
      }
    }
    for (;;) {
      const taken = bytes.subarray(0, left);
      if (isFile && taken.length > 0) yield { bytes: taken };
      left -= taken.length;
      bytes = bytes.subarray(taken.length);
      const skipped = Math.min(padding, left === 0 ? bytes.length : 0);
      padding -= skipped;
      bytes = bytes.subarray(skipped);
      if (left > 0 || padding > 0 || bytes.length < BLOCK_BYTES) break;
      const size = Number.parseInt(bytes.toString("latin1", 124, 136).replaceAll("\0", " "), 8);
      left = Number.isSafeInteger(size) && size >= 0 ? size : 0;
      padding = (BLOCK_BYTES - (left % BLOCK_BYTES)) % BLOCK_BYTES;
      isFile = FILE_TYPES.has(bytes[156] as number);
      bytes = bytes.subarray(BLOCK_BYTES);
    }
    held = bytes;
    cut = left > 0;
    if (piece.broken !== undefined) yield { bytes: Buffer.alloc(0), broken: piece.broken };
  }
  if (isTar === undefined && held.length > 0) yield { bytes: held };
  if (isTar === true && cut) yield { bytes: Buffer.alloc(0), broken: CUT };
}
