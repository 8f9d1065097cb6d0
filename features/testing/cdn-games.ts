import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import {
  Feed,
  FoulKind,
  type GameInfo,
  GameInfoSchema,
  League,
  type PlayEvent,
  PlayEventSchema,
  PlayKind,
  ReboundKind,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";

/**
 * The 60 recorded games of February 2025 with their official box scores, to hold the folds against. A
 * reading of its own, kept to what the folds need, so that they are not judged through the code of a reader.
 */
export const CDN_GAMES_FILE = path.join(
  process.env["COURTSIDE_NBA"] ?? path.join(import.meta.dirname, "../../../shared/nba"),
  "fixtures/cdn_raw_60_games_2025-02.jsonl.gz",
);

/** Why tests on recorded games cannot run, or undefined when they can. */
export const cdnGamesMissing: string | undefined = existsSync(CDN_GAMES_FILE)
  ? undefined
  : `skipped: ${CDN_GAMES_FILE} is absent; COURTSIDE_NBA names the folder with recorded games`;

export interface CdnPlayer {
  readonly personId: number;
  readonly starter: string;
  readonly played: string;
  readonly name: string;
  readonly statistics: Readonly<Record<string, number | string>>;
}

export interface CdnTeam {
  readonly teamId: number;
  readonly teamTricode: string;
  readonly score: number;
  readonly timeoutsRemaining: number;
  readonly players: readonly CdnPlayer[];
  readonly statistics: Readonly<Record<string, number | string>>;
}

interface CdnAction {
  readonly actionType: string;
  readonly subType?: string;
  readonly descriptor?: string;
  readonly qualifiers?: readonly string[];
  readonly period: number;
  readonly clock: string;
  readonly teamId?: number;
  readonly personId?: number;
  readonly playerNameI?: string;
  readonly possession: number;
  readonly shotResult?: string;
  readonly assistPersonId?: number;
  readonly scoreHome: string;
  readonly scoreAway: string;
}

export interface CdnGame {
  readonly info: GameInfo;
  readonly plays: readonly PlayEvent[];
  /** Beside each play: true when the feed marks a foul as one in the penalty. */
  readonly inPenalty: readonly boolean[];
  readonly home: CdnTeam;
  readonly away: CdnTeam;
}

interface CdnDocument {
  readonly gameId: string;
  readonly playbyplay: { readonly game: { readonly actions: readonly CdnAction[] } };
  readonly boxscore: { readonly game: { readonly homeTeam: CdnTeam; readonly awayTeam: CdnTeam } };
}

let games: readonly CdnGame[] | undefined;

/** Read once a test file. Folds do not change plays, so tests share them. */
export function readCdnGames(): readonly CdnGame[] {
  games ??= parseGames();
  return games;
}

function parseGames(): CdnGame[] {
  const lines = gunzipSync(readFileSync(CDN_GAMES_FILE)).toString("utf8").trim().split("\n");
  return lines.map((line) => toGame(JSON.parse(line) as CdnDocument));
}

function toGame(document: CdnDocument): CdnGame {
  const { gameId } = document;
  const { homeTeam: home, awayTeam: away } = document.boxscore.game;
  const { actions } = document.playbyplay.game;
  const roster = [home, away].flatMap((team) =>
    team.players.map((player) => ({
      playerId: player.personId,
      name: player.name,
      teamId: team.teamId,
      starter: player.starter === "1",
    })),
  );
  const info = create(GameInfoSchema, {
    gameId,
    season: 2024,
    home: { teamId: home.teamId, tricode: home.teamTricode },
    away: { teamId: away.teamId, tricode: away.teamTricode },
    roster,
    feed: Feed.CDN_LIVE,
  });
  const plays = actions.map((action, index) => {
    const side = sideOf(action.teamId, home.teamId, away.teamId);
    const play = toPlay(action, side);
    return Object.assign(play, { gameId, playNumber: index + 1 });
  });
  const inPenalty = actions.map(({ qualifiers }) => qualifiers?.includes("inpenalty") ?? false);
  return { info, plays, inPenalty, home, away };
}

function sideOf(teamId: number | undefined, homeId: number, awayId: number): Side {
  if (teamId === homeId) return Side.HOME;
  return teamId === awayId ? Side.AWAY : Side.NONE;
}

function toPlay(action: CdnAction, side: Side): PlayEvent {
  const { actionType, subType = "", personId = 0 } = action;
  const isTechnical = actionType === "freethrow" && action.descriptor === "technical";
  const play = create(PlayEventSchema, {
    league: League.NBA,
    season: 2024,
    revision: 1,
    period: action.period,
    clockRemainingDs: clockDs(action.clock),
    kind: kindOf(actionType, subType),
    side,
    teamId: action.teamId ?? 0,
    actorId: personId,
    actorName: action.playerNameI ?? "",
    assisterId: action.assistPersonId ?? 0,
    shotMade: action.shotResult === "Made",
    homeScore: Number(action.scoreHome),
    awayScore: Number(action.scoreAway),
    subtype: isTechnical ? `technical ${subType}` : subType,
    feedPossessionTeamId: action.possession,
    feed: Feed.CDN_LIVE,
    gameOver: actionType === "game" && subType === "end",
  });
  if (play.kind === PlayKind.SHOT) play.shotValue = actionType === "3pt" ? 3 : 2;
  if (play.kind === PlayKind.FREE_THROW) {
    const [number = 1, count = 1] = subType.split(" of ").map(Number);
    Object.assign(play, { shotValue: 1, freeThrowNumber: number, freeThrowCount: count });
  }
  if (play.kind === PlayKind.REBOUND) {
    play.reboundKind = subType === "offensive" ? ReboundKind.OFFENSIVE : ReboundKind.DEFENSIVE;
  }
  if (play.kind === PlayKind.FOUL) play.foulKind = foulKindOf(subType, action.descriptor);
  if (play.kind === PlayKind.SUBSTITUTION) {
    if (subType === "in") play.playerInId = personId;
    else play.playerOutId = personId;
  }
  return play;
}

const KINDS: Readonly<Record<string, PlayKind>> = {
  "2pt": PlayKind.SHOT,
  "3pt": PlayKind.SHOT,
  freethrow: PlayKind.FREE_THROW,
  rebound: PlayKind.REBOUND,
  turnover: PlayKind.TURNOVER,
  foul: PlayKind.FOUL,
  violation: PlayKind.VIOLATION,
  substitution: PlayKind.SUBSTITUTION,
  timeout: PlayKind.TIMEOUT,
  jumpball: PlayKind.JUMP_BALL,
  ejection: PlayKind.EJECTION,
  steal: PlayKind.STEAL,
  block: PlayKind.BLOCK,
};

function kindOf(actionType: string, subType: string): PlayKind {
  if (actionType === "period") {
    return subType === "start" ? PlayKind.PERIOD_START : PlayKind.PERIOD_END;
  }
  return actionType === "game" ? PlayKind.GAME_END : (KINDS[actionType] ?? PlayKind.OTHER);
}

const FOUL_KINDS: Readonly<Record<string, FoulKind>> = {
  shooting: FoulKind.SHOOTING,
  "loose ball": FoulKind.LOOSE_BALL,
  "flagrant-type-1": FoulKind.FLAGRANT,
  "flagrant-type-2": FoulKind.FLAGRANT,
  "clear-path": FoulKind.CLEAR_PATH,
  "away-from-play": FoulKind.AWAY_FROM_PLAY,
  double: FoulKind.DOUBLE,
  take: FoulKind.TAKE,
  "transition take": FoulKind.TAKE,
};

function foulKindOf(subType: string, descriptor = ""): FoulKind {
  if (subType === "technical") return FoulKind.TECHNICAL;
  if (subType === "offensive") return FoulKind.OFFENSIVE;
  return FOUL_KINDS[descriptor] ?? FoulKind.PERSONAL;
}

/** `PT11M44.00S` in tenths of a second. */
function clockDs(clock: string): number {
  const [, minutes = "0", seconds = "0"] = /^PT(\d+)M([\d.]+)S$/.exec(clock) ?? [];
  return Math.round((Number(minutes) * 60 + Number(seconds)) * 10);
}
