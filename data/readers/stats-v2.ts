import {
  Feed,
  FoulKind,
  type PlayEvent,
  PlayKind,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { type CsvRow } from "./csv.ts";
import { type Draft, type GameRows, newPlay } from "./draft.ts";
import { acceptPlays, finishGame, gameDay, type GameOrigin } from "./finish.ts";
import { EVENT_KINDS, FOUL_WORDS } from "./event-codes.ts";
import { foulKindOf } from "./fouls.ts";
import { setLineUps } from "./on-court.ts";
import { setReboundKinds } from "./rebounds.ts";
import { clockDs, ID_MAX, minuteClockDs, PERIOD_MAX, RowCells, SCORE_MAX } from "./row-cells.ts";
import { setSides, SideVotes, type Teams } from "./sides.ts";
import {
  clockMinutes,
  defaultTipoffMs,
  easternTimes,
  estimateTimes,
  setRecordedTimes,
} from "./wall-clock.ts";

/** Columns without which a file is not of this format. */
export const STATS_V2_COLUMNS = [
  "GAME_ID",
  "EVENTNUM",
  "EVENTMSGTYPE",
  "EVENTMSGACTIONTYPE",
  "PERIOD",
  "WCTIMESTRING",
  "PCTIMESTRING",
  "HOMEDESCRIPTION",
  "NEUTRALDESCRIPTION",
  "VISITORDESCRIPTION",
  "SCORE",
  "PERSON1TYPE",
  "PLAYER1_ID",
  "PLAYER1_TEAM_ID",
  "PLAYER2_ID",
  "PLAYER3_ID",
] as const;

/** Columns that are read when they are there. */
const COLUMNS = [
  ...STATS_V2_COLUMNS,
  "PLAYER1_NAME",
  "PLAYER2_NAME",
  "PLAYER3_NAME",
  "PERSON2TYPE",
  "PERSON3TYPE",
  "PLAYER2_TEAM_ID",
  "PLAYER3_TEAM_ID",
  "PLAYER1_TEAM_CITY",
  "PLAYER1_TEAM_NICKNAME",
  "PLAYER1_TEAM_ABBREVIATION",
  "PLAYER2_TEAM_CITY",
  "PLAYER2_TEAM_NICKNAME",
  "PLAYER2_TEAM_ABBREVIATION",
  "PLAYER3_TEAM_CITY",
  "PLAYER3_TEAM_NICKNAME",
  "PLAYER3_TEAM_ABBREVIATION",
] as const;

type Cells = RowCells<(typeof COLUMNS)[number]>;

/** Clocks of this feed have whole minutes; plays of the same one are spread over it. */
const CLOCK_STEP_MS = 60_000;

/**
 * Reader of stats.nba.com playbyplayv2 rows.
 *
 * | PlayEvent | from |
 * | --- | --- |
 * | kind | `EVENTMSGTYPE` 1-13, 18 |
 * | team, side | `PLAYER1_TEAM_ID`, on team events `PLAYER1_ID`; home and away by `PERSONxTYPE` |
 * | actor | `PLAYER1_ID` when a player (person type 4, 5); on a jump ball player 3, who gets the ball |
 * | assister, stealer, fouled, player in | `PLAYER2_ID`; blocker `PLAYER3_ID` |
 * | score | `SCORE` = visitor - home, carried on as running maximum |
 * | shot | 3 points when the description has `3PT`; distance from `27'`; no place |
 * | free throw | made when the row has a score and no MISS; `1 of 2` from the description |
 * | foul kind | `EVENTMSGACTIONTYPE` |
 * | event time | `WCTIMESTRING` (Eastern, whole minutes) with the game date; estimated when no table dates it |
 * | on court | derived per period, see `setLineUps` |
 */
export class StatsV2Reader {
  readonly feed = Feed.STATS_V2;
  readonly #cells: Cells;

  constructor(header: readonly string[]) {
    this.#cells = new RowCells(header, COLUMNS);
  }

  readGame(game: GameRows<CsvRow>, origin: GameOrigin): SourceGame {
    const votes = new SideVotes();
    const names = new Map<number, string>();
    const drafts = game.rows.map((row) => {
      const draft = this.#draft(row, game.gameId, votes);
      const second = this.#cells.int(this.#cells.at.PLAYER2_ID, ID_MAX);
      if (!names.has(second)) names.set(second, this.#cells.text(this.#cells.at.PLAYER2_NAME));
      return draft;
    });
    const teams = votes.teams(origin.reference.games.get(game.gameId));
    for (const { play } of drafts) setTeamOfEvent(play, teams);
    setSides(drafts, teams);
    const accepted = acceptPlays(drafts, game.gameId);
    const plays = accepted.map((draft) => draft.play);
    setReboundKinds(plays);
    setLineUps(plays, { changesAtBreaks: false });
    const { date, guessed } = gameDay(game.gameId, origin.reference);
    const times = easternTimes(
      date,
      accepted.map((draft) => draft.clockMinutes),
    );
    const tipoffMs = times.find((time) => time !== undefined);
    if (guessed || tipoffMs === undefined) {
      estimateTimes(plays, tipoffMs ?? defaultTipoffMs(date), times);
    } else setRecordedTimes(plays, times, CLOCK_STEP_MS);
    return finishGame(origin, game, drafts, accepted, teams, {
      tipoffMs: tipoffMs ?? defaultTipoffMs(date),
      names,
    });
  }

  #draft(row: CsvRow, gameId: string, votes: SideVotes): Draft {
    const cells = this.#cells.set(row);
    const play = newPlay(gameId, this.feed);
    const draft: Draft = { place: row, play, problem: undefined };
    if (cells.problem === undefined) {
      play.period = cells.requiredInt(cells.at.PERIOD, 1, PERIOD_MAX);
      play.clockRemainingDs = clockDs(
        cells,
        cells.text(cells.at.PCTIMESTRING),
        play.period,
        minuteClockDs,
      );
      play.description = descriptionOf(cells);
      draft.clockMinutes = clockMinutes(cells.text(cells.at.WCTIMESTRING));
      readScore(cells, draft);
      readPeople(cells, play);
      readKind(cells, play);
      if (cells.problem === undefined) vote(cells, votes);
    }
    draft.problem = cells.problem;
    return draft;
  }
}

const FREE_THROW_OF = /(\d) of (\d)/;

/** What a person is, by PERSONxTYPE. */
const PERSON_HOME_PLAYER = 4;
const PERSON_AWAY_PLAYER = 5;
const PERSON_HOME_BENCH = 6;
const PERSON_AWAY_BENCH = 7;
const PERSON_TYPE_MAX = 20;
const CODE_MAX = 1000;

function descriptionOf(cells: Cells): string {
  const home = cells.text(cells.at.HOMEDESCRIPTION);
  const away = cells.text(cells.at.VISITORDESCRIPTION);
  return [home, cells.text(cells.at.NEUTRALDESCRIPTION), away]
    .filter((text) => text !== "")
    .join(" | ");
}

function readScore(cells: Cells, draft: Draft): void {
  const score = cells.text(cells.at.SCORE);
  if (score === "") return;
  const match = /^(\d{1,3}) - (\d{1,3})$/.exec(score);
  const [away, home] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || away > SCORE_MAX || home > SCORE_MAX) {
    cells.reject(
      "BAD_NUMBER",
      `SCORE is "${score}", expected "visitor - home", for example "12 - 9"`,
    );
    return;
  }
  draft.homeScore = home;
  draft.awayScore = away;
}

function readPeople(cells: Cells, play: PlayEvent): void {
  const type = cells.int(cells.at.PERSON1TYPE, PERSON_TYPE_MAX);
  const person = cells.int(cells.at.PLAYER1_ID, ID_MAX);
  play.teamId = cells.int(cells.at.PLAYER1_TEAM_ID, ID_MAX);
  if (type === PERSON_HOME_PLAYER || type === PERSON_AWAY_PLAYER) {
    play.actorId = person;
    play.actorName = cells.text(cells.at.PLAYER1_NAME);
    return;
  }
  // Team events have the team in the player's place, some rows an official; `setTeamOfEvent` sorts it out.
  if (play.teamId === 0) play.teamId = person;
  if (type === PERSON_HOME_BENCH) play.side = Side.HOME;
  else if (type === PERSON_AWAY_BENCH) play.side = Side.AWAY;
}

/** Team of an event that no player acts in: the bench of a side, or an id that is a team of this game. */
function setTeamOfEvent(play: PlayEvent, teams: Teams): void {
  if (play.actorId !== 0 || play.kind === PlayKind.JUMP_BALL) return;
  const { home, away } = teams;
  if (play.side === Side.HOME) play.teamId = home.teamId;
  else if (play.side === Side.AWAY) play.teamId = away.teamId;
  else if (play.teamId !== home.teamId && play.teamId !== away.teamId) play.teamId = 0;
}

function readKind(cells: Cells, play: PlayEvent): void {
  const type = cells.requiredInt(cells.at.EVENTMSGTYPE, 0, CODE_MAX);
  const code = cells.int(cells.at.EVENTMSGACTIONTYPE, CODE_MAX);
  const kind = EVENT_KINDS[type];
  if (kind === undefined) {
    cells.reject("UNKNOWN_KIND", `EVENTMSGTYPE ${type} is not known in this format`);
    return;
  }
  play.kind = kind;
  play.subtype = String(code);
  const second = cells.int(cells.at.PLAYER2_ID, ID_MAX);
  switch (kind) {
    case PlayKind.SHOT:
      play.shotMade = type === 1;
      play.shotValue = play.description.includes("3PT") ? 3 : 2;
      if (play.shotMade) play.assisterId = second;
      else play.blockerId = cells.int(cells.at.PLAYER3_ID, ID_MAX);
      setDistance(play);
      return;
    case PlayKind.FREE_THROW: {
      play.shotValue = 1;
      // Made ones carry the score; a few texts have neither MISS nor points.
      play.shotMade = !play.description.includes("MISS") && cells.text(cells.at.SCORE) !== "";
      const match = FREE_THROW_OF.exec(play.description);
      play.freeThrowNumber = Number(match?.[1] ?? 1);
      play.freeThrowCount = Number(match?.[2] ?? 1);
      return;
    }
    case PlayKind.TURNOVER:
      play.stealerId = second;
      return;
    case PlayKind.FOUL:
      play.subtype = FOUL_WORDS[code] ?? String(code);
      play.foulKind = foulKindOf(play.subtype);
      if (play.foulKind !== FoulKind.DOUBLE && play.subtype !== "double technical") {
        play.fouledId = second;
      }
      return;
    case PlayKind.SUBSTITUTION:
      play.playerOutId = play.actorId;
      play.playerInId = second;
      return;
    case PlayKind.JUMP_BALL:
      play.actorId = cells.int(cells.at.PLAYER3_ID, ID_MAX);
      play.actorName = cells.text(cells.at.PLAYER3_NAME);
      play.teamId = cells.int(cells.at.PLAYER3_TEAM_ID, ID_MAX);
      // A ball that goes to a team has the team in the player's place.
      if (play.teamId === 0) play.actorId = 0;
      return;
    default:
  }
}

function setDistance(play: PlayEvent): void {
  const match = /(\d{1,2})' /.exec(play.description);
  if (match !== null) play.shotDistanceFt = Number(match[1]);
}

/** Columns of each of the three persons of a row. */
const PERSONS = (["1", "2", "3"] as const).map((place) => {
  return {
    type: `PERSON${place}TYPE`,
    team: `PLAYER${place}_TEAM_ID`,
    city: `PLAYER${place}_TEAM_CITY`,
    nickname: `PLAYER${place}_TEAM_NICKNAME`,
    tricode: `PLAYER${place}_TEAM_ABBREVIATION`,
  } as const;
});

function vote(cells: Cells, votes: SideVotes): void {
  const { at } = cells;
  for (const person of PERSONS) {
    const type = cells.int(at[person.type], PERSON_TYPE_MAX);
    if (type !== PERSON_HOME_PLAYER && type !== PERSON_AWAY_PLAYER) continue;
    const team = cells.int(at[person.team], ID_MAX);
    votes.add(team, type === PERSON_HOME_PLAYER ? Side.HOME : Side.AWAY);
    if (votes.isNamed(team)) continue;
    const name = `${cells.text(at[person.city])} ${cells.text(at[person.nickname])}`;
    votes.name(team, cells.text(at[person.tricode]), name.trim());
  }
}
