import { readdir } from "node:fs/promises";
import path from "node:path";
import { fileLines } from "./file-lines.ts";

/** A player's line on a box score page. */
export interface BoxPagePlayer {
  /** The site's own id, for example `tatumja01`. */
  readonly slug: string;
  readonly name: string;
  /** As its play-by-play spells it: `J. Tatum`. */
  readonly shortName: string;
  /** First five of the table. */
  readonly starter: boolean;
  readonly playedS: number;
  /** Cells by the page's names: pts, trb, ast, stl, blk, tov, pf, ... */
  readonly cells: ReadonlyMap<string, number>;
}

/** What a page says of a game. */
export interface BoxPage {
  /** Players who played, by the three letters of their team. */
  readonly teams: ReadonlyMap<string, readonly BoxPagePlayer[]>;
}

/** Players of a team's table; more is no box score. */
const PLAYERS_MAX = 30;
const STARTERS = 5;

/**
 * Reads a box score page of basketball-reference.com: the tables `box-XXX-game-basic`, one row a player, cells by
 * their `data-stat`. Whatever else is on the page is passed over.
 *
 * | BoxPagePlayer | from |
 * | --- | --- |
 * | slug | `data-append-csv` of the row's head |
 * | name | text of the row's head |
 * | starter | one of the first five rows |
 * | played | `data-stat="mp"`, minutes and seconds |
 * | cells | the other cells, numbers |
 */
export function readBoxPage(html: string): BoxPage {
  const teams = new Map<string, BoxPagePlayer[]>();
  for (const [, tricode = "", table = ""] of html.matchAll(TABLE)) {
    const players: BoxPagePlayer[] = [];
    let at = 0;
    for (const [row] of table.matchAll(ROW)) {
      const player = playerOf(row, at < STARTERS);
      if (player === "head") continue;
      at++;
      if (player !== undefined && players.length < PLAYERS_MAX) players.push(player);
    }
    teams.set(tricodeOf(tricode), players);
  }
  return { teams };
}

/** The page of the same game in the folder of a play-by-play file; pages are named `...<yyyymmdd>0<home>.html`. */
export async function readBoxPageBeside(
  file: string,
  date: string | undefined,
  home: string,
): Promise<BoxPage | undefined> {
  if (date === undefined) return undefined;
  const folder = path.dirname(file);
  const wanted = `${date.replaceAll("-", "")}0${siteCodeOf(home)}.html`;
  const name = (await readdir(folder)).find((each) =>
    each.replace(/\.(gz|zst)$/, "").endsWith(wanted),
  );
  if (name === undefined) return undefined;
  const lines: string[] = [];
  for await (const batch of fileLines(path.join(folder, name))) lines.push(...batch.lines);
  return readBoxPage(lines.join("\n"));
}

const TABLE = /<table[^>]*\bid="box-([A-Z]{3})-game-basic"[^>]*>([\s\S]*?)<\/table>/g;
const ROW = /<tr\b[\s\S]*?<\/tr>/g;
const PLAYER = /<th[^>]*data-append-csv="([^"]+)"[^>]*>([\s\S]*?)<\/th>/;
const CELL = /<td[^>]*data-stat="([^"]+)"[^>]*>([^<]*)<\/td>/g;

/** "head" for rows that are no player; undefined for one who did not play. */
function playerOf(row: string, starter: boolean): BoxPagePlayer | "head" | undefined {
  const head = PLAYER.exec(row);
  if (head === null) return "head";
  const [, slug = "", inner = ""] = head;
  const name = decoded(inner.replace(/<[^>]*>/g, "")).trim();
  const cells = new Map<string, number>();
  let playedS = 0;
  for (const [, stat = "", text = ""] of row.matchAll(CELL)) {
    const clock = /^(\d{1,3}):(\d\d)$/.exec(text);
    if (stat === "mp" && clock !== null) playedS = Number(clock[1]) * 60 + Number(clock[2]);
    else if (/^[+-]?\d+$/.test(text)) cells.set(stat, Number(text));
  }
  if (!cells.has("pts")) return undefined;
  const shortName = name.replace(/^(\S)\S* /, "$1. ");
  return { slug, name, shortName, starter, playedS, cells };
}

function decoded(text: string): string {
  return text
    .replaceAll("&#39;", "'")
    .replaceAll("&quot;", '"')
    .replaceAll("&nbsp;", " ")
    .replaceAll("&amp;", "&");
}

/** The site's codes that are not the league's. */
const CODES: readonly (readonly [site: string, league: string])[] = [
  ["BRK", "BKN"],
  ["CHO", "CHA"],
  ["PHO", "PHX"],
];

function tricodeOf(site: string): string {
  return CODES.find(([code]) => code === site)?.[1] ?? site;
}

function siteCodeOf(tricode: string): string {
  return CODES.find(([, code]) => code === tricode)?.[0] ?? tricode;
}
