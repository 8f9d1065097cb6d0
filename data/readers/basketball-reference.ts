import path from "node:path";
import {
  Feed,
  FoulKind,
  PlayKind,
  ReboundKind,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { readBoxPageBeside } from "./basketball-reference-box.ts";
import { type CsvBatch, type CsvRow } from "./csv.ts";
import { deadLetter, type Draft, newPlay } from "./draft.ts";
import { acceptPlays, type FeedInfo, finishGame, type GameOrigin } from "./finish.ts";
import { foulKindOf } from "./fouls.ts";
import { setLineUps } from "./on-court.ts";
import { setReboundKinds } from "./rebounds.ts";
import { gameIdAt } from "./reference.ts";
import { periodLengthDs, PERIOD_MAX, RowCells, SCORE_MAX } from "./row-cells.ts";
import { setSides, type Teams } from "./sides.ts";
import { teamByName, type TeamName } from "./teams.ts";
import { estimateTimes } from "./wall-clock.ts";

/** Columns without which a file is not of this format. */
export const BASKETBALL_REFERENCE_COLUMNS = [
  "period",
  "period_type",
  "remaining_seconds_in_period",
  "relevant_team",
  "away_team",
  "home_team",
  "away_score",
  "home_score",
  "description",
] as const;

type Cells = RowCells<(typeof BASKETBALL_REFERENCE_COLUMNS)[number]>;

/**
 * Reader of basketball-reference.com play-by-play as scrapers write it: one game a file.
 *
 * | PlayEvent | from |
 * | --- | --- |
 * | game | the day in the file's name and the home side, looked up in the table of results; else `BBREF` and both |
 * | period | `period`, counted on in overtime (`period_type`) |
 * | clock | `remaining_seconds_in_period` |
 * | team, side | `relevant_team`, `home_team`, `away_team`; a foul stands in the row of the side that was fouled |
 * | kind, shot value and result | `description` |
 * | players | only named (`J. Tatum`): the id is made of team and name, see `namedPlayerId` |
 * | assister, blocker, stealer, fouled, player out | in brackets or behind «for» in the description |
 * | score | `home_score`, `away_score` on every row, running maximum |
 * | shot | distance from `27 ft`, 0 `at rim`; no place |
 * | rebound kind | the words Offensive and Defensive |
 * | event time | estimated from the date and game time |
 * | on court | starters of the box score page beside it, when there is one; else derived, see `setLineUps` |
 */
export async function readBasketballReference(
  batches: AsyncIterable<CsvBatch>,
  header: CsvRow,
  from: Omit<GameOrigin, "feed">,
): Promise<SourceGame> {
  const origin: GameOrigin = { ...from, feed: Feed.BASKETBALL_REFERENCE };
  const cells: Cells = new RowCells(header.fields, BASKETBALL_REFERENCE_COLUMNS);
  const strays: SourceGame["deadLetters"] = [];
  const drafts: NamedDraft[] = [];
  let teams: Teams | undefined;
  for await (const { rows, broken } of batches) {
    for (const row of rows) {
      const draft = readRow(row, cells);
      if (draft.problem === undefined) teams ??= teamsOf(cells);
      drafts.push(draft);
    }
    if (broken === undefined) continue;
    const problem = { reason: "TRUNCATED_SOURCE", message: broken.message };
    strays.push(deadLetter(problem, origin, { line: broken.line, text: broken.raw }, ""));
  }
  teams ??= { home: NO_TEAM, away: NO_TEAM };
  const day = /(?<!\d)(\d{4}-\d\d-\d\d)(?!\d)/.exec(path.basename(origin.file))?.[1];
  const date = day !== undefined && Number.isFinite(Date.parse(day)) ? day : undefined;
  const { home, away } = teams;
  const known = date === undefined ? undefined : gameIdAt(origin.reference, date, home.tricode);
  const gameId = known ?? `BBREF${date?.replaceAll("-", "") ?? ""}${home.tricode}${away.tricode}`;
  for (const draft of drafts) namePeople(draft, teams, drafts);
  setSides(drafts, teams);
  const accepted = acceptPlays(drafts, gameId);
  const plays = accepted.map((draft) => draft.play);
  setReboundKinds(plays);
  const page = await readBoxPageBeside(origin.file, date, home.tricode);
  const starters = new Map<Side, readonly number[]>();
  for (const [side, team] of [
    [Side.HOME, home],
    [Side.AWAY, away],
  ] as const) {
    const players = page?.teams.get(team.tricode)?.filter((player) => player.starter) ?? [];
    starters.set(
      side,
      players.map((player) => namedPlayerId(team.teamId, player.shortName)),
    );
  }
  setLineUps(plays, { starters, changesAtBreaks: false });
  const rows = { gameId, rows: [], strays, broken: strays.length > 0 };
  const info: FeedInfo = {
    names: namesOf(drafts),
    ...(date === undefined ? {} : { date }),
  };
  const result = finishGame(origin, rows, drafts, accepted, teams, info);
  estimateTimes(plays, Number(result.info.tipoffTimeMs), []);
  return result;
}

/**
 * Id of a player who is only named: the upper half of 32 bits, where the league's ids never reach, made of the
 * team and the name by FNV-1a. Equal in every game of the player for that team.
 */
export function namedPlayerId(teamId: number, name: string): number {
  let hash = 0x811c_9dc5;
  for (const byte of Buffer.from(`${teamId} ${name}`)) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return 2 ** 31 + ((hash >>> 1) & 0x7fff_ffff);
}

/** A row with the people that it names. */
interface NamedDraft extends Draft {
  team: TeamName | undefined;
  actor: string;
  /** The other person: assist, block, steal, who was fouled, who leaves. */
  second: string;
}

const NO_TEAM: TeamName = { teamId: 0, tricode: "", name: "" };
const SECONDS_MAX = 720;

function readRow(row: CsvRow, cells: Cells): NamedDraft {
  cells.set(row);
  const play = newPlay("", Feed.BASKETBALL_REFERENCE);
  const draft: NamedDraft = {
    place: row,
    play,
    problem: undefined,
    team: undefined,
    actor: "",
    second: "",
  };
  if (cells.problem === undefined) {
    const { at } = cells;
    play.period = cells.requiredInt(at.period, 1, PERIOD_MAX);
    if (cells.text(at.period_type) === "OVERTIME" && play.period <= 4) play.period += 4;
    const seconds = cells.decimal(at.remaining_seconds_in_period) ?? -1;
    if (!(seconds >= 0 && seconds <= SECONDS_MAX && seconds * 10 <= periodLengthDs(play.period))) {
      const found = cells.text(at.remaining_seconds_in_period);
      cells.reject("BAD_CLOCK", `remaining_seconds_in_period is "${found}", expected 0 to 720`);
    }
    play.clockRemainingDs = Math.max(0, Math.floor(seconds * 10));
    draft.homeScore = cells.requiredInt(at.home_score, 0, SCORE_MAX);
    draft.awayScore = cells.requiredInt(at.away_score, 0, SCORE_MAX);
    play.description = cells.text(at.description);
    readTeam(cells, draft);
    readKind(cells, draft);
  }
  draft.problem = cells.problem;
  return draft;
}

function teamsOf(cells: Cells): Teams {
  const { at } = cells;
  return { home: teamNamed(cells.text(at.home_team)), away: teamNamed(cells.text(at.away_team)) };
}

/** Teams of other times have no number of the league's; theirs is made of the name. */
function teamNamed(name: string): TeamName {
  const known = teamByName(name);
  if (known !== undefined) return known;
  return { teamId: namedPlayerId(0, name), tricode: name.slice(0, 3).toUpperCase(), name };
}

function readTeam(cells: Cells, draft: NamedDraft): void {
  const { at } = cells;
  const name = cells.text(at.relevant_team);
  const sides = [cells.text(at.home_team), cells.text(at.away_team)];
  if (name === "" || sides.includes("")) {
    cells.reject("UNKNOWN_TEAM", "relevant_team, home_team and away_team must be named");
  } else if (!sides.includes(name)) {
    cells.reject("UNKNOWN_TEAM", `relevant_team is "${name}", expected ${sides.join(" or ")}`);
  }
  draft.team = teamNamed(name);
}

const SHOT =
  /^(.+?) (makes|misses) ([23])-pt (.+?) (?:from (\d+) ft|at rim)(?: \((assist|block) by (.+)\))?$/;
const FREE_THROW =
  /^(.+?) (makes|misses) (?:(?:technical|flagrant|clear path) )?free throw(?: (\d) of (\d))?$/;
const REBOUND = /^(Offensive|Defensive) rebound by (.+)$/;
const TURNOVER = /^Turnover by (.+?) \((.+?)(?:; steal by (.+))?\)$/;
const FOUL = /^(.*?foul.*?) by (.+?)(?: \((?:drawn by )?(.+)\))?$/i;
const SUBSTITUTION = /^(.+) enters the game for (.+)$/;
const VIOLATION = /^Violation by (.+?) \((.+)\)$/;
const JUMP_BALL = /^Jump ball: (.+) vs\. (.+?)(?: \((.+) gains possession\))?$/i;

function readKind(cells: Cells, draft: NamedDraft): void {
  const { play } = draft;
  const words = play.description;
  const name = (actor = "", second = ""): void => {
    draft.actor = actor === "Team" ? "" : actor;
    draft.second = second;
  };
  let match: RegExpExecArray | null;
  if ((match = SHOT.exec(words)) !== null) {
    play.kind = PlayKind.SHOT;
    play.shotMade = match[2] === "makes";
    play.shotValue = Number(match[3]);
    play.subtype = match[4] ?? "";
    play.shotDistanceFt = Number(match[5] ?? 0);
    name(match[1], match[7]);
  } else if ((match = FREE_THROW.exec(words)) !== null) {
    play.kind = PlayKind.FREE_THROW;
    play.shotValue = 1;
    play.shotMade = match[2] === "makes";
    play.freeThrowNumber = Number(match[3] ?? 1);
    play.freeThrowCount = Number(match[4] ?? 1);
    name(match[1]);
  } else if ((match = REBOUND.exec(words)) !== null) {
    play.kind = PlayKind.REBOUND;
    play.reboundKind = match[1] === "Offensive" ? ReboundKind.OFFENSIVE : ReboundKind.DEFENSIVE;
    name(match[2]);
  } else if ((match = TURNOVER.exec(words)) !== null) {
    play.kind = PlayKind.TURNOVER;
    play.subtype = match[2] ?? "";
    name(match[1], match[3]);
  } else if ((match = SUBSTITUTION.exec(words)) !== null) {
    play.kind = PlayKind.SUBSTITUTION;
    name(match[1], match[2]);
  } else if ((match = VIOLATION.exec(words)) !== null) {
    play.kind = PlayKind.VIOLATION;
    play.subtype = match[2] ?? "";
    name(match[1]);
  } else if ((match = JUMP_BALL.exec(words)) !== null) {
    play.kind = PlayKind.JUMP_BALL;
    name(match[3]);
  } else if ((match = FOUL.exec(words)) !== null) {
    play.kind = PlayKind.FOUL;
    play.subtype = (match[1] ?? "").replace(/ foul$/i, "").toLowerCase();
    play.foulKind = foulKindOf(play.subtype);
    name(match[2], match[3]);
  } else {
    const plain = PLAIN_KINDS.find(([pattern]) => pattern.test(words))?.[1];
    if (plain === undefined) {
      cells.reject("UNKNOWN_KIND", `"${words.slice(0, 80)}" is not known in this format`);
    } else play.kind = plain;
  }
}

const PLAIN_KINDS: readonly (readonly [RegExp, PlayKind])[] = [
  [/time-?out/i, PlayKind.TIMEOUT],
  [/instant replay|challenge/i, PlayKind.REVIEW],
  [/^start of/i, PlayKind.PERIOD_START],
  [/^end of/i, PlayKind.PERIOD_END],
  [/eject/i, PlayKind.EJECTION],
];

/** Gives names their ids; the side of a foul is where its player acts elsewhere. */
function namePeople(draft: NamedDraft, teams: Teams, all: readonly NamedDraft[]): void {
  const { play, team, actor, second } = draft;
  if (draft.problem !== undefined || team === undefined) return;
  play.teamId = team.teamId;
  const other = team.teamId === teams.home.teamId ? teams.away.teamId : teams.home.teamId;
  if (play.kind === PlayKind.FOUL && !STANDS_WITH_OWN.has(play.foulKind)) {
    const isOwn = actor !== "" && all.some((each) => isSureOf(each, team, actor));
    play.teamId = isOwn ? team.teamId : other;
  }
  const against = play.teamId === teams.home.teamId ? teams.away.teamId : teams.home.teamId;
  const id = (teamId: number, name: string): number =>
    name === "" ? 0 : namedPlayerId(teamId, name);
  play.actorName = actor;
  play.actorId = id(play.teamId, actor);
  if (play.kind === PlayKind.SHOT && play.shotMade) play.assisterId = id(play.teamId, second);
  else if (play.kind === PlayKind.SHOT) play.blockerId = id(against, second);
  else if (play.kind === PlayKind.TURNOVER) play.stealerId = id(against, second);
  else if (play.kind === PlayKind.FOUL) play.fouledId = id(against, second);
  else if (play.kind === PlayKind.SUBSTITUTION) {
    play.playerInId = play.actorId;
    play.playerOutId = id(play.teamId, second);
  }
}

/** Fouls that stand in the row of the side that made them. */
const STANDS_WITH_OWN: ReadonlySet<FoulKind> = new Set([
  FoulKind.OFFENSIVE,
  FoulKind.LOOSE_BALL,
  FoulKind.TECHNICAL,
  FoulKind.NON_PERSONAL,
]);

function isSureOf(draft: NamedDraft, team: TeamName, name: string): boolean {
  return draft.actor === name && draft.team === team && draft.play.kind !== PlayKind.FOUL;
}

function namesOf(drafts: readonly NamedDraft[]): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const { play, second } of drafts) {
    for (const id of [play.assisterId, play.playerOutId]) if (id !== 0) names.set(id, second);
  }
  return names;
}
