import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { PlayerLoad } from "../proto/gen/courtside/v1/insight_pb.ts";
import {
  FoulKind,
  type GameInfo,
  type PlayEvent,
  PlayKind,
  ReboundKind,
  Side,
} from "../proto/gen/courtside/v1/play_pb.ts";
import {
  type PlayerFold,
  type PlayersFold,
  PlayersFoldSchema,
} from "../proto/gen/courtside/v1/state_pb.ts";
import { gameTimeDs } from "./game-clock.ts";
import { applyLineUps, enterCourt, LOAD_WINDOW_DS } from "./line-up.ts";
import { otherSide } from "./possession.ts";
import { FREE_THROW_POSSESSION_SHARE } from "./team-window.ts";

/**
 * Players before the first play. The roster's starters are on court from tip-off when it names five a side;
 * otherwise the plays tell.
 */
export function createPlayersFold(info: GameInfo | undefined, gameId: string): PlayersFold {
  const fold = create(PlayersFoldSchema, { gameId });
  if (info === undefined) return fold;
  fold.homeTeamId = info.home?.teamId ?? 0;
  fold.awayTeamId = info.away?.teamId ?? 0;
  const starters: Record<number, number[]> = { [Side.HOME]: [], [Side.AWAY]: [] };
  for (const { playerId, name, teamId, starter } of info.roster) {
    const side = teamId === fold.homeTeamId ? Side.HOME : Side.AWAY;
    playerOf(fold, playerId, side).name = name;
    if (starter) starters[side]?.push(playerId);
  }
  const home = starters[Side.HOME] ?? [];
  const away = starters[Side.AWAY] ?? [];
  if (home.length !== 5 || away.length !== 5) return fold;
  for (const id of home) enterCourt(playerOf(fold, id, Side.HOME), fold, 0);
  for (const id of away) enterCourt(playerOf(fold, id, Side.AWAY), fold, 0);
  fold.homeOnCourtIds = home;
  fold.awayOnCourtIds = away;
  return fold;
}

/**
 * Folds the next play into the players' lines, in place.
 * @returns ids of the players whose counts changed or who came or went; everybody who has played at the
 *   end of a period and of the game. Minutes and plus-minus of the others run on and are told with their
 *   own next change.
 */
export function applyPlayToPlayers(fold: PlayersFold, play: PlayEvent): readonly number[] {
  const changed: number[] = [];
  if (play.side === Side.HOME && fold.homeTeamId === 0) fold.homeTeamId = play.teamId;
  if (play.side === Side.AWAY && fold.awayTeamId === 0) fold.awayTeamId = play.teamId;
  fold.playNumber = play.playNumber;
  fold.gameTimeDs = Math.max(fold.gameTimeDs, gameTimeDs(play.period, play.clockRemainingDs));
  // Line-ups first: a shot is the work of those on court, and only substitutions change them.
  applyLineUps(fold, play, playerOf, changed);
  if (play.kind === PlayKind.FOUL) rememberFoul(fold);
  const gained = play.homeScore - play.awayScore - fold.margin;
  fold.margin += gained;
  if (play.kind === PlayKind.FREE_THROW && gained !== 0) creditFoul(fold, gained);
  countPlay(fold, play, changed);
  if (play.kind !== PlayKind.PERIOD_END && !play.gameOver) return changed;
  return Object.values(fold.players)
    .filter((player) => player.hasPlayed)
    .map((player) => player.playerId);
}

/**
 * Line and load of one player as of `play`, the last that was applied.
 * @param playerId - of a player whom the fold knows: from the roster or from a play.
 */
export function playerLoadOf(fold: PlayersFold, playerId: number, play: PlayEvent): PlayerLoad {
  const player = fold.players[playerId];
  assert(player !== undefined, `player ${playerId} has no line in game ${fold.gameId}`);
  const nowDs = fold.gameTimeDs;
  const stintDs = player.onCourt ? nowDs - player.sinceDs : 0;
  return {
    $typeName: "courtside.v1.PlayerLoad",
    gameId: fold.gameId,
    playNumber: play.playNumber,
    playerId,
    playerName: player.name,
    teamId: player.side === Side.HOME ? fold.homeTeamId : fold.awayTeamId,
    side: player.side,
    onCourt: player.onCourt,
    playedS: (player.playedDs + stintDs) / 10,
    stintS: stintDs / 10,
    stintMaxS: Math.max(player.stintMaxDs, stintDs) / 10,
    restS: player.onCourt || !player.hasPlayed ? 0 : (nowDs - player.sinceDs) / 10,
    playedLast12MinS: playedInWindowDs(player, nowDs) / 10,
    points: player.points,
    fieldGoalsMade: player.fieldGoalsMade,
    fieldGoalsAttempted: player.fieldGoalsAttempted,
    threesMade: player.threesMade,
    threesAttempted: player.threesAttempted,
    freeThrowsMade: player.freeThrowsMade,
    freeThrowsAttempted: player.freeThrowsAttempted,
    offensiveRebounds: player.offensiveRebounds,
    defensiveRebounds: player.defensiveRebounds,
    assists: player.assists,
    steals: player.steals,
    blocks: player.blocks,
    turnovers: player.turnovers,
    personalFouls: player.personalFouls,
    plusMinus: plusMinusOf(fold, player),
    usage: usageOf(fold, player),
    trueShooting: trueShootingOf(player),
  };
}

function rememberFoul(fold: PlayersFold): void {
  fold.homeAtFoulIds = fold.homeOnCourtIds;
  fold.awayAtFoulIds = fold.awayOnCourtIds;
}

/**
 * The league credits a free throw to those who were on court at the foul, not at the throw: what the change
 * of the margin gives to those who came since is taken back, and those who left get it.
 */
function creditFoul(fold: PlayersFold, gained: number): void {
  moveCredit(fold, fold.homeAtFoulIds, fold.homeOnCourtIds, gained);
  moveCredit(fold, fold.awayAtFoulIds, fold.awayOnCourtIds, -gained);
}

function moveCredit(
  fold: PlayersFold,
  atFoul: readonly number[],
  now: readonly number[],
  gained: number,
): void {
  if (atFoul === now || atFoul.length === 0) return;
  for (const id of now) {
    const player = fold.players[id];
    if (player !== undefined && !atFoul.includes(id)) player.plusMinus -= gained;
  }
  for (const id of atFoul) {
    const player = fold.players[id];
    if (player !== undefined && !now.includes(id)) player.plusMinus += gained;
  }
}

function countPlay(fold: PlayersFold, play: PlayEvent, changed: number[]): void {
  const { actorId, side } = play;
  if (actorId === 0 || otherSide(side) === Side.NONE) return;
  // As a number: the enum is open, and kinds that are not listed change no line.
  switch (play.kind as number) {
    case PlayKind.SHOT:
      return countShot(fold, play, changed);
    case PlayKind.FREE_THROW:
      return countFreeThrow(fold, play, changed);
    case PlayKind.REBOUND: {
      const player = actorOf(fold, play, changed);
      if (play.reboundKind === ReboundKind.OFFENSIVE) player.offensiveRebounds++;
      else player.defensiveRebounds++;
      return;
    }
    case PlayKind.TURNOVER:
      actorOf(fold, play, changed).turnovers++;
      useChances(fold, side, 1);
      if (play.stealerId !== 0) partnerOf(fold, play.stealerId, otherSide(side), changed).steals++;
      return;
    case PlayKind.STEAL:
      actorOf(fold, play, changed).steals++;
      return;
    case PlayKind.BLOCK:
      actorOf(fold, play, changed).blocks++;
      return;
    case PlayKind.FOUL:
      if (isPersonalFoul(play.foulKind)) actorOf(fold, play, changed).personalFouls++;
      return;
    default:
  }
}

function countShot(fold: PlayersFold, play: PlayEvent, changed: number[]): void {
  const player = actorOf(fold, play, changed);
  const isThree = play.shotValue === 3;
  player.fieldGoalsAttempted++;
  if (isThree) player.threesAttempted++;
  useChances(fold, play.side, 1);
  if (play.shotMade) {
    player.fieldGoalsMade++;
    if (isThree) player.threesMade++;
    player.points += isThree ? 3 : 2;
    if (play.assisterId !== 0) partnerOf(fold, play.assisterId, play.side, changed).assists++;
  } else if (play.blockerId !== 0) {
    partnerOf(fold, play.blockerId, otherSide(play.side), changed).blocks++;
  }
}

function countFreeThrow(fold: PlayersFold, play: PlayEvent, changed: number[]): void {
  const player = actorOf(fold, play, changed);
  player.freeThrowsAttempted++;
  useChances(fold, play.side, FREE_THROW_POSSESSION_SHARE);
  if (!play.shotMade) return;
  player.freeThrowsMade++;
  player.points++;
}

/** Technicals and defensive three seconds are no personal fouls (rule 12, part A). */
function isPersonalFoul(kind: FoulKind): boolean {
  return kind !== FoulKind.TECHNICAL && kind !== FoulKind.NON_PERSONAL;
}

function useChances(fold: PlayersFold, side: Side, chances: number): void {
  if (side === Side.HOME) fold.homeChances += chances;
  else fold.awayChances += chances;
}

function actorOf(fold: PlayersFold, play: PlayEvent, changed: number[]): PlayerFold {
  const player = partnerOf(fold, play.actorId, play.side, changed);
  if (player.name === "") player.name = play.actorName;
  return player;
}

function partnerOf(fold: PlayersFold, id: number, side: Side, changed: number[]): PlayerFold {
  if (!changed.includes(id)) changed.push(id);
  return playerOf(fold, id, side);
}

function playerOf(fold: PlayersFold, playerId: number, side: Side): PlayerFold {
  const known = fold.players[playerId];
  if (known !== undefined) return known;
  const player: PlayerFold = {
    $typeName: "courtside.v1.PlayerFold",
    playerId,
    name: "",
    side,
    onCourt: false,
    sinceDs: 0,
    hasPlayed: false,
    playedDs: 0,
    stintMaxDs: 0,
    stintStartsDs: [],
    stintEndsDs: [],
    plusMinus: 0,
    marginAtStart: 0,
    teamChances: 0,
    teamChancesAtStart: 0,
    points: 0,
    fieldGoalsMade: 0,
    fieldGoalsAttempted: 0,
    threesMade: 0,
    threesAttempted: 0,
    freeThrowsMade: 0,
    freeThrowsAttempted: 0,
    offensiveRebounds: 0,
    defensiveRebounds: 0,
    assists: 0,
    steals: 0,
    blocks: 0,
    turnovers: 0,
    personalFouls: 0,
  };
  fold.players[playerId] = player;
  return player;
}

function playedInWindowDs(player: PlayerFold, nowDs: number): number {
  const fromDs = nowDs - LOAD_WINDOW_DS;
  let playedDs = player.onCourt ? nowDs - Math.max(fromDs, player.sinceDs) : 0;
  for (const [i, endDs] of player.stintEndsDs.entries()) {
    playedDs += Math.max(0, endDs - Math.max(fromDs, player.stintStartsDs[i] ?? endDs));
  }
  return playedDs;
}

function plusMinusOf(fold: PlayersFold, player: PlayerFold): number {
  if (!player.onCourt) return player.plusMinus;
  const gained = fold.margin - player.marginAtStart;
  return player.plusMinus + (player.side === Side.HOME ? gained : -gained);
}

/**
 * Share of his team's chances that a player used while on court, so that five team-mates' shares of one
 * stint add up to 1; team turnovers are nobody's.
 * @see Basketball-Reference glossary, "Usage Percentage", with chances on court in place of the minutes' share.
 */
function usageOf(fold: PlayersFold, player: PlayerFold): number {
  const teamNow = player.side === Side.HOME ? fold.homeChances : fold.awayChances;
  const stint = player.onCourt ? teamNow - player.teamChancesAtStart : 0;
  const team = player.teamChances + stint;
  const own = shootingChances(player) + player.turnovers;
  return team <= 0 ? 0 : Math.min(1, own / team);
}

/** PTS / (2 (FGA + 0.44 FTA)). @see Basketball-Reference glossary, "True Shooting Percentage". */
function trueShootingOf(player: PlayerFold): number {
  const chances = shootingChances(player);
  return chances === 0 ? 0 : player.points / (2 * chances);
}

function shootingChances(player: PlayerFold): number {
  return player.fieldGoalsAttempted + FREE_THROW_POSSESSION_SHARE * player.freeThrowsAttempted;
}
