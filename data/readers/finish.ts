import { create } from "@bufbuild/protobuf";
import {
  type DeadLetter,
  type Feed,
  FoulKind,
  type GameInfo,
  GameInfoSchema,
  League,
  type PlayEvent,
  PlayKind,
  type RosterPlayer,
  RosterPlayerSchema,
  Side,
  type Team,
  TeamSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { type Draft, deadLetter, type GameRows } from "./draft.ts";
import { isRestartGame, seasonOf, seasonOfDate, seasonTypeOf } from "./game-id.ts";
import { type Reference, spreadOf } from "./reference.ts";
import { type Teams } from "./sides.ts";
import { type TeamName } from "./teams.ts";
import { defaultTipoffMs, guessedDate } from "./wall-clock.ts";

const LAST_QUARTER = 4;

/** What a reader knows of where a game comes from. */
export interface GameOrigin {
  readonly file: string;
  readonly feed: Feed;
  readonly reference: Reference;
}

/** What a feed says of a game beside its plays. */
export interface FeedInfo {
  readonly date?: string;
  readonly tipoffMs?: number;
  readonly venue?: string;
  readonly neutralSite?: boolean;
  readonly roster?: readonly RosterPlayer[];
  /** Names of players by id, for those who only appear beside others. */
  readonly names?: ReadonlyMap<number, string>;
  /** False when the feed says that the game goes on; undefined when it does not say. */
  readonly final?: boolean;
}

/** Splits off the rows that cannot become plays, numbers the others and sets the score after each. */
export function acceptPlays(drafts: readonly Draft[], gameId: string): Draft[] {
  for (const draft of drafts) {
    if (isMisread(draft.play)) draft.problem ??= { reason: "BAD_ENCODING", message: MISREAD };
  }
  const good = drafts.filter((draft) => draft.problem === undefined);
  const home = runningScore(good, (draft) => draft.homeScore, Side.HOME);
  const away = runningScore(good, (draft) => draft.awayScore, Side.AWAY);
  good.forEach(({ play }, index) => {
    play.gameId = gameId;
    play.playNumber = index + 1;
    play.homeScore = home[index] ?? 0;
    play.awayScore = away[index] ?? 0;
  });
  return good;
}

const MISREAD = "the row has bytes that are no UTF-8; save the file as UTF-8 and read it again";

/** The sign that a decoder puts where it could not read. */
const REPLACED = "\uFFFD";

function isMisread({ description, actorName }: PlayEvent): boolean {
  return description.includes(REPLACED) || actorName.includes(REPLACED);
}

/**
 * Score of one side after each row: the running maximum, so that late corrections never lower it. A score
 * that its own points do not explain and that the next one takes back is a typing error; then, as on rows
 * without a score, the row's own points count.
 */
function runningScore(
  drafts: readonly Draft[],
  scoreOf: (draft: Draft) => number | undefined,
  side: Side,
): number[] {
  const next: (number | undefined)[] = [];
  for (let at = drafts.length - 1, later: number | undefined; at >= 0; at--) {
    next[at] = later;
    later = scoreOf(drafts[at] as Draft) ?? later;
  }
  let score = 0;
  return drafts.map((draft, at) => {
    const { play } = draft;
    const own = score + (play.shotMade && play.side === side ? play.shotValue : 0);
    const told = scoreOf(draft) ?? own;
    const takenBack = told > own && (next[at] ?? told) < told;
    score = Math.max(score, takenBack ? own : told);
    return score;
  });
}

/** The date of the game as far as it is known, and whether it is only guessed. */
export function gameDay(
  gameId: string,
  reference: Reference,
  feedDate?: string,
): { date: string; guessed: boolean } {
  const date = feedDate ?? reference.games.get(gameId)?.date;
  if (date !== undefined) return { date, guessed: false };
  return { date: guessedDate(seasonOf(gameId), gameId), guessed: true };
}

/** Puts the finished parts of a game together. */
export function finishGame(
  origin: GameOrigin,
  game: GameRows<unknown>,
  drafts: readonly Draft[],
  accepted: readonly Draft[],
  teams: Teams,
  feedInfo: FeedInfo = {},
): SourceGame {
  const plays = accepted.map((draft) => draft.play);
  const last = plays.at(-1);
  if (last !== undefined && !game.broken) last.gameOver = feedInfo.final ?? isFinished(last);
  const deadLetters: DeadLetter[] = [...game.strays];
  for (const { problem, place } of drafts) {
    if (problem !== undefined) deadLetters.push(deadLetter(problem, origin, place, game.gameId));
  }
  deadLetters.sort((a, b) => Number(a.line - b.line));
  const info = gameInfo(origin, game.gameId, plays, teams, feedInfo);
  for (const play of plays) play.season = info.season;
  return { info, plays, deadLetters, rows: plays.length + deadLetters.length };
}

/** A game ends after the fourth period or an overtime, with a winner; a file that stops elsewhere is cut. */
function isFinished(last: PlayEvent): boolean {
  return last.period >= LAST_QUARTER && last.homeScore !== last.awayScore;
}

function gameInfo(
  origin: GameOrigin,
  gameId: string,
  plays: readonly PlayEvent[],
  teams: Teams,
  feedInfo: FeedInfo,
): GameInfo {
  const { reference, feed } = origin;
  const official = reference.games.get(gameId);
  const day = gameDay(gameId, reference, feedInfo.date);
  const season = seasonOf(gameId) || seasonOfDate(day.date);
  // A table that names the wrong home side does so on neutral floors.
  const turned = official !== undefined && official.homeId !== teams.home.teamId;
  const info = create(GameInfoSchema, {
    gameId,
    league: League.NBA,
    season,
    seasonType: seasonTypeOf(gameId),
    gameDate: day.guessed ? "" : day.date,
    tipoffTimeMs: BigInt(feedInfo.tipoffMs ?? defaultTipoffMs(day.date)),
    home: teamMessage(teams.home),
    away: teamMessage(teams.away),
    venue: feedInfo.venue ?? "",
    neutralSite:
      feedInfo.neutralSite === true ||
      official?.neutralSite === true ||
      isRestartGame(season, day.guessed ? "" : day.date) ||
      turned,
    roster: [...(feedInfo.roster ?? rosterOf(plays, feedInfo.names))],
    feed,
  });
  addForms(info, reference);
  return info;
}

/** What earlier results say, ratings and rest, and the closing spread. */
function addForms(info: GameInfo, reference: Reference): void {
  const forms = reference.forms.get(info.gameId);
  const home = forms?.get(info.home?.teamId ?? 0);
  const away = forms?.get(info.away?.teamId ?? 0);
  if (home !== undefined && away !== undefined) {
    info.homeElo = home.elo;
    info.awayElo = away.elo;
    if (home.restDays !== undefined) info.homeRestDays = home.restDays;
    if (away.restDays !== undefined) info.awayRestDays = away.restDays;
  }
  const { gameDate, home: homeTeam, away: awayTeam } = info;
  const spread = spreadOf(reference, gameDate, homeTeam?.tricode ?? "", awayTeam?.tricode ?? "");
  if (spread !== undefined) info.closingSpreadHome = spread;
}

function teamMessage(team: TeamName): Team {
  return create(TeamSchema, { teamId: team.teamId, tricode: team.tricode, name: team.name });
}

/** Everybody who takes part by the rows; people with nothing but technical fouls may be coaches. */
function rosterOf(
  plays: readonly PlayEvent[],
  names: ReadonlyMap<number, string> = new Map(),
): RosterPlayer[] {
  const roster = new Map<number, RosterPlayer>();
  const add = (playerId: number, teamId: number, name: string): void => {
    if (playerId === 0 || roster.has(playerId)) return;
    roster.set(playerId, create(RosterPlayerSchema, { playerId, name, teamId }));
  };
  for (const play of plays) {
    const { teamId } = play;
    if (teamId === 0 || isBenchPlay(play)) continue;
    add(play.actorId, teamId, play.actorName);
    for (const id of [play.assisterId, play.playerInId]) add(id, teamId, names.get(id) ?? "");
  }
  for (const side of [Side.HOME, Side.AWAY]) {
    const first = plays.find((play) => play.period === 1 && onCourt(play, side).length > 0);
    for (const id of first === undefined ? [] : startersBefore(first, side)) {
      const player = roster.get(id);
      if (player !== undefined) player.starter = true;
    }
  }
  return [...roster.values()];
}

function isBenchPlay(play: PlayEvent): boolean {
  return (
    play.kind === PlayKind.EJECTION ||
    (play.kind === PlayKind.FOUL &&
      (play.foulKind === FoulKind.TECHNICAL || play.foulKind === FoulKind.NON_PERSONAL))
  );
}

function onCourt(play: PlayEvent, side: Side): readonly number[] {
  return side === Side.HOME ? play.homeOnCourtIds : play.awayOnCourtIds;
}

/** The five before the first play that names one: a substitution there is taken back. */
function startersBefore(first: PlayEvent, side: Side): readonly number[] {
  const five = onCourt(first, side);
  const { kind, playerInId, playerOutId } = first;
  if (kind !== PlayKind.SUBSTITUTION || first.side !== side || playerInId === 0) return five;
  return five.map((id) => (id === playerInId ? playerOutId : id));
}
