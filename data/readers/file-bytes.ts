import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { type ReadableStream } from "node:stream/web";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { errorText } from "../../base/errors.ts";
import { tarContent } from "./tar.ts";

/** Bytes asked of the disk at a time: large enough that the cost of asking vanishes. */
const READ_SIZE_BYTES = 256 * 1024;

/**
 * Bytes that are read into rows at a time. Their text and the places of their fields stay in the processor's cache
 * while the rows are read: 256 KiB took half as long again.
 */
const CHUNK_SIZE_BYTES = 32 * 1024;

/** A line longer than this is no line of a feed: the longest documents of one game have about 1.5 MB. */
const LINE_MAX_BYTES = 64 * 1024 * 1024;

/** What a message shows of a line that cannot be used. */
const RAW_SHOWN_BYTES = 2048;

export const NEWLINE = 0x0a;

/** Whole lines of a file as bytes of UTF-8, or the reason why there are no more although it is not finished. */
export interface FileChunk {
  /** Ends with a line end, but for the last chunk of a file without one. */
  readonly bytes: Buffer;
  /** Set on the last chunk of a file that broke off: what was wrong with it, and the line that was cut. */
  readonly broken?: { readonly message: string; readonly raw: string };
}

/**
 * Whole lines of a file, plain or packed (gzip, zstd, xz, a tar archive in any of them; told by the first bytes, not the name), UTF-8 with or without
 * byte order mark or UTF-16 with one. What a damaged packed file held before the damage is still given.
 * @throws the system error when the file cannot be opened.
 */
export async function* fileChunks(file: string): AsyncIterable<FileChunk> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const { bytes, broken } of utf8Pieces(tarContent(unpackedPieces(file)))) {
    const piece = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    const end = piece.lastIndexOf(NEWLINE) + 1;
    rest = piece.subarray(end);
    const problem = rest.length > LINE_MAX_BYTES ? "a line is longer than 64 MiB" : broken;
    if (problem === undefined) {
      if (end > 0) yield { bytes: piece.subarray(0, end) };
      continue;
    }
    // The line that was being written when the file broke off is as much lost as what follows it.
    const raw = rest.toString("utf8", 0, RAW_SHOWN_BYTES);
    yield { bytes: piece.subarray(0, end), broken: { message: problem, raw } };
    return;
  }
  if (rest.length > 0) yield { bytes: rest };
}

/** A piece of a file, or the reason why none follows. */
export interface BytePiece {
  readonly bytes: Buffer;
  readonly broken?: string;
}

async function* unpackedPieces(file: string): AsyncIterable<BytePiece> {
  let unpacker: Unpacker | undefined;
  let first = true;
  for await (const chunk of createReadStream(file, { highWaterMark: READ_SIZE_BYTES })) {
    const bytes = chunk as Buffer;
    if (first && startsWith(bytes, XZ)) {
      yield* xzPieces(file);
      return;
    }
    if (first) unpacker = unpackerFor(bytes);
    first = false;
    if (unpacker === undefined) {
      for (let at = 0; at < bytes.length; at += CHUNK_SIZE_BYTES) {
        yield { bytes: bytes.subarray(at, at + CHUNK_SIZE_BYTES) };
      }
      continue;
    }
    yield* await unpacker.write(bytes);
    if (unpacker.failed) return;
  }
  if (unpacker !== undefined) yield* await unpacker.end();
}

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
const XZ = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0];

function startsWith(head: Buffer, magic: readonly number[]): boolean {
  return magic.every((byte, at) => head[at] === byte);
}

function unpackerFor(head: Buffer): Unpacker | undefined {
  if (startsWith(head, GZIP)) return new Unpacker(createGunzip({ chunkSize: CHUNK_SIZE_BYTES }));
  if (!startsWith(head, ZSTD)) return undefined;
  return new Unpacker(createZstdDecompress({ chunkSize: CHUNK_SIZE_BYTES }));
}

/** Node has no xz of its own; the library gives what came before an error, and then the error. */
async function* xzPieces(file: string): AsyncIterable<BytePiece> {
  // Loaded when it is needed: nothing else starts slower for it.
  const { default: xz } = await import("xz-decompress");
  const packed = Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>;
  const unpacked = new xz.XzReadableStream(packed) as unknown as AsyncIterable<Uint8Array>;
  try {
    for await (const bytes of unpacked) {
      for (let at = 0; at < bytes.length; at += CHUNK_SIZE_BYTES) {
        yield { bytes: Buffer.from(bytes.slice(at, at + CHUNK_SIZE_BYTES)) };
      }
    }
  } catch (error) {
    yield { bytes: Buffer.alloc(0), broken: damaged(error) };
  }
}

function damaged(error: unknown): string {
  return `the compressed data ends or is damaged here (${errorText(error)})`;
}

type UnpackStream = ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>;

/**
 * Unpacks chunk by chunk and hands out everything that came before an error. A piped stream would drop
 * what it has buffered when it fails, and rows before a break must not be lost.
 */
class Unpacker {
  readonly #stream: UnpackStream;
  #pieces: BytePiece[] = [];
  #error: unknown;

  constructor(stream: UnpackStream) {
    this.#stream = stream;
    stream.on("data", (bytes: Buffer) => this.#pieces.push({ bytes }));
    stream.on("error", (error) => {
      this.#error = error;
    });
  }

  get failed(): boolean {
    return this.#error !== undefined;
  }

  async write(bytes: Uint8Array): Promise<BytePiece[]> {
    await new Promise<void>((resolve) => {
      this.#stream.once("close", resolve);
      this.#stream.write(bytes, () => {
        this.#stream.off("close", resolve);
        setImmediate(resolve);
      });
    });
    return this.#take();
  }

  async end(): Promise<BytePiece[]> {
    await new Promise<void>((resolve) => {
      this.#stream.once("close", resolve);
      this.#stream.end();
    });
    return this.#take();
  }

  #take(): BytePiece[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    if (this.#error !== undefined) {
      pieces.push({ bytes: Buffer.alloc(0), broken: damaged(this.#error) });
    }
    return pieces;
  }
}

/** Drops a byte order mark; text in UTF-16, told by its mark, becomes UTF-8. */
async function* utf8Pieces(pieces: AsyncIterable<BytePiece>): AsyncIterable<BytePiece> {
  let decoder: InstanceType<typeof TextDecoder> | undefined;
  let first = true;
  for await (const piece of pieces) {
    let { bytes } = piece;
    if (first && bytes.length > 0) {
      first = false;
      if (bytes[0] === 0xff && bytes[1] === 0xfe) decoder = new TextDecoder("utf-16le");
      else if (bytes[0] === 0xfe && bytes[1] === 0xff) decoder = new TextDecoder("utf-16be");
      else if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
        bytes = bytes.subarray(3);
    }
    if (decoder !== undefined) bytes = Buffer.from(decoder.decode(bytes, { stream: true }));
    yield { ...piece, bytes };
  }
  const tail = decoder?.decode() ?? "";
  if (tail !== "") yield { bytes: Buffer.from(tail) };
}
