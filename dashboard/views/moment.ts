import { fromBinary, toJson } from "@bufbuild/protobuf";
import {
  GameStateSchema,
  InsightSchema,
  type PlayInsight,
} from "../../proto/gen/courtside/v1/insight_pb.ts";
import { gameSituation, playRow, trailingWindows } from "../insight-rows.ts";
import { type StoreReader } from "../store.ts";
import { type Contribution, type FeatureValue, type PlayerLine, type PlayMoment } from "../wire.ts";
import { traceView } from "./traces.ts";

export interface FeatureDescription {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
}

/** Asks the scoring server why; null when it does not say. */
export type Explain = (insight: PlayInsight) => Promise<readonly Contribution[] | null>;

export interface MomentSources {
  readonly store: StoreReader | undefined;
  /** Names and units of the values of a stored feature vector, in order. */
  readonly features: readonly FeatureDescription[];
  readonly explain: Explain | undefined;
}

interface StoredPlay {
  readonly values: readonly number[];
  readonly publishToPredictionMs: number | null;
  readonly publishToRowMs: number | null;
}

const STORED = `
SELECT f.values AS values, l.publish_to_prediction_ms AS publishToPredictionMs, l.publish_to_row_ms AS publishToRowMs
FROM courtside.features AS f
LEFT JOIN courtside.play_latency AS l ON l.game_id = f.game_id AND l.play_number = f.play_number AND l.revision = f.revision
WHERE f.game_id = {game:String} AND f.play_number = {play:UInt32} AND f.revision = {revision:UInt32}
LIMIT 1`;

/** Last line of every player up to a play; a trace-free copy of what the page shows live. */
const PLAYERS = `
SELECT player_id AS id, player_name AS name, side, on_court AS onCourt, played_s AS playedS, stint_s AS stintS,
  stint_max_s AS stintMaxS, rest_s AS restS, played_last_12_min_s AS last12S, points,
  [field_goals_made, field_goals_attempted] AS fieldGoals, [threes_made, threes_attempted] AS threes,
  [free_throws_made, free_throws_attempted] AS freeThrows, [offensive_rebounds, defensive_rebounds] AS rebounds,
  assists, steals, blocks, turnovers, personal_fouls AS fouls, plus_minus AS plusMinus, usage, true_shooting AS trueShooting,
  s.play_number AS asOfPlay
FROM courtside.player_stats AS s
WHERE game_id = {game:String} AND s.play_number <= {play:UInt32}
ORDER BY player_id, s.play_number DESC, inserted_at DESC LIMIT 1 BY player_id`;

/**
 * A past play with everything that was known right after it: state and prediction as they were published (read again from
 * the stream), inputs and box score from the tables, the trace when it was sampled.
 * @param data - the stored insight
 * @returns undefined when the message tells of no play
 */
export async function playMoment(
  data: Uint8Array,
  asOf: (playNumber: number) => { elapsedS: number; starterIds: ReadonlySet<number> },
  { store, features, explain }: MomentSources,
): Promise<PlayMoment | undefined> {
  const { body } = fromBinary(InsightSchema, data);
  if (body.case !== "play") return undefined;
  const insight = body.value;
  const play = playRow(insight);
  if (play === undefined || insight.play === undefined) return undefined;
  const { state, prediction } = insight;
  const traceId = prediction?.traceId ?? "";
  const params = {
    game: insight.play.gameId,
    play: play.number,
    revision: play.revision,
  };
  const [stored, players, spans, contributions] = await Promise.all([
    store?.rows<StoredPlay>(STORED, params) ?? [],
    store?.rows<StoredLine>(PLAYERS, params) ?? [],
    store === undefined || traceId === "" ? [] : traceView(store, traceId),
    explain?.(insight) ?? null,
  ]);
  const row = stored[0];
  const predictedMs = Number(prediction?.predictedTimeMs ?? 0n);
  return {
    play,
    situation: state === undefined ? null : gameSituation(state, prediction),
    state: state === undefined ? null : (toJson(GameStateSchema, state) as Record<string, unknown>),
    modelName: prediction?.modelName ?? "",
    modelVersion: prediction?.modelVersion ?? "",
    traceId,
    publishToPredictionMs: predictedMs === 0 ? null : predictedMs - play.ingestTimeMs,
    publishToRowMs: row?.publishToRowMs ?? null,
    features: row === undefined ? null : named(features, row.values),
    contributions,
    windows: state === undefined ? [] : trailingWindows(state, play.elapsedS),
    players: players.map((line) => lineAt(line, asOf(line.asOfPlay))),
    spans,
  };
}

type StoredLine = Omit<PlayerLine, "starter" | "asOfS"> & { readonly asOfPlay: number };

function lineAt(
  { asOfPlay: _asOfPlay, ...line }: StoredLine,
  { elapsedS, starterIds }: { elapsedS: number; starterIds: ReadonlySet<number> },
): PlayerLine {
  return { ...line, starter: starterIds.has(line.id), asOfS: elapsedS };
}

/** Values without a name are another schema's, and wrong names are worse than none. */
function named(
  features: readonly FeatureDescription[],
  values: readonly number[],
): FeatureValue[] | null {
  if (features.length !== values.length) return null;
  return features.map((feature, index) => ({ ...feature, value: values[index] ?? 0 }));
}
