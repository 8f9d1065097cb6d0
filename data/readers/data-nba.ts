import { Feed, FoulKind, PlayKind, Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { type Draft, newPlay } from "./draft.ts";
import { EVENT_KINDS, FOUL_WORDS } from "./event-codes.ts";
import { acceptPlays, finishGame, type GameOrigin } from "./finish.ts";
import { foulKindOf } from "./fouls.ts";
import { normalGameId } from "./game-id.ts";
import { type Json, JsonCells, list, member, text } from "./json-cells.ts";
import { setLineUps } from "./on-court.ts";
import { setReboundKinds } from "./rebounds.ts";
import { clockDs, minuteClockDs, PERIOD_MAX, SCORE_MAX } from "./row-cells.ts";
import { setSides, SideVotes, voteByScore } from "./sides.ts";
import { teamByTricode } from "./teams.ts";
import { defaultTipoffMs, estimateTimes } from "./wall-clock.ts";

const CODE_MAX = 1000;
/** Place of plays that have none: behind the board. */
const NO_PLACE = -80;

/** True for a document that this reader takes as play-by-play. */
export function isDataNba(document: Json): boolean {
  const game = member(document, "g");
  return member(game, "gid") !== undefined && Array.isArray(member(game, "pd"));
}

/**
 * Reader of data.nba.com play-by-play (`mobile_teams/.../pbp/<id>_full_pbp.json`), retired but still in archives.
 *
 * | PlayEvent | from |
 * | --- | --- |
 * | game, date, home and away | `g.gid`, `g.gcode` (`20161130/WASOKC`: date, visitors, home); else by whose score rises |
 * | period, order | `g.pd[].p`, file order; `evt` is not the order |
 * | clock | `cl`, `11:39` or `00:09.7` |
 * | kind, foul kind | `etype`, `mtype`: the codes of stats.nba.com v2 |
 * | team, actor | `tid`, `pid` (0 on team plays); on a jump ball `epid`, who gets the ball |
 * | assister, player in | `epid`; blocker, stealer, fouled `opid` |
 * | score | `hs`, `vs` on every row, running maximum |
 * | shot | `opt1` = 2 or 3; place `locX`, `locY` in tenths of a foot |
 * | free throw | made when `opt1` is 1, missed when it is 2; `1 of 2` from `de` |
 * | rebound kind | running counts in `de`, team rebounds by who missed |
 * | event time | estimated from the date and game time |
 * | on court | derived per period, see `setLineUps` |
 */
export function readDataNba(document: Json, origin: GameOrigin): SourceGame {
  const game = member(document, "g");
  const gameId = normalGameId(text(member(game, "gid"))) ?? "";
  const drafts = list(member(game, "pd")).flatMap((period) =>
    list(member(period, "pla")).map((row) => readRow(row, member(period, "p"), gameId)),
  );
  const code = /^(\d{4})(\d\d)(\d\d)\/([A-Z]{3})([A-Z]{3})$/.exec(text(member(game, "gcode")));
  const votes = new SideVotes();
  const [home, away] = [teamByTricode(code?.[5] ?? ""), teamByTricode(code?.[4] ?? "")];
  votes.add(home?.teamId ?? 0, Side.HOME);
  votes.add(away?.teamId ?? 0, Side.AWAY);
  if (home === undefined || away === undefined) voteByScore(drafts, votes);
  const teams = votes.teams(origin.reference.games.get(gameId));
  nameActors(drafts);
  giveJumpBalls(drafts);
  setSides(drafts, teams);
  const accepted = acceptPlays(drafts, gameId);
  const plays = accepted.map((draft) => draft.play);
  setReboundKinds(plays);
  setLineUps(plays, { changesAtBreaks: false });
  const date = code === null ? undefined : `${code[1]}-${code[2]}-${code[3]}`;
  const isDay = date !== undefined && Number.isFinite(defaultTipoffMs(date));
  const rows = { gameId, rows: [], strays: [], broken: false };
  const result = finishGame(origin, rows, drafts, accepted, teams, isDay ? { date } : {});
  estimateTimes(plays, Number(result.info.tipoffTimeMs), []);
  return result;
}

/** Learns names from the rows where their end is known. */
function nameActors(drafts: readonly Draft[]): void {
  const names = new Map<number, string>();
  for (const { play } of drafts) {
    const name = play.kind === PlayKind.SHOT ? undefined : NAME.exec(play.description)?.[1];
    if (name !== undefined && play.actorId !== 0) names.set(play.actorId, name);
  }
  for (const { play } of drafts) {
    if (play.kind !== PlayKind.JUMP_BALL) play.actorName = names.get(play.actorId) ?? "";
  }
}

/** A jump ball belongs to the team that its winner acts for elsewhere. */
function giveJumpBalls(drafts: readonly Draft[]): void {
  const teamOf = new Map<number, number>();
  for (const { play } of drafts) if (play.teamId !== 0) teamOf.set(play.actorId, play.teamId);
  for (const { play } of drafts) {
    if (play.kind === PlayKind.JUMP_BALL) play.teamId = teamOf.get(play.actorId) ?? 0;
  }
}

function readRow(row: Json, period: Json, gameId: string): Draft {
  const cells = new JsonCells(row);
  const play = newPlay(gameId, Feed.DATA_NBA);
  const draft: Draft = {
    place: { line: 1, text: JSON.stringify(row) ?? "" },
    play,
    problem: undefined,
  };
  const number = Number(text(period));
  if (Number.isInteger(number) && number >= 1 && number <= PERIOD_MAX) play.period = number;
  else cells.reject("BAD_NUMBER", `the period is "${text(period)}", expected 1 to ${PERIOD_MAX}`);
  play.clockRemainingDs = clockDs(cells, cells.text("cl"), play.period, tenthsClockDs);
  play.description = cells.text("de");
  draft.homeScore = cells.requiredInt("hs", 0, SCORE_MAX);
  draft.awayScore = cells.requiredInt("vs", 0, SCORE_MAX);
  play.teamId = cells.id("tid");
  play.actorId = cells.id("pid");
  readKind(cells, draft);
  draft.problem = cells.problem;
  return draft;
}

/** `Mark Morris` in «[WAS] Mark Morris Turnover : Bad Pass»; before the words of a shot the name has no end. */
const NAME =
  /^\[[A-Z]{3}[^\]]*\] (.+?) (?:Free Throw|Rebound|Turnover|Foul|Substitution|Violation|Technical|Ejection)/;
const FREE_THROW_OF = /(\d) of (\d)/;

function readKind(cells: JsonCells, { play }: Draft): void {
  const type = cells.requiredInt("etype", 0, CODE_MAX);
  const code = cells.requiredInt("mtype", 0, CODE_MAX);
  const kind = EVENT_KINDS[type];
  if (kind === undefined) {
    cells.reject("UNKNOWN_KIND", `etype ${type} is not known in this format`);
    return;
  }
  play.kind = kind;
  play.subtype = String(code);
  const [opponent, other] = [cells.id("opid"), cells.id("epid")];
  switch (kind) {
    case PlayKind.SHOT:
      play.shotMade = type === 1;
      play.shotValue = cells.requiredInt("opt1", 2, 3);
      if (play.shotMade) play.assisterId = other;
      else play.blockerId = opponent;
      setPlace(cells, play);
      return;
    case PlayKind.FREE_THROW: {
      play.shotValue = 1;
      play.shotMade = cells.requiredInt("opt1", 0, 2) === 1;
      const match = FREE_THROW_OF.exec(play.description);
      play.freeThrowNumber = Number(match?.[1] ?? 1);
      play.freeThrowCount = Number(match?.[2] ?? 1);
      return;
    }
    case PlayKind.TURNOVER:
      play.stealerId = opponent;
      return;
    case PlayKind.FOUL:
      play.subtype = FOUL_WORDS[code] ?? String(code);
      play.foulKind = foulKindOf(play.subtype);
      if (play.foulKind !== FoulKind.DOUBLE) play.fouledId = opponent;
      return;
    case PlayKind.SUBSTITUTION:
      play.playerOutId = play.actorId;
      play.playerInId = other;
      return;
    case PlayKind.JUMP_BALL:
      // The row is the home jumper's; `giveJumpBalls` finds the team of who got the ball.
      play.actorId = other;
      play.actorName = /\((.+) gains possession\)/.exec(play.description)?.[1] ?? "";
      play.teamId = 0;
      return;
    default:
  }
}

function setPlace(cells: JsonCells, play: Draft["play"]): void {
  const [x, y] = [cells.decimal("locX"), cells.decimal("locY")];
  if (x === undefined || y === undefined || (x === 0 && y === NO_PLACE)) return;
  play.shotXFt = x / 10;
  play.shotYFt = y / 10;
}

/** `11:39`, or `00:09.7` in the last minute. */
function tenthsClockDs(clock: string): number | undefined {
  const match = /^(\d\d:\d\d)\.(\d)$/.exec(clock);
  if (match === null) return minuteClockDs(clock);
  const whole = minuteClockDs(match[1] ?? "");
  return whole === undefined ? undefined : whole + Number(match[2]);
}
