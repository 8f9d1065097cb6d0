import { NEWLINE, fileChunks } from "../readers/file-bytes.ts";
import { fileLines } from "../readers/file-lines.ts";
import { type Json, list, member, parseJson } from "../readers/json-cells.ts";

/**
 * Rows of a file, counted without the readers: lines behind the header of a table, actions of JSON documents.
 * Undefined for documents of no known form. A season file has no line breaks in its fields.
 */
export async function countRows(file: string): Promise<number | undefined> {
  let lines = 0;
  for await (const { bytes } of fileChunks(file)) {
    if (lines === 0 && bytes[0] === "{".charCodeAt(0)) return countActions(file);
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
    if (bytes.at(-1) !== NEWLINE) lines++;
  }
  return Math.max(0, lines - 1);
}

async function countActions(file: string): Promise<number | undefined> {
  const whole: string[] = [];
  let actions = 0;
  for await (const { lines } of fileLines(file)) {
    whole.push(...lines);
    for (const line of lines) {
      const game = member(member(parseJson(line), "playbyplay"), "game");
      actions += list(member(game, "actions")).length;
    }
  }
  return actions > 0 ? actions : rowsOfDocument(parseJson(whole.join("\n")));
}

function rowsOfDocument(document: Json): number | undefined {
  const counts = [
    list(member(member(document, "game"), "actions")).length,
    list(member(document, "plays")).length,
    list(member(member(document, "g"), "pd")).flatMap((part) => list(member(part, "pla"))).length,
    list(member(list(member(document, "resultSets"))[0], "rowSet")).length,
  ];
  return counts.find((count) => count > 0);
}
