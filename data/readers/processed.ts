import { Feed, type PlayEvent, PlayKind, Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { type CsvRow } from "./csv.ts";
import { type Draft, type GameRows, newPlay } from "./draft.ts";
import { acceptPlays, finishGame, type GameOrigin } from "./finish.ts";
import { foulKindOf } from "./fouls.ts";
import { setReboundKinds } from "./rebounds.ts";
import { clockDs, minuteClockDs, PERIOD_MAX, RowCells, SCORE_MAX } from "./row-cells.ts";
import { type Reference } from "./reference.ts";
import { setSides, SideVotes } from "./sides.ts";
import { teamByTricode, type TeamName } from "./teams.ts";
import { estimateTimes } from "./wall-clock.ts";

/** Columns without which a file is not of this format. */
export const PROCESSED_COLUMNS = [
  "game_id",
  "date",
  "home",
  "vis",
  "period",
  "mins",
  "secs",
  "team",
  "event",
  "home_desc",
  "vis_desc",
  "home_score",
  "vis_score",
] as const;

type Cells = RowCells<(typeof PROCESSED_COLUMNS)[number]>;

/**
 * Reader of the processed archive of the 2019-20 restart games.
 *
 * | PlayEvent | from |
 * | --- | --- |
 * | kind, shot value and result | `event` |
 * | team, side | `team`, `home`, `vis` (three letters); the ids from the results table or the league's list |
 * | players | none: the archive has no ids and no substitutions |
 * | score | `home_score`, `vis_score` on every row, running maximum |
 * | rebound kind | by who missed; players' running counts cannot be told apart by id |
 * | event time | estimated from `date` and game time |
 */
export class ProcessedReader {
  readonly feed = Feed.PROCESSED;
  readonly #cells: Cells;

  constructor(header: readonly string[]) {
    this.#cells = new RowCells(header, PROCESSED_COLUMNS);
  }

  readGame(game: GameRows<CsvRow>, origin: GameOrigin): SourceGame {
    const votes = new SideVotes();
    let date: string | undefined;
    const drafts = game.rows.map((row) => {
      const draft = this.#draft(row, game.gameId, origin.reference, votes);
      const day = this.#cells.text(this.#cells.at.date);
      if (draft.problem === undefined && /^\d{4}-\d\d-\d\d$/.test(day)) date ??= day;
      return draft;
    });
    const teams = votes.teams(origin.reference.games.get(game.gameId));
    setSides(drafts, teams);
    const accepted = acceptPlays(drafts, game.gameId);
    const plays = accepted.map((draft) => draft.play);
    setReboundKinds(plays);
    const feedInfo = date === undefined ? {} : { date };
    const result = finishGame(origin, game, drafts, accepted, teams, feedInfo);
    estimateTimes(plays, Number(result.info.tipoffTimeMs), []);
    return result;
  }

  #draft(row: CsvRow, gameId: string, reference: Reference, votes: SideVotes): Draft {
    const cells = this.#cells.set(row);
    const play = newPlay(gameId, this.feed);
    const draft: Draft = { place: row, play, problem: undefined };
    if (cells.problem === undefined) {
      play.period = cells.requiredInt(cells.at.period, 1, PERIOD_MAX);
      const clock = `${cells.text(cells.at.mins)}:${cells.text(cells.at.secs).padStart(2, "0")}`;
      play.clockRemainingDs = clockDs(cells, clock, play.period, minuteClockDs);
      draft.homeScore = cells.requiredInt(cells.at.home_score, 0, SCORE_MAX);
      draft.awayScore = cells.requiredInt(cells.at.vis_score, 0, SCORE_MAX);
      this.#readTeam(cells, play, reference, votes);
      readKind(cells, play);
    }
    draft.problem = cells.problem;
    return draft;
  }

  #readTeam(cells: Cells, play: PlayEvent, reference: Reference, votes: SideVotes): void {
    const [home, away] = [cells.text(cells.at.home), cells.text(cells.at.vis)];
    const official = reference.games.get(play.gameId);
    const find = (tricode: string): TeamName | undefined =>
      [official?.home, official?.away].find((team) => team?.tricode === tricode) ??
      teamByTricode(tricode);
    const homeTeam = find(home);
    const awayTeam = find(away);
    if (homeTeam === undefined || awayTeam === undefined) {
      const message = `"${home}" or "${away}" is no team of the results table or of the league`;
      cells.reject("UNKNOWN_TEAM", message);
      return;
    }
    votes.add(homeTeam.teamId, Side.HOME);
    votes.add(awayTeam.teamId, Side.AWAY);
    const team = cells.text(cells.at.team);
    const descriptions = [cells.text(cells.at.home_desc), cells.text(cells.at.vis_desc)];
    if (team === home) play.teamId = homeTeam.teamId;
    else if (team === away) play.teamId = awayTeam.teamId;
    else if (team !== "")
      cells.reject("UNKNOWN_TEAM", `team is "${team}", expected ${home} or ${away}`);
    play.description = [...new Set(descriptions)].filter((text) => text !== "").join(" | ");
  }
}

const KINDS: Readonly<Record<string, PlayKind>> = {
  fg_make: PlayKind.SHOT,
  fg_miss: PlayKind.SHOT,
  fg3_make: PlayKind.SHOT,
  fg3_miss: PlayKind.SHOT,
  ft_make: PlayKind.FREE_THROW,
  ft_miss: PlayKind.FREE_THROW,
  reb: PlayKind.REBOUND,
  tov: PlayKind.TURNOVER,
  foul: PlayKind.FOUL,
  steal: PlayKind.STEAL,
  block: PlayKind.BLOCK,
  timeout: PlayKind.TIMEOUT,
  jump_ball: PlayKind.JUMP_BALL,
  violation: PlayKind.VIOLATION,
  ejection: PlayKind.EJECTION,
  period_start: PlayKind.PERIOD_START,
  period_end: PlayKind.PERIOD_END,
};

function readKind(cells: Cells, play: PlayEvent): void {
  const event = cells.text(cells.at.event);
  const kind = KINDS[event];
  if (kind === undefined) {
    cells.reject("UNKNOWN_KIND", `event "${event}" is not known in this format`);
    return;
  }
  play.kind = kind;
  play.shotMade = event.endsWith("_make");
  if (kind === PlayKind.SHOT) play.shotValue = event.startsWith("fg3") ? 3 : 2;
  if (kind === PlayKind.FREE_THROW) {
    play.shotValue = 1;
    const match = /(\d) of (\d)/.exec(play.description);
    play.freeThrowNumber = Number(match?.[1] ?? 1);
    play.freeThrowCount = Number(match?.[2] ?? 1);
  }
  if (kind === PlayKind.FOUL) {
    play.subtype = FOUL_WORDS.find(([sign]) => play.description.includes(sign))?.[1] ?? "";
    play.foulKind = foulKindOf(play.subtype || play.description);
  }
}

/** Signs of the descriptions, in the words of the other feeds. */
const FOUL_WORDS: readonly (readonly [string, string])[] = [
  ["S.FOUL", "shooting"],
  ["L.B.FOUL", "loose ball"],
  ["OFF.Foul", "offensive"],
  ["Def. 3 Sec", "defensive 3 second"],
  ["AWAY.FROM.PLAY", "away from play"],
  ["C.P.FOUL", "clear path"],
  ["FLAGRANT", "flagrant"],
  ["HANGING.TECH", "hanging technical"],
  ["P.FOUL", "personal"],
  ["T.FOUL", "technical"],
];
