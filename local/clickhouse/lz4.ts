import { Transform, type TransformCallback } from "node:stream";
import { CLICKHOUSE_CODE, refusal } from "./query-error.ts";

const MAGIC = 0x184d2204;
/** Blocks may refer back so far. */
const WINDOW_BYTES = 64 * 1024;
/** Largest block of the format. */
const MAX_BLOCK_BYTES = 4 * 1024 * 1024;

/**
 * Decompresses LZ4 frames, which Python's client sends by default and Node's zlib does not know. Checksums are
 * skipped: the transport has its own.
 *
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */
export function createLz4Decompress(): Transform {
  let input: Buffer = Buffer.alloc(0);
  let frame: { readonly blockChecksum: boolean; readonly contentChecksum: boolean } | undefined;
  let history: Buffer = Buffer.alloc(0);

  /** Takes one piece off the input. @returns false when it is not there as a whole yet. */
  const step = (push: (bytes: Buffer) => void): boolean => {
    if (frame === undefined) {
      const header = readHeader(input);
      if (header === undefined) return false;
      frame = header;
      history = Buffer.alloc(0);
      input = input.subarray(header.sizeBytes);
      return true;
    }
    if (input.length < 4) return false;
    const word = input.readUInt32LE(0);
    if (word === 0) {
      const endBytes = frame.contentChecksum ? 8 : 4;
      if (input.length < endBytes) return false;
      input = input.subarray(endBytes);
      frame = undefined;
      return true;
    }
    const sizeBytes = word & 0x7fffffff;
    if (sizeBytes > MAX_BLOCK_BYTES) throw damaged("a block is too long");
    const endBytes = 4 + sizeBytes + (frame.blockChecksum ? 4 : 0);
    if (input.length < endBytes) return false;
    const block = input.subarray(4, 4 + sizeBytes);
    const plain = word >>> 31 === 1 ? Buffer.from(block) : decodeBlock(block, history);
    history = Buffer.concat([history, plain]).subarray(-WINDOW_BYTES);
    input = input.subarray(endBytes);
    push(plain);
    return true;
  };

  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      try {
        input = input.length === 0 ? chunk : Buffer.concat([input, chunk]);
        while (input.length > 0 && step((bytes) => this.push(bytes)));
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    flush(done) {
      done(input.length > 0 || frame !== undefined ? damaged("it ends in the middle") : undefined);
    },
  });
}

function readHeader(
  input: Buffer,
): { sizeBytes: number; blockChecksum: boolean; contentChecksum: boolean } | undefined {
  if (input.length < 7) return undefined;
  if (input.readUInt32LE(0) !== MAGIC) throw damaged("it does not begin as a frame");
  const flags = input.readUInt8(4);
  const sizeBytes = 7 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4);
  if (input.length < sizeBytes) return undefined;
  return {
    sizeBytes,
    blockChecksum: (flags & 0x10) !== 0,
    contentChecksum: (flags & 0x04) !== 0,
  };
}

/** Sequences of literals and matches; a match may reach back into `history` and into itself. */
function decodeBlock(block: Buffer, history: Buffer): Buffer {
  let output = Buffer.allocUnsafe(Math.min(MAX_BLOCK_BYTES, history.length + block.length * 4));
  history.copy(output);
  let size = history.length;
  let at = 0;
  const length = (nibble: number): number => {
    let sum = nibble;
    for (let more = nibble === 15 ? 255 : 0; more === 255;) {
      more = block[at++] ?? -1;
      if (more < 0) throw damaged("a block ends in the middle");
      sum += more;
    }
    return sum;
  };
  const reserve = (bytes: number): void => {
    if (size + bytes - history.length > MAX_BLOCK_BYTES) throw damaged("a block is too long");
    if (size + bytes <= output.length) return;
    const larger = Buffer.allocUnsafe(2 * (size + bytes));
    output.copy(larger, 0, 0, size);
    output = larger;
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = length(token >> 4);
    reserve(literals);
    if (block.copy(output, size, at, at + literals) < literals)
      throw damaged("a block ends in the middle");
    at += literals;
    size += literals;
    if (at >= block.length) break;
    const offset = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    const matched = length(token & 15) + 4;
    if (offset === 0 || offset > size) throw damaged("a match points before the data");
    reserve(matched);
    for (let from = size - offset, end = size + matched; size < end; from += 1, size += 1)
      output[size] = output[from] ?? 0;
  }
  return output.subarray(history.length, size);
}

function damaged(what: string): Error {
  return refusal(
    CLICKHOUSE_CODE.cannotDecompress,
    "CANNOT_DECOMPRESS",
    `The body is no LZ4 frame: ${what}`,
  );
}
