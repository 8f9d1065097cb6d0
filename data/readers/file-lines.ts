import { isAscii } from "node:buffer";
import { fileChunks } from "./file-bytes.ts";

/** Some lines of a file, or the reason why there are no more although the file is not finished. */
export interface LineBatch {
  /** Number of the first line in the uncompressed file, from 1. */
  readonly firstLine: number;
  readonly lines: readonly string[];
  /** Set on the last batch of a file that broke off: what was wrong with it, and the line that was cut. */
  readonly broken?: { readonly message: string; readonly raw: string };
}

/**
 * Lines of a plain or packed file, `\n` or `\r\n`, see `fileChunks`.
 * @throws the system error when the file cannot be opened.
 */
export async function* fileLines(file: string): AsyncIterable<LineBatch> {
  let firstLine = 1;
  for await (const { bytes, broken } of fileChunks(file)) {
    const lines = (isAscii(bytes) ? bytes.toString("latin1") : bytes.toString("utf8")).split("\n");
    if (lines.at(-1) === "") lines.pop();
    for (const [at, line] of lines.entries()) {
      if (line.endsWith("\r")) lines[at] = line.slice(0, -1);
    }
    yield { firstLine, lines, ...(broken === undefined ? {} : { broken }) };
    firstLine += lines.length;
  }
}
