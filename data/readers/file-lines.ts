import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { errorText } from "../../base/errors.ts";

/** Bytes asked of the disk at a time: large enough that the per-chunk cost vanishes, small beside one game. */
const CHUNK_SIZE_BYTES = 256 * 1024;

/** A line longer than this is no line of a feed: the longest documents of one game have about 1.5 MB. */
const LINE_MAX_CHARS = 64 * 1024 * 1024;

/** Some lines of a file, or the reason why there are no more although the file is not finished. */
export interface LineBatch {
  /** Number of the first line in the uncompressed file, from 1. */
  readonly firstLine: number;
  readonly lines: readonly string[];
  /** Set on the last batch of a file that broke off: what was wrong with it, and the line that was cut. */
  readonly broken?: { readonly message: string; readonly raw: string };
}

/**
 * Lines of a plain or gzip file (told by its first bytes, not its name), `\n` or `\r\n`, UTF-8 with or
 * without byte order mark. What a damaged gzip file held before the damage is still given.
 * @throws the system error when the file cannot be opened.
 */
export async function* fileLines(file: string): AsyncIterable<LineBatch> {
  const decoder = new TextDecoder("utf-8");
  let rest = "";
  let nextLine = 1;
  for await (const piece of fileBytes(file)) {
    const broken = piece.broken;
    const text = rest + decoder.decode(piece.bytes, { stream: broken === undefined });
    if (text.length > LINE_MAX_CHARS) {
      const message = "a line is longer than 64 MiB";
      yield { firstLine: nextLine, lines: [], broken: { message, raw: text.slice(0, 2048) } };
      return;
    }
    const lines = text.split("\n");
    rest = lines.pop() ?? "";
    // The line that was being written when the file broke off is as much lost as what follows it.
    if (lines.length > 0 || broken !== undefined) {
      yield {
        firstLine: nextLine,
        lines: lines.map(withoutReturn),
        ...(broken === undefined ? {} : { broken: { message: broken, raw: rest } }),
      };
    }
    nextLine += lines.length;
    if (broken !== undefined) return;
  }
  rest += decoder.decode();
  if (rest !== "") yield { firstLine: nextLine, lines: [withoutReturn(rest)] };
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}

interface BytePiece {
  readonly bytes: Uint8Array;
  readonly broken?: string;
}

async function* fileBytes(file: string): AsyncIterable<BytePiece> {
  let gunzip: Unzip | undefined;
  let first = true;
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_SIZE_BYTES })) {
    const bytes = chunk as Buffer;
    if (first && bytes[0] === 0x1f && bytes[1] === 0x8b) gunzip = new Unzip();
    first = false;
    if (gunzip === undefined) {
      yield { bytes };
      continue;
    }
    yield* await gunzip.write(bytes);
    if (gunzip.failed) return;
  }
  if (gunzip !== undefined) yield* await gunzip.end();
}

/**
 * Unpacks chunk by chunk and hands out everything that came before an error. A piped stream would drop
 * what it has buffered when it fails, and rows before a break must not be lost.
 */
class Unzip {
  readonly #stream = createGunzip({ chunkSize: CHUNK_SIZE_BYTES });
  #pieces: BytePiece[] = [];
  #error: unknown;

  constructor() {
    this.#stream.on("data", (bytes: Buffer) => this.#pieces.push({ bytes }));
    this.#stream.on("error", (error) => {
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
      const broken = `the compressed data ends or is damaged here (${errorText(this.#error)})`;
      pieces.push({ bytes: new Uint8Array(), broken });
    }
    return pieces;
  }
}
