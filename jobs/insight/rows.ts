import type { DescEnum } from "@bufbuild/protobuf";
import type { Row } from "../../connectors/clickhouse-sink.ts";
import {
  type GameResult,
  type PlayerLoad,
  type ScoringRun,
  type TeamWindow,
} from "../../proto/gen/courtside/v1/insight_pb.ts";
import type { AnalysedPlay, InsightRecord } from "../../proto/gen/courtside/v1/job_pb.ts";
import {
  type DeadLetter,
  FeedSchema,
  FoulKindSchema,
  type GameInfo,
  LeagueSchema,
  type PlayEvent,
  PlayKindSchema,
  ReboundKindSchema,
  SeasonTypeSchema,
  Side,
  SideSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";

import { stageColumns } from "./stages.ts";

export type PutRow = (table: string, row: Row) => void;

export const DEAD_LETTERS_TABLE = "courtside.dead_letters";

/** Tables that the job writes through its main sink. */
export const INSIGHT_TABLES: readonly string[] = [
  "courtside.games",
  "courtside.plays",
  "courtside.features",
  "courtside.predictions",
  "courtside.player_stats",
  "courtside.team_windows",
  "courtside.scoring_runs",
  "courtside.game_results",
];

/** Rows of one record of the insight job. Column names are those of `data/clickhouse/*.sql`. */
export function insightRows({ body }: InsightRecord, put: PutRow): void {
  switch (body.case) {
    case "gameInfo":
      return put("courtside.games", gameRow(body.value));
    case "teamWindow":
      return put("courtside.team_windows", windowRow(body.value));
    case "play":
      return playRows(body.value, put);
    // For the page and for the windows alone.
    case "box":
    case "windowChange":
    case "mark":
    case undefined:
      return;
    default:
      body satisfies never;
  }
}

export function deadLetterRow(letter: DeadLetter): Row {
  return {
    reason: letter.reason,
    message: letter.message,
    source: letter.source,
    line: Number(letter.line),
    game_id: letter.gameId,
    feed: enumText(FeedSchema, letter.feed),
    raw: letter.raw,
    play_number: letter.playNumber,
  };
}

/** What was told before and no longer holds gets a row that says so: nothing is ever deleted. */
function playRows(analysed: AnalysedPlay, put: PutRow): void {
  const { play, features, prediction, loads, runGrown, result, edition } = analysed;
  if (play === undefined) return;
  if (!analysed.isDerived) put("courtside.plays", playRow(play));
  if (analysed.isSuperseded) return;
  const { gameId: game_id, playNumber: play_number, revision } = play;
  const { retracted } = play;
  const key = { game_id, play_number, edition };
  if (features !== undefined || retracted)
    put("courtside.features", {
      ...key,
      revision,
      schema_hash: features?.schemaHash ?? "",
      values: features?.values ?? [],
      retracted,
    });
  if (prediction !== undefined || retracted)
    put("courtside.predictions", predictionRow(play, analysed));
  for (const load of loads) put("courtside.player_stats", loadRow(load, edition));
  for (const player_id of analysed.retractedLoadIds)
    put("courtside.player_stats", { ...key, player_id, retracted: true });
  if (runGrown !== undefined) put("courtside.scoring_runs", runRow(play, runGrown, edition));
  if (analysed.runRetracted) put("courtside.scoring_runs", { ...key, retracted: true });
  if (result !== undefined) put("courtside.game_results", resultRow(result, edition));
  if (analysed.resultRetracted)
    put("courtside.game_results", { game_id, edition, retracted: true });
}

function gameRow(info: GameInfo): Row {
  return {
    game_id: info.gameId,
    league: enumText(LeagueSchema, info.league),
    season: info.season,
    season_type: enumText(SeasonTypeSchema, info.seasonType),
    // A feed that does not tell the date leaves the day of the start.
    game_date: info.gameDate === "" ? timeText(info.tipoffTimeMs).slice(0, 10) : info.gameDate,
    tipoff_time: timeText(info.tipoffTimeMs),
    home_team_id: info.home?.teamId ?? 0,
    home_team: info.home?.tricode ?? "",
    home_name: info.home?.name ?? "",
    away_team_id: info.away?.teamId ?? 0,
    away_team: info.away?.tricode ?? "",
    away_name: info.away?.name ?? "",
    home_elo: info.homeElo ?? null,
    away_elo: info.awayElo ?? null,
    home_pregame_win_prob: info.homePregameWinProb ?? null,
    feed: enumText(FeedSchema, info.feed),
    revision: info.revision,
  };
}

function playRow(play: PlayEvent): Row {
  return {
    game_id: play.gameId,
    league: enumText(LeagueSchema, play.league),
    season: play.season,
    play_number: play.playNumber,
    revision: play.revision,
    retracted: play.retracted,
    period: play.period,
    clock_remaining_ds: play.clockRemainingDs,
    event_time: timeText(play.eventTimeMs),
    event_time_estimated: play.eventTimeEstimated,
    ingest_time: timeText(play.ingestTimeMs),
    kind: enumText(PlayKindSchema, play.kind),
    team_id: play.teamId,
    side: enumText(SideSchema, play.side),
    actor_id: play.actorId,
    actor_name: play.actorName,
    assister_id: play.assisterId,
    blocker_id: play.blockerId,
    stealer_id: play.stealerId,
    fouled_id: play.fouledId,
    player_in_id: play.playerInId,
    player_out_id: play.playerOutId,
    shot_value: play.shotValue,
    shot_made: play.shotMade,
    shot_x_ft: play.shotXFt ?? null,
    shot_y_ft: play.shotYFt ?? null,
    shot_distance_ft: play.shotDistanceFt ?? null,
    free_throw_number: play.freeThrowNumber,
    free_throw_count: play.freeThrowCount,
    foul_kind: enumText(FoulKindSchema, play.foulKind),
    rebound_kind: enumText(ReboundKindSchema, play.reboundKind),
    subtype: play.subtype,
    home_score: play.homeScore,
    away_score: play.awayScore,
    description: play.description,
    feed: enumText(FeedSchema, play.feed),
    home_on_court_ids: play.homeOnCourtIds,
    away_on_court_ids: play.awayOnCourtIds,
    feed_possession_team_id: play.feedPossessionTeamId,
    game_over: play.gameOver,
  };
}

function predictionRow(play: PlayEvent, analysed: AnalysedPlay): Row {
  const { state, prediction, edition } = analysed;
  return {
    ...stageColumns(analysed),
    game_id: play.gameId,
    play_number: play.playNumber,
    revision: play.revision,
    period: play.period,
    clock_remaining_s: play.clockRemainingDs / 10,
    home_score: play.homeScore,
    away_score: play.awayScore,
    possession: enumText(SideSchema, state?.possession ?? Side.UNSPECIFIED),
    possession_reason: state?.possessionReason ?? "",
    home_win_prob: prediction?.homeWinProb ?? 0,
    model_name: prediction?.modelName ?? "",
    model_version: prediction?.modelVersion ?? "",
    schema_hash: prediction?.schemaHash ?? "",
    event_time: timeText(play.eventTimeMs),
    ingest_time: timeText(play.ingestTimeMs),
    predicted_at: timeText(prediction?.predictedTimeMs ?? 0n),
    trace_id: prediction?.traceId ?? "",
    edition,
    retracted: play.retracted,
  };
}

function loadRow(load: PlayerLoad, edition: number): Row {
  return {
    game_id: load.gameId,
    play_number: load.playNumber,
    player_id: load.playerId,
    player_name: load.playerName,
    team_id: load.teamId,
    side: enumText(SideSchema, load.side),
    on_court: load.onCourt,
    played_s: load.playedS,
    stint_s: load.stintS,
    stint_max_s: load.stintMaxS,
    rest_s: load.restS,
    played_last_12_min_s: load.playedLast12MinS,
    points: load.points,
    field_goals_made: load.fieldGoalsMade,
    field_goals_attempted: load.fieldGoalsAttempted,
    threes_made: load.threesMade,
    threes_attempted: load.threesAttempted,
    free_throws_made: load.freeThrowsMade,
    free_throws_attempted: load.freeThrowsAttempted,
    offensive_rebounds: load.offensiveRebounds,
    defensive_rebounds: load.defensiveRebounds,
    assists: load.assists,
    steals: load.steals,
    blocks: load.blocks,
    turnovers: load.turnovers,
    personal_fouls: load.personalFouls,
    plus_minus: load.plusMinus,
    usage: load.usage,
    true_shooting: load.trueShooting,
    edition,
  };
}

function windowRow(window: TeamWindow): Row {
  const { totals } = window;
  return {
    game_id: window.gameId,
    team_id: window.teamId,
    side: enumText(SideSchema, window.side),
    start_s: Number(window.startS),
    end_s: Number(window.endS),
    size_s: window.sizeS,
    points: totals?.points ?? 0,
    field_goals_made: totals?.fieldGoalsMade ?? 0,
    field_goals_attempted: totals?.fieldGoalsAttempted ?? 0,
    threes_made: totals?.threesMade ?? 0,
    free_throws_made: totals?.freeThrowsMade ?? 0,
    free_throws_attempted: totals?.freeThrowsAttempted ?? 0,
    turnovers: totals?.turnovers ?? 0,
    offensive_rebounds: totals?.offensiveRebounds ?? 0,
    possessions: totals?.possessions ?? 0,
    effective_fg: window.effectiveFg,
    pace: window.pace,
    free_throw_rate: window.freeThrowRate,
    revision: window.revision,
    retracted: window.retracted,
  };
}

function runRow(play: PlayEvent, run: ScoringRun, edition: number): Row {
  return {
    game_id: play.gameId,
    play_number: play.playNumber,
    side: enumText(SideSchema, run.side),
    points: run.points,
    start_play_number: run.startPlayNumber,
    period: play.period,
    clock_remaining_s: play.clockRemainingDs / 10,
    edition,
  };
}

function resultRow(result: GameResult, edition: number): Row {
  return {
    game_id: result.gameId,
    home_score: result.homeScore,
    away_score: result.awayScore,
    periods: result.periods,
    plays: result.plays,
    home_elo_before: result.homeEloBefore,
    home_elo_after: result.homeEloAfter,
    away_elo_before: result.awayEloBefore,
    away_elo_after: result.awayEloAfter,
    home_win_prob: result.homeWinProb,
    edition,
  };
}

/** Lower-case name without the type's prefix; a number that this version does not know stays a number. */
function enumText(schema: DescEnum, value: number): string {
  return schema.value[value]?.localName.toLowerCase() ?? String(value);
}

/** @param timeMs - epoch milliseconds. */
function timeText(timeMs: bigint): string {
  return new Date(Number(timeMs)).toISOString();
}
