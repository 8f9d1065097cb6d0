import { create } from "@bufbuild/protobuf";
import {
  Feed,
  type PlayEvent,
  PlayKind,
  ReboundKind,
  type RosterPlayer,
  RosterPlayerSchema,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { type SourceGame } from "../source.ts";
import { type Draft, newPlay } from "./draft.ts";
import { acceptPlays, type FeedInfo, finishGame, gameDay, type GameOrigin } from "./finish.ts";
import { foulKindOf } from "./fouls.ts";
import { normalGameId } from "./game-id.ts";
import { idOf, type Json, JsonCells, list, member, text } from "./json-cells.ts";
import { setLineUps } from "./on-court.ts";
import { setReboundKinds } from "./rebounds.ts";
import { isoClockDs, PERIOD_MAX, periodLengthDs, SCORE_MAX } from "./row-cells.ts";
import { setSides, SideVotes, voteByScore } from "./sides.ts";
import { defaultTipoffMs, setRecordedTimes } from "./wall-clock.ts";

/** `gameStatus` of a finished game. */
const STATUS_FINAL = 3;

/** The documents of one game as cdn.nba.com serves them. */
export interface CdnDocuments {
  readonly playByPlay: Json;
  /** Absent when there is none beside the play-by-play. */
  readonly boxScore?: Json;
  /** Line in the file of games, 1 for a document of its own. */
  readonly line: number;
}

/** True for a document that this reader takes as play-by-play. */
export function isCdnPlayByPlay(document: Json): boolean {
  const actions = list(member(member(document, "game"), "actions"));
  const first = actions[0];
  return actions.length > 0 && member(first, "orderNumber") !== undefined;
}

/**
 * Reader of cdn.nba.com liveData documents (play-by-play, and the box score when there is one).
 *
 * | PlayEvent | from |
 * | --- | --- |
 * | order | `orderNumber`, the true order; `actionNumber` is not |
 * | kind | `actionType`; steals and blocks have actions of their own |
 * | team | `teamId`; home and away by the box score, else by whose score rises |
 * | actor | `personId`; on a jump ball who recovers it |
 * | assister, fouled | `assistPersonId`, `foulDrawnPersonId` |
 * | player in, player out | two actions, `subType` in and out |
 * | score | `scoreHome`, `scoreAway` on every action, running maximum |
 * | shot | `actionType`, `shotResult`, `xLegacy`/`yLegacy` in tenths of a foot, `shotDistance` |
 * | free throw | `subType` «1 of 2» |
 * | foul kind, subtype | `subType` and `descriptor` |
 * | possession | `possession`, the feed's own |
 * | event time | `timeActual`, never decreasing |
 * | on court | starters of the box score and substitutions |
 */
export function readCdnGame(
  documents: CdnDocuments,
  origin: GameOrigin,
  strays: SourceGame["deadLetters"],
): SourceGame {
  const game = member(documents.playByPlay, "game");
  const box = member(documents.boxScore, "game");
  const gameId = normalGameId(text(member(game, "gameId"))) ?? "";
  const drafts = inOrder(list(member(game, "actions"))).map((action) =>
    readAction(action, gameId, documents.line),
  );
  const votes = new SideVotes();
  voteByScore(drafts, votes);
  for (const [name, side] of BOX_SIDES) voteByBox(member(box, name), side, votes);
  for (const { play, tricode } of drafts) votes.name(play.teamId, tricode);
  const teams = votes.teams(origin.reference.games.get(gameId));
  setSides(drafts, teams);
  const accepted = acceptPlays(drafts, gameId);
  const plays = accepted.map((draft) => draft.play);
  setReboundKinds(plays);
  setLineUps(plays, { starters: startersOf(box), changesAtBreaks: true });
  const tipoff = defaultTipoffMs(gameDay(gameId, origin.reference).date);
  setRecordedTimes(plays, timesOf(accepted, tipoff), 1);
  const rows = { gameId, rows: [], strays, broken: false };
  return finishGame(origin, rows, drafts, accepted, teams, feedInfo(box, plays, accepted));
}

const BOX_SIDES = [
  ["homeTeam", Side.HOME],
  ["awayTeam", Side.AWAY],
] as const;

/** Votes of the box score outweigh whatever a damaged play-by-play says. */
const BOX_VOTES = 1000;

function voteByBox(team: Json, side: Side, votes: SideVotes): void {
  const id = idOf(member(team, "teamId"));
  for (let vote = 0; vote < BOX_VOTES; vote++) votes.add(id, side);
  const name = `${text(member(team, "teamCity"))} ${text(member(team, "teamName"))}`;
  votes.name(id, text(member(team, "teamTricode")), name.trim());
}

/** Actions by `orderNumber`; those without one stay behind the action before them. */
function inOrder(actions: readonly Json[]): readonly Json[] {
  let last = 0;
  const keyed = actions.map((action) => {
    const order = Number(text(member(action, "orderNumber")) || last);
    if (Number.isFinite(order)) last = order;
    return { action, order: last };
  });
  return keyed.sort((a, b) => a.order - b.order).map(({ action }) => action);
}

interface CdnDraft extends Draft {
  readonly tricode: string;
}

function readAction(action: Json, gameId: string, line: number): CdnDraft {
  const cells = new JsonCells(action);
  const play = newPlay(gameId, Feed.CDN_LIVE);
  const place = { line, text: JSON.stringify(action) };
  const draft: CdnDraft = { place, play, problem: undefined, tricode: cells.text("teamTricode") };
  play.period = cells.requiredInt("period", 1, PERIOD_MAX);
  const clock = isoClockDs(cells.text("clock"));
  if (clock === undefined || clock > periodLengthDs(play.period)) {
    const message = `clock is "${cells.text("clock")}", expected for example PT11M45.00S`;
    cells.reject("BAD_CLOCK", message);
  }
  play.clockRemainingDs = clock ?? 0;
  play.description = cells.text("description");
  play.subtype = [cells.text("descriptor"), cells.text("subType")].filter((word) => word).join(" ");
  draft.homeScore = cells.requiredInt("scoreHome", 0, SCORE_MAX);
  draft.awayScore = cells.requiredInt("scoreAway", 0, SCORE_MAX);
  play.teamId = cells.id("teamId");
  play.actorId = cells.id("personId");
  play.actorName = cells.text("playerNameI") || cells.text("playerName");
  play.feedPossessionTeamId = cells.id("possession");
  const timeMs = Date.parse(cells.text("timeActual"));
  if (Number.isFinite(timeMs)) draft.timeMs = timeMs;
  else cells.reject("BAD_TIME", `timeActual is "${cells.text("timeActual")}", expected ISO 8601`);
  readKind(cells, play);
  draft.problem = cells.problem;
  return draft;
}

function readKind(cells: JsonCells, play: PlayEvent): void {
  const action = cells.text("actionType");
  const subType = cells.text("subType");
  switch (action) {
    case "2pt":
    case "3pt":
      return readShot(cells, play, action === "3pt" ? 3 : 2);
    case "freethrow": {
      play.kind = PlayKind.FREE_THROW;
      play.shotValue = 1;
      play.shotMade = isMade(cells);
      const match = /(\d) of (\d)/.exec(subType);
      play.freeThrowNumber = Number(match?.[1] ?? 1);
      play.freeThrowCount = Number(match?.[2] ?? 1);
      return;
    }
    case "rebound":
      play.kind = PlayKind.REBOUND;
      if (subType === "offensive") play.reboundKind = ReboundKind.OFFENSIVE;
      if (subType === "defensive") play.reboundKind = ReboundKind.DEFENSIVE;
      return;
    case "foul":
      play.kind = PlayKind.FOUL;
      play.foulKind = foulKindOf(play.subtype);
      play.fouledId = cells.id("foulDrawnPersonId");
      return;
    case "substitution":
      play.kind = PlayKind.SUBSTITUTION;
      if (subType === "in") play.playerInId = play.actorId;
      else if (subType === "out") play.playerOutId = play.actorId;
      else cells.reject("MALFORMED_ROW", `a substitution has subType in or out, not "${subType}"`);
      return;
    case "jumpball":
      play.kind = PlayKind.JUMP_BALL;
      play.actorId = cells.id("jumpBallRecoverdPersonId");
      play.actorName = cells.text("jumpBallRecoveredName");
      return;
    case "period":
      play.kind = subType === "start" ? PlayKind.PERIOD_START : PlayKind.PERIOD_END;
      return;
    case "game":
      play.kind = subType === "start" ? PlayKind.GAME_START : PlayKind.GAME_END;
      return;
    default: {
      const kind = PLAIN_KINDS[action];
      if (kind === undefined) {
        cells.reject("UNKNOWN_KIND", `actionType "${action}" is not known in this format`);
      } else play.kind = kind;
    }
  }
}

const PLAIN_KINDS: Readonly<Record<string, PlayKind>> = {
  turnover: PlayKind.TURNOVER,
  steal: PlayKind.STEAL,
  block: PlayKind.BLOCK,
  timeout: PlayKind.TIMEOUT,
  violation: PlayKind.VIOLATION,
  ejection: PlayKind.EJECTION,
  instantreplay: PlayKind.REVIEW,
  stoppage: PlayKind.OTHER,
  memo: PlayKind.OTHER,
};

function isMade(cells: JsonCells): boolean {
  const result = cells.text("shotResult");
  if (result !== "Made" && result !== "Missed") {
    cells.reject("MALFORMED_ROW", `shotResult is "${result}", expected Made or Missed`);
  }
  return result === "Made";
}

function readShot(cells: JsonCells, play: PlayEvent, value: number): void {
  play.kind = PlayKind.SHOT;
  play.shotValue = value;
  play.shotMade = isMade(cells);
  play.assisterId = cells.id("assistPersonId");
  const x = cells.decimal("xLegacy");
  const y = cells.decimal("yLegacy");
  if (x !== undefined && y !== undefined) {
    play.shotXFt = x / 10;
    play.shotYFt = y / 10;
  }
  const distance = cells.decimal("shotDistance");
  if (distance !== undefined) play.shotDistanceFt = distance;
}

/** Never decreasing; the feed's own clock steps back a few times a game. */
function timesOf(accepted: readonly Draft[], tipoff: number): number[] {
  let last = accepted[0]?.timeMs ?? tipoff;
  return accepted.map(({ timeMs }) => {
    last = Math.max(last, timeMs ?? last);
    return last;
  });
}

function startersOf(box: Json): ReadonlyMap<Side, readonly number[]> {
  return new Map(
    BOX_SIDES.map(([name, side]) => {
      const starters = list(member(member(box, name), "players")).filter(
        (player) => text(member(player, "starter")) === "1",
      );
      return [side, starters.map((player) => idOf(member(player, "personId")))];
    }),
  );
}

function feedInfo(box: Json, plays: readonly PlayEvent[], accepted: readonly Draft[]): FeedInfo {
  const ended = plays.at(-1)?.kind === PlayKind.GAME_END;
  const final = ended || text(member(box, "gameStatus")) === String(STATUS_FINAL);
  const scheduledMs = Date.parse(text(member(box, "gameTimeUTC")));
  const tipoffMs = Number.isFinite(scheduledMs) ? scheduledMs : accepted[0]?.timeMs;
  const roster = rosterOf(box);
  const date = /^\d{4}-\d\d-\d\d/.exec(text(member(box, "gameEt")))?.[0];
  return {
    final,
    venue: text(member(member(box, "arena"), "arenaName")),
    ...(tipoffMs === undefined ? {} : { tipoffMs }),
    ...(date === undefined ? {} : { date }),
    ...(roster.length === 0 ? {} : { roster }),
  };
}

function rosterOf(box: Json): RosterPlayer[] {
  return BOX_SIDES.flatMap(([name]) => {
    const team = member(box, name);
    const teamId = idOf(member(team, "teamId"));
    return list(member(team, "players")).map((player) =>
      create(RosterPlayerSchema, {
        playerId: idOf(member(player, "personId")),
        name: text(member(player, "name")),
        teamId,
        starter: text(member(player, "starter")) === "1",
      }),
    );
  });
}
