import { Feed, type PlayEvent, PlayKind, Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { type CsvRow } from "./csv.ts";
import { type Draft, type GameRows, newPlay } from "./draft.ts";
import { acceptPlays, finishGame, gameDay, type GameOrigin } from "./finish.ts";
import { foulKindOf } from "./fouls.ts";
import { spelledName } from "./names.ts";
import { setReboundKinds } from "./rebounds.ts";
import { clockDs, ID_MAX, isoClockDs, PERIOD_MAX, RowCells, SCORE_MAX } from "./row-cells.ts";
import { setSides, sideOf, SideVotes, type Teams, voteByScore } from "./sides.ts";
import { defaultTipoffMs, estimateTimes } from "./wall-clock.ts";

/** Columns without which a file is not of this format. */
export const CDN_ARCHIVE_COLUMNS = [
  "period",
  "clock",
  "actionNumber",
  "actionType",
  "description",
  "playerName",
  "scoreHome",
  "scoreAway",
  "shotResult",
  "person_id",
  "assister_id",
  "foulDrawnPersonId",
  "players_on",
  "teamId",
  "game_id",
] as const;

type Cells = RowCells<(typeof CDN_ARCHIVE_COLUMNS)[number]>;

/** A side's share of `players_on`. */
const FIVE = 5;

/**
 * Reader of cdn.nba.com rows as the season archives re-laid them.
 *
 * | PlayEvent | from |
 * | --- | --- |
 * | kind | `actionType`; steals and blocks have rows of their own; no period, jump-ball or review rows |
 * | team | `teamId`; home and away by whose score rises |
 * | actor | `person_id`, 0 on team events |
 * | assister, fouled | `assister_id`, `foulDrawnPersonId` |
 * | player in, player out | two rows, `SUB in:` and `SUB out:` |
 * | score | `scoreHome`, `scoreAway` on every row, running maximum |
 * | free throw | `shotResult`; `1 of 2` from the description |
 * | rebound kind | running counts in the description, team rebounds by its word or by who missed |
 * | foul kind, subtype | words between the name and FOUL or TURNOVER in the description |
 * | event time | estimated from the date and game time |
 * | on court | `players_on` split by team; between the rows of a change the five before it; else none |
 */
export class CdnArchiveReader {
  readonly feed = Feed.CDN_ARCHIVE;
  readonly #cells: Cells;

  constructor(header: readonly string[]) {
    this.#cells = new RowCells(header, CDN_ARCHIVE_COLUMNS);
  }

  readGame(game: GameRows<CsvRow>, origin: GameOrigin): SourceGame {
    const drafts = game.rows.map((row) => this.#draft(row, game.gameId));
    const votes = new SideVotes();
    voteByScore(drafts, votes);
    for (const { play } of drafts) {
      if (play.kind === PlayKind.TIMEOUT) nameTeam(play, votes);
    }
    const teams = votes.teams(origin.reference.games.get(game.gameId));
    setSides(drafts, teams);
    const accepted = acceptPlays(drafts, game.gameId);
    const plays = accepted.map((draft) => draft.play);
    setReboundKinds(plays);
    splitPlayersOn(accepted, teams);
    const { date } = gameDay(game.gameId, origin.reference);
    estimateTimes(plays, defaultTipoffMs(date), []);
    return finishGame(origin, game, drafts, accepted, teams);
  }

  #draft(row: CsvRow, gameId: string): Draft {
    const cells = this.#cells.set(row);
    const play = newPlay(gameId, this.feed);
    const draft: Draft = { place: row, play, problem: undefined };
    if (cells.problem === undefined) {
      play.period = cells.requiredInt(cells.at.period, 1, PERIOD_MAX);
      play.clockRemainingDs = clockDs(cells, cells.text(cells.at.clock), play.period, isoClockDs);
      play.description = cells.text(cells.at.description);
      draft.homeScore = cells.requiredInt(cells.at.scoreHome, 0, SCORE_MAX);
      draft.awayScore = cells.requiredInt(cells.at.scoreAway, 0, SCORE_MAX);
      play.teamId = cells.int(cells.at.teamId, ID_MAX);
      play.actorId = cells.int(cells.at.person_id, ID_MAX);
      const surname = cells.text(cells.at.playerName);
      if (play.actorId !== 0) play.actorName = spelledName(play.description, surname) || surname;
      readKind(cells, play);
      draft.playersOn = cells.text(cells.at.players_on);
    }
    draft.problem = cells.problem;
    return draft;
  }
}

function readKind(cells: Cells, play: PlayEvent): void {
  const action = cells.text(cells.at.actionType);
  switch (action) {
    case "2pt":
    case "3pt":
      play.kind = PlayKind.SHOT;
      play.shotValue = action === "3pt" ? 3 : 2;
      play.shotMade = isMade(cells);
      play.assisterId = cells.int(cells.at.assister_id, ID_MAX);
      setDistance(play);
      return;
    case "freethrow": {
      play.kind = PlayKind.FREE_THROW;
      play.shotValue = 1;
      play.shotMade = isMade(cells);
      const match = /(\d) of (\d)/.exec(play.description);
      play.freeThrowNumber = Number(match?.[1] ?? 1);
      play.freeThrowCount = Number(match?.[2] ?? 1);
      return;
    }
    case "foul":
      play.kind = PlayKind.FOUL;
      play.subtype = wordsBefore(cells, play, / FOUL\b/);
      play.foulKind = foulKindOf(play.subtype || play.description);
      play.fouledId = cells.int(cells.at.foulDrawnPersonId, ID_MAX);
      return;
    case "turnover":
      play.kind = PlayKind.TURNOVER;
      play.subtype = wordsBefore(cells, play, / (Team )?TURNOVER/);
      return;
    case "substitution":
      play.kind = PlayKind.SUBSTITUTION;
      play.actorName = play.description.replace(/^SUB (in|out): /, "");
      if (play.description.startsWith("SUB in")) play.playerInId = play.actorId;
      else if (play.description.startsWith("SUB out")) play.playerOutId = play.actorId;
      else cells.reject("MALFORMED_ROW", "a substitution must say «SUB in:» or «SUB out:»");
      return;
    default: {
      const kind = PLAIN_KINDS.get(action);
      if (kind === undefined) {
        cells.reject("UNKNOWN_KIND", `actionType "${action}" is not known in this format`);
      } else play.kind = kind;
    }
  }
}

const PLAIN_KINDS: ReadonlyMap<string, PlayKind> = new Map([
  ["rebound", PlayKind.REBOUND],
  ["timeout", PlayKind.TIMEOUT],
  ["steal", PlayKind.STEAL],
  ["block", PlayKind.BLOCK],
  ["violation", PlayKind.VIOLATION],
  ["jumpball", PlayKind.JUMP_BALL],
  ["ejection", PlayKind.EJECTION],
  ["stoppage", PlayKind.OTHER],
  ["memo", PlayKind.OTHER],
]);

function isMade(cells: Cells): boolean {
  const result = cells.text(cells.at.shotResult);
  if (result !== "Made" && result !== "Missed") {
    cells.reject("MALFORMED_ROW", `shotResult is "${result}", expected Made or Missed`);
  }
  return result === "Made";
}

function setDistance(play: PlayEvent): void {
  const match = /(\d{1,2})' /.exec(play.description);
  if (match !== null) play.shotDistanceFt = Number(match[1]);
}

/** `bad pass` in «T. Haliburton bad pass TURNOVER (2 TO)». */
function wordsBefore(cells: Cells, play: PlayEvent, end: RegExp): string {
  const text = play.description;
  const to = text.search(end);
  const name = spelledName(text, cells.text(cells.at.playerName));
  const from = name === "" ? text.indexOf(" ") + 1 : name.length + 1;
  return to < from ? "" : text.slice(from, to);
}

/** «CLE Timeout» is the only place where this format spells a team. */
function nameTeam(play: PlayEvent, votes: SideVotes): void {
  const match = /^([A-Z]{3}) /.exec(play.description);
  if (match?.[1] !== undefined) votes.name(play.teamId, match[1]);
}

/** Splits the ten ids of each row by the team that each player acts for. */
function splitPlayersOn(accepted: readonly Draft[], teams: Teams): void {
  const sides = new Map<number, Side>();
  for (const { play } of accepted) {
    const side = sideOf(teams, play.teamId);
    if (side === Side.NONE) continue;
    if (play.actorId !== 0) sides.set(play.actorId, side);
    if (play.assisterId !== 0) sides.set(play.assisterId, side);
  }
  const split = new Map<string, { home: number[]; away: number[] }>();
  let text = "";
  let fives = splitIds(text, sides);
  for (const [at, { play, playersOn = "" }] of accepted.entries()) {
    const before = accepted[at - 1]?.play;
    if (playersOn !== text) {
      text = playersOn;
      fives = split.get(text) ?? splitIds(text, sides);
      split.set(text, fives);
    }
    play.homeOnCourtIds = fives.home;
    play.awayOnCourtIds = fives.away;
    // Between the rows of a change a side has four or six: the five before it holds until it is complete.
    if (play.kind !== PlayKind.SUBSTITUTION) continue;
    if (fives.home.length !== FIVE) play.homeOnCourtIds = before?.homeOnCourtIds ?? [];
    if (fives.away.length !== FIVE) play.awayOnCourtIds = before?.awayOnCourtIds ?? [];
  }
}

function splitIds(
  text: string,
  sides: ReadonlyMap<number, Side>,
): { home: number[]; away: number[] } {
  const home: number[] = [];
  const away: number[] = [];
  const silent: number[] = [];
  for (const word of text.split("|")) {
    const id = Number(word);
    if (!Number.isInteger(id) || id <= 0 || id > ID_MAX) continue;
    const side = sides.get(id);
    if (side === Side.HOME) home.push(id);
    else if (side === Side.AWAY) away.push(id);
    else silent.push(id);
  }
  // Who never acts in the game can still be told when the other side is complete.
  if (home.length === FIVE) away.push(...silent);
  else if (away.length === FIVE) home.push(...silent);
  return { home: five(home), away: five(away) };
}

function five(ids: number[]): number[] {
  return ids.length === FIVE ? ids.sort((a, b) => a - b) : [];
}
