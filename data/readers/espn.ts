import {
  Feed,
  type PlayEvent,
  PlayKind,
  ReboundKind,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { type Draft, newPlay } from "./draft.ts";
import { acceptPlays, type FeedInfo, finishGame, type GameOrigin } from "./finish.ts";
import { foulKindOf } from "./fouls.ts";
import { idOf, type Json, JsonCells, list, member, record, text } from "./json-cells.ts";
import { setLineUps } from "./on-court.ts";
import { setReboundKinds } from "./rebounds.ts";
import { gameIdAt } from "./reference.ts";
import { clockDs, minuteClockDs, PERIOD_MAX, SCORE_MAX } from "./row-cells.ts";
import { setSides, type Teams } from "./sides.ts";
import { teamByTricode, type TeamName, tricodeOfSportsbook } from "./teams.ts";
import { defaultTipoffMs, setRecordedTimes } from "./wall-clock.ts";

/** True for a document that this reader takes as play-by-play. */
export function isEspnSummary(document: Json): boolean {
  const first = list(member(document, "plays"))[0];
  return cell(first, "clock.displayValue") !== undefined && cell(first, "type.text") !== undefined;
}

/**
 * Reader of summary documents of espn.com (`/apis/site/v2/sports/basketball/nba/summary?event=<id>`), as served
 * or with the members of each play flattened (`"clock.displayValue"`), as the archives have them.
 *
 * | PlayEvent | from |
 * | --- | --- |
 * | game | the NBA's id when a table of results has the date and the home side, else `ESPN` and the event id |
 * | home and away | `header.competitions[0].competitors`, flattened `homeTeamId`, `homeTeamAbbrev`, ... |
 * | order | file order |
 * | period, clock | `period.number`, `clock.displayValue` (`11:39` or `9.7`) |
 * | kind | words of `type.text` and `text`; `shootingPlay` |
 * | team | `team.id`, as the NBA's id |
 * | actor, assister, stealer, fouled, player in | `participants[0]`, `participants[1]`: **ids of espn.com** |
 * | score | `homeScore`, `awayScore` on every play, running maximum |
 * | shot | `scoringPlay`; value from `scoreValue`, on a miss from `pointsAttempted` or the words «three point» |
 * | place | `coordinate`, feet, 25 = middle, 0 = basket; distance from `25-foot` |
 * | free throw | `1 of 2` |
 * | event time | `wallclock`, never decreasing |
 * | on court | derived per period, see `setLineUps` |
 */
export function readEspnSummary(document: Json, origin: GameOrigin): SourceGame {
  const rows = list(member(document, "plays"));
  const sides = sidesOf(document, rows[0]);
  const drafts = rows.map((row) => readPlay(row, sides));
  const firstMs = drafts.find((draft) => draft.timeMs !== undefined)?.timeMs;
  // Games begin in the evening of New York, whose day is the one that the league counts.
  const date = dayOf(Date.parse(text(competitionOf(document, "date"))) || firstMs);
  const known = date && gameIdAt(origin.reference, date, sides.teams.home.tricode);
  const gameId = known ?? `ESPN${eventIdOf(document)}`;
  setSides(drafts, sides.teams);
  const accepted = acceptPlays(drafts, gameId);
  const plays = accepted.map((draft) => draft.play);
  nameBlockers(plays);
  setReboundKinds(plays);
  setLineUps(plays, { changesAtBreaks: false });
  const tipoffMs = firstMs ?? defaultTipoffMs(date ?? "2000-01-01");
  let last = tipoffMs;
  const times = accepted.map(({ timeMs }) => (last = Math.max(last, timeMs ?? last)));
  setRecordedTimes(plays, times, 1);
  const strays = { gameId, rows: [], strays: [], broken: false };
  const info: FeedInfo = {
    tipoffMs,
    venue: text(member(member(member(document, "gameInfo"), "venue"), "fullName")),
    ...(date === undefined ? {} : { date }),
  };
  return finishGame(origin, strays, drafts, accepted, sides.teams, info);
}

interface EspnSides {
  readonly teams: Teams;
  /** Teams of the game by the ids of espn.com. */
  readonly byId: ReadonlyMap<string, TeamName>;
}

/** A member of a play, nested or flattened: `participants.0.athlete.id`. */
function cell(row: Json, path: string): Json {
  const flat = record(row)?.[path];
  if (flat !== undefined) return flat;
  let value: Json = row;
  for (const name of path.split(".")) {
    value = Array.isArray(value) ? (value as readonly Json[])[Number(name)] : member(value, name);
  }
  return value;
}

function competitionOf(document: Json, name: string): Json {
  return member(list(member(member(document, "header"), "competitions"))[0], name);
}

function eventIdOf(document: Json): string {
  const id = text(member(member(document, "header"), "id")) || text(member(document, "gameId"));
  return /^\d{1,12}$/.test(id) ? id : "0";
}

function sidesOf(document: Json, first: Json): EspnSides {
  const byId = new Map<string, TeamName>();
  const find = (side: "home" | "away"): TeamName => {
    const competitor = list(competitionOf(document, "competitors")).find(
      (each) => text(member(each, "homeAway")) === side,
    );
    const team = member(competitor, "team");
    const id = text(member(team, "id")) || text(cell(first, `${side}TeamId`));
    const code = text(member(team, "abbreviation")) || text(cell(first, `${side}TeamAbbrev`));
    const tricode = tricodeOfSportsbook(code.slice(0, 4).toLowerCase());
    // A side that is no team of the league keeps the site's id.
    const own = /^\d{1,9}$/.test(id) ? Number(id) : 0;
    const known = teamByTricode(tricode) ?? { teamId: own, tricode, name: tricode };
    if (id !== "") byId.set(id, known);
    return known;
  };
  return { teams: { home: find("home"), away: find("away") }, byId };
}

/** Day in New York, YYYY-MM-DD. */
function dayOf(timeMs: number | undefined): string | undefined {
  if (timeMs === undefined || Number.isNaN(timeMs)) return undefined;
  return new Date(timeMs - EASTERN_MS).toISOString().slice(0, 10);
}

/** Hours that New York is behind; one more or less in summer changes no evening's date. */
const EASTERN_MS = 5 * 3_600_000;

function readPlay(row: Json, sides: EspnSides): Draft {
  const cells = new JsonCells(row);
  const play = newPlay("", Feed.ESPN);
  const draft: Draft = {
    place: { line: 1, text: JSON.stringify(row) ?? "" },
    play,
    problem: undefined,
  };
  const number = Number(text(cell(row, "period.number")) || Number.NaN);
  if (number >= 1 && number <= PERIOD_MAX && Number.isInteger(number)) play.period = number;
  else cells.reject("BAD_NUMBER", `period.number is "${number}", expected 1 to ${PERIOD_MAX}`);
  const clock = text(cell(row, "clock.displayValue"));
  play.clockRemainingDs = clockDs(cells, clock, play.period, secondsClockDs);
  play.description = cells.text("text");
  play.subtype = text(cell(row, "type.text")).replaceAll("\n", " ").toLowerCase();
  draft.homeScore = cells.requiredInt("homeScore", 0, SCORE_MAX);
  draft.awayScore = cells.requiredInt("awayScore", 0, SCORE_MAX);
  const team = text(cell(row, "team.id"));
  play.teamId = sides.byId.get(team)?.teamId ?? 0;
  if (team !== "" && team !== "0" && !sides.byId.has(team)) {
    cells.reject("UNKNOWN_TEAM", `team.id is "${team}", which is no side of this game`);
  }
  play.actorId = personOf(row, 0);
  const timeMs = Date.parse(cells.text("wallclock"));
  if (timeMs >= 0 && timeMs < TIME_MAX_MS) draft.timeMs = timeMs;
  readKind(row, cells, play);
  draft.problem = cells.problem;
  return draft;
}

/** Year 2200: a later wall clock is damage. */
const TIME_MAX_MS = 7_258_118_400_000;

function personOf(row: Json, place: number): number {
  return idOf(cell(row, `participants.${place}.athlete.id`));
}

/** Words of `type.text` and `text`, lower case, to kinds; the first that fits. */
const KINDS: readonly (readonly [RegExp, PlayKind])[] = [
  [/substitution|enters the game/, PlayKind.SUBSTITUTION],
  [/free throw/, PlayKind.FREE_THROW],
  [/jump ?ball|gains possession/, PlayKind.JUMP_BALL],
  [/end (of )?game|game end/, PlayKind.GAME_END],
  [/end (period|of)/, PlayKind.PERIOD_END],
  [/start (period|of)/, PlayKind.PERIOD_START],
  [/rebound/, PlayKind.REBOUND],
  [/time-?out/, PlayKind.TIMEOUT],
  [/turnover|traveling|bad pass|lost ball|offensive charge|palming|backcourt/, PlayKind.TURNOVER],
  [/ejec/, PlayKind.EJECTION],
  [/foul|technical|flagrant|defense 3|too many players/, PlayKind.FOUL],
  [/violation|goaltend|kicked ball|delay/, PlayKind.VIOLATION],
  [/challenge|replay|review/, PlayKind.REVIEW],
];

function readKind(row: Json, cells: JsonCells, play: PlayEvent): void {
  const words = `${play.subtype} ${play.description.toLowerCase()}`;
  const isShot = cell(row, "shootingPlay") === true && !words.includes("free throw");
  const kind = isShot ? PlayKind.SHOT : KINDS.find(([pattern]) => pattern.test(words))?.[1];
  if (kind === undefined) {
    cells.reject("UNKNOWN_KIND", `type.text "${play.subtype}" is not known in this format`);
    return;
  }
  play.kind = kind;
  const second = personOf(row, 1);
  switch (kind) {
    case PlayKind.SHOT:
      return readShot(row, cells, play, words);
    case PlayKind.FREE_THROW: {
      play.shotValue = 1;
      play.shotMade = cell(row, "scoringPlay") === true;
      const match = /(\d) of (\d)/.exec(words);
      play.freeThrowNumber = Number(match?.[1] ?? 1);
      play.freeThrowCount = Number(match?.[2] ?? 1);
      return;
    }
    case PlayKind.REBOUND:
      if (words.includes("offensive")) play.reboundKind = ReboundKind.OFFENSIVE;
      if (words.includes("defensive")) play.reboundKind = ReboundKind.DEFENSIVE;
      if (words.includes("team rebound")) play.actorId = 0;
      return;
    case PlayKind.TURNOVER:
      if (words.includes("steals")) play.stealerId = second;
      return;
    case PlayKind.FOUL:
      play.foulKind = foulKindOf(play.subtype);
      if (words.includes("draws the foul")) play.fouledId = second;
      return;
    case PlayKind.SUBSTITUTION:
      // «Sam Hauser enters the game for Jayson Tatum»: both are named in this order.
      play.playerInId = play.actorId;
      play.playerOutId = second;
      return;
    case PlayKind.JUMP_BALL:
      play.actorId = personOf(row, 2);
      return;
    default:
  }
}

function readShot(row: Json, cells: JsonCells, play: PlayEvent, words: string): void {
  play.shotMade = cell(row, "scoringPlay") === true;
  const told = play.shotMade ? cell(row, "scoreValue") : cell(row, "pointsAttempted");
  play.shotValue = told === 2 || told === 3 ? told : words.includes("three point") ? 3 : 2;
  if (play.shotMade && told !== 2 && told !== 3) {
    cells.reject("BAD_NUMBER", `scoreValue is "${text(told)}", expected 2 or 3 on a made shot`);
  }
  const second = personOf(row, 1);
  if (play.shotMade && words.includes("assists")) play.assisterId = second;
  else if (!play.shotMade && words.includes(" blocks ")) play.blockerId = second;
  const [x, y] = [cell(row, "coordinate.x"), cell(row, "coordinate.y")];
  if (typeof x === "number" && typeof y === "number" && Math.abs(x) + Math.abs(y) < COURT_MAX_FT) {
    play.shotXFt = x - MIDDLE_FT;
    play.shotYFt = y;
  }
  const distance = /(\d{1,2})-foot/.exec(words);
  if (distance !== null) play.shotDistanceFt = Number(distance[1]);
}

/** The court is 50 feet wide and 94 long; places outside stand for «none». */
const MIDDLE_FT = 25;
const COURT_MAX_FT = 150;

/**
 * «Ann Holt blocks Bo Quill 's layup» names the blocker first, whatever the order of the ids: who of the two is who
 * is known from plays that begin with a name.
 */
function nameBlockers(plays: readonly PlayEvent[]): void {
  const names = new Map<number, string>();
  for (const { kind, actorId, description, blockerId } of plays) {
    if (actorId === 0 || blockerId !== 0) continue;
    const name = SUBJECT.exec(description)?.[1];
    if (name !== undefined && kind !== PlayKind.JUMP_BALL) names.set(actorId, name);
  }
  for (const play of plays) {
    if (play.actorId !== 0) play.actorName = names.get(play.actorId) ?? "";
    if (play.blockerId === 0) continue;
    const blocker = / blocks /.test(play.description) ? play.description.split(" blocks ")[0] : "";
    if (names.get(play.actorId) !== blocker) continue;
    [play.actorId, play.blockerId] = [play.blockerId, play.actorId];
    play.actorName = names.get(play.actorId) ?? "";
  }
}

/** The name before what its owner does. */
const SUBJECT =
  /^(.+?) (?:makes|misses|offensive|defensive|bad pass|lost ball|traveling|turnover|personal|shooting|loose ball|enters)/;

/** `11:39`, `0:09`, or `9.7` in the last minute. */
function secondsClockDs(clock: string): number | undefined {
  const match = /^(\d{1,2})\.(\d)$/.exec(clock);
  return match === null ? minuteClockDs(clock) : Number(match[1]) * 10 + Number(match[2]);
}
