import { Feed, type PlayEvent, PlayKind, Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { type CsvRow } from "./csv.ts";
import { type Draft, type GameRows, newPlay } from "./draft.ts";
import { acceptPlays, finishGame, gameDay, type GameOrigin } from "./finish.ts";
import { foulKindOf } from "./fouls.ts";
import { NameBook, plainLetters, spelledName } from "./names.ts";
import { setLineUps } from "./on-court.ts";
import { setReboundKinds } from "./rebounds.ts";
import { clockDs, ID_MAX, isoClockDs, PERIOD_MAX, RowCells, SCORE_MAX } from "./row-cells.ts";
import { setSides, sideOf, SideVotes, type Teams } from "./sides.ts";
import { clockMinutes, defaultTipoffMs, easternTimes, estimateTimes } from "./wall-clock.ts";

/** Columns without which a file is not of this format. */
export const STATS_V3_COLUMNS = [
  "gameId",
  "actionNumber",
  "clock",
  "period",
  "teamId",
  "personId",
  "playerName",
  "scoreHome",
  "scoreAway",
  "location",
  "description",
  "actionType",
  "subType",
] as const;

/** Columns that are read when they are there. */
const COLUMNS = [
  ...STATS_V3_COLUMNS,
  "teamTricode",
  "playerNameI",
  "shotValue",
  "xLegacy",
  "yLegacy",
  "shotDistance",
] as const;

type Cells = RowCells<(typeof COLUMNS)[number]>;

/**
 * Reader of stats.nba.com playbyplayv3 rows.
 *
 * | PlayEvent | from |
 * | --- | --- |
 * | kind | `actionType`; blank = steal or block, told by the description |
 * | team, side | `teamId`, on team events `personId`; home and away by `location` |
 * | actor | `personId`, not on team events; on a jump ball who gets the ball (`Tip to`) |
 * | assister, player in | only named in the description, found by `NameBook` |
 * | score | `scoreHome`, `scoreAway` of rows that score, carried on as running maximum |
 * | shot | `shotValue`, `actionType`, `xLegacy`/`yLegacy` in tenths of a foot, `shotDistance` |
 * | free throw | made unless the description starts with MISS; `1 of 2` from `subType` |
 * | rebound kind | running counts in the description, team rebounds by who missed |
 * | event time | estimated, through the Eastern clocks printed on period and replay rows |
 * | on court | derived per period, see `setLineUps` |
 */
export class StatsV3Reader {
  readonly feed = Feed.STATS_V3;
  readonly #cells: Cells;
  readonly #names = new NameBook();
  /** Names of all players of the file so far, by id. */
  readonly #playerNames = new Map<number, string>();
  /** How rows of this game spell who acts. */
  readonly #spellings = new Map<number, string>();

  constructor(header: readonly string[]) {
    this.#cells = new RowCells(header, COLUMNS);
  }

  readGame(game: GameRows<CsvRow>, origin: GameOrigin): SourceGame {
    const votes = new SideVotes();
    this.#names.startGame();
    this.#spellings.clear();
    const drafts = game.rows.map((row) => this.#draft(row, game.gameId, votes));
    const teams = votes.teams(origin.reference.games.get(game.gameId));
    setSides(drafts, teams);
    const accepted = acceptPlays(drafts, game.gameId);
    const plays = accepted.map((draft) => draft.play);
    for (const play of plays) this.#nameOthers(play, teams);
    setReboundKinds(plays);
    setLineUps(plays, { changesAtBreaks: false });
    const { date } = gameDay(game.gameId, origin.reference);
    const anchors = easternTimes(
      date,
      accepted.map((draft) => draft.clockMinutes),
    );
    const tipoffMs = anchors.find((time) => time !== undefined) ?? defaultTipoffMs(date);
    estimateTimes(plays, tipoffMs, anchors);
    const names = this.#playerNames;
    return finishGame(origin, game, drafts, accepted, teams, { tipoffMs, names });
  }

  #draft(row: CsvRow, gameId: string, votes: SideVotes): Draft {
    const cells = this.#cells.set(row);
    const play = newPlay(gameId, this.feed);
    const draft: Draft = { place: row, play, problem: undefined };
    if (cells.problem === undefined) {
      this.#readCommon(cells, draft);
      this.#readKind(cells, draft);
      if (cells.problem === undefined) this.#learn(cells, play, votes);
    }
    draft.problem = cells.problem;
    return draft;
  }

  #readCommon(cells: Cells, draft: Draft): void {
    const { play } = draft;
    play.period = cells.requiredInt(cells.at.period, 1, PERIOD_MAX);
    play.clockRemainingDs = clockDs(cells, cells.text(cells.at.clock), play.period, isoClockDs);
    play.description = cells.text(cells.at.description);
    play.subtype = cells.text(cells.at.subType);
    draft.homeScore = cells.optionalInt(cells.at.scoreHome, SCORE_MAX);
    draft.awayScore = cells.optionalInt(cells.at.scoreAway, SCORE_MAX);
    const person = cells.int(cells.at.personId, ID_MAX);
    play.teamId = cells.int(cells.at.teamId, ID_MAX);
    const located = cells.text(cells.at.location) !== "";
    // Team events carry the team in the person's place; replay rows may carry anybody there.
    if (play.teamId !== 0) play.actorId = person;
    else if (located) play.teamId = person;
    if (play.actorId !== 0)
      play.actorName = cells.text(cells.at.playerNameI) || cells.text(cells.at.playerName);
  }

  #readKind(cells: Cells, draft: Draft): void {
    const { play } = draft;
    const action = cells.text(cells.at.actionType);
    switch (action) {
      case "Made Shot":
      case "Missed Shot":
        return readShot(cells, play, action === "Made Shot");
      case "Free Throw":
        return readFreeThrow(play);
      case "Foul":
        play.kind = PlayKind.FOUL;
        play.foulKind = foulKindOf(play.subtype);
        return;
      case "period":
        play.kind = play.subtype === "start" ? PlayKind.PERIOD_START : PlayKind.PERIOD_END;
        draft.clockMinutes = clockMinutes(play.description);
        return;
      case "Instant Replay":
        play.kind = PlayKind.REVIEW;
        draft.clockMinutes = clockMinutes(play.description);
        return;
      case "":
        if (play.description.includes(" STEAL (")) play.kind = PlayKind.STEAL;
        else if (play.description.includes(" BLOCK (")) play.kind = PlayKind.BLOCK;
        else play.kind = PlayKind.OTHER;
        return;
      default: {
        const kind = PLAIN_KINDS.get(action);
        if (kind === undefined) {
          cells.reject("UNKNOWN_KIND", `actionType "${action}" is not known in this format`);
        } else play.kind = kind;
      }
    }
  }

  #learn(cells: Cells, play: PlayEvent, votes: SideVotes): void {
    const location = cells.text(cells.at.location);
    const side = location === "h" ? Side.HOME : location === "v" ? Side.AWAY : Side.NONE;
    votes.add(play.teamId, side);
    if (!votes.isNamed(play.teamId)) votes.name(play.teamId, cells.text(cells.at.teamTricode));
    if (play.actorId === 0) return;
    if (!this.#playerNames.has(play.actorId)) this.#playerNames.set(play.actorId, play.actorName);
    if (play.kind !== PlayKind.SUBSTITUTION && this.#isSpelledAsBefore(play)) return;
    const surname = cells.text(cells.at.playerName);
    const leaving = play.description.indexOf(" FOR ");
    if (play.kind === PlayKind.JUMP_BALL) {
      const name = JUMPER.exec(play.description)?.[1] ?? "";
      this.#names.learn(play.teamId, plainLetters(name), play.actorId);
    } else if (play.kind !== PlayKind.SUBSTITUTION) {
      const name = spelledName(play.description, surname);
      if (name !== "") this.#spellings.set(play.actorId, name);
      this.#names.learn(play.teamId, name, play.actorId);
    } else if (leaving >= 0) {
      const name = plainLetters(play.description.slice(leaving + " FOR ".length));
      this.#names.learn(play.teamId, name, play.actorId);
    }
  }

  /** Most rows begin with the name as an earlier row of the game had it: then there is nothing to learn. */
  #isSpelledAsBefore({ actorId, description }: PlayEvent): boolean {
    const name = this.#spellings.get(actorId);
    if (name === undefined) return false;
    return description.startsWith(name, description.startsWith(MISS) ? MISS.length : 0);
  }

  /** Finds the players who are only named in the description. */
  #nameOthers(play: PlayEvent, teams: Teams): void {
    if (play.kind === PlayKind.SHOT && play.shotMade) {
      const name = ASSIST.exec(play.description)?.[1];
      if (name !== undefined) {
        play.assisterId = this.#names.find(play.teamId, name, (id) => id !== play.actorId);
      }
    } else if (play.kind === PlayKind.SUBSTITUTION) {
      play.playerOutId = play.actorId;
      const name = COMING_IN.exec(play.description)?.[1] ?? "";
      play.playerInId = this.#names.find(play.teamId, name, (id) => id !== play.actorId);
    } else if (play.kind === PlayKind.JUMP_BALL) {
      this.#giveTip(play, teams);
    }
  }

  /** The row names the home jumper; the play belongs to who got the ball. */
  #giveTip(play: PlayEvent, teams: Teams): void {
    const name = TIP.exec(play.description)?.[1];
    if (name === undefined) return;
    const home = this.#names.find(teams.home.teamId, name);
    const away = this.#names.find(teams.away.teamId, name);
    // Two of the same name: the feed does not tell which.
    const found = home !== 0 && away !== 0 ? 0 : home || away;
    play.actorId = found;
    play.actorName = this.#playerNames.get(found) ?? "";
    play.teamId = found === 0 ? 0 : home === 0 ? teams.away.teamId : teams.home.teamId;
    play.side = sideOf(teams, play.teamId);
  }
}

const PLAIN_KINDS: ReadonlyMap<string, PlayKind> = new Map([
  ["Rebound", PlayKind.REBOUND],
  ["Substitution", PlayKind.SUBSTITUTION],
  ["Turnover", PlayKind.TURNOVER],
  ["Timeout", PlayKind.TIMEOUT],
  ["Violation", PlayKind.VIOLATION],
  ["Jump Ball", PlayKind.JUMP_BALL],
  ["Ejection", PlayKind.EJECTION],
]);

const MISS = "MISS ";
const ASSIST = /\(([^()]+) \d+ AST\)/;
const COMING_IN = /^SUB: (.+) FOR /;
const JUMPER = /^Jump Ball (?:\(CC\) )?(.+) vs\. /;
const TIP = /Tip to (.+)$/;
const FREE_THROW_OF = /(\d) of (\d)/;

function readShot(cells: Cells, play: PlayEvent, made: boolean): void {
  play.kind = PlayKind.SHOT;
  play.shotMade = made;
  play.shotValue = cells.requiredInt(cells.at.shotValue, 2, 3);
  const x = cells.decimal(cells.at.xLegacy);
  const y = cells.decimal(cells.at.yLegacy);
  if (x !== undefined && y !== undefined) {
    play.shotXFt = x / 10;
    play.shotYFt = y / 10;
  }
  const distance = cells.decimal(cells.at.shotDistance);
  if (distance !== undefined) play.shotDistanceFt = distance;
}

function readFreeThrow(play: PlayEvent): void {
  play.kind = PlayKind.FREE_THROW;
  play.shotValue = 1;
  play.shotMade = !play.description.startsWith(MISS);
  // Technical free throws have no number: they come one at a time.
  const match = FREE_THROW_OF.exec(play.subtype);
  play.freeThrowNumber = Number(match?.[1] ?? 1);
  play.freeThrowCount = Number(match?.[2] ?? 1);
}
