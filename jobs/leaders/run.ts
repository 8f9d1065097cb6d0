import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { NatsConnection } from "@nats-io/nats-core";
import type { ClickHouseClient } from "@clickhouse/client";
import type { Clock } from "../../base/clock.ts";
import { DEFAULT_KEY_GROUPS, keyGroupRange } from "../../base/key-group.ts";
import type { Log } from "../../base/log.ts";
import type { Tracing } from "../../base/tracing.ts";
import { ClickHouseSink } from "../../connectors/clickhouse-sink.ts";
import { type EdgeOptions, NatsEdgeSink } from "../../connectors/nats-edge.ts";
import { NatsEdgeSource } from "../../connectors/nats-edge-source.ts";
import { NatsSource } from "../../connectors/nats-source.ts";
import { Region, type SubtaskSpec } from "../../operators/mod.ts";
import {
  type LeagueLeader,
  type PlayerPoints,
  PlayerPointsSchema,
} from "../../proto/gen/courtside/v1/job_pb.ts";
import {
  EDGES_STREAM,
  edgeSubject,
  PLAYS_STREAM,
  PLAYS_SUBJECTS,
  playsOfKeyGroup,
  TRACEPARENT_HEADER,
} from "../../proto/subjects.ts";
import { decodeFrame, type FrameInput } from "../insight/input.ts";
import { CHECKPOINT_INTERVAL_MS } from "../insight/run.ts";
import type { RegionSeat } from "../worker/worker.ts";
import { collectGraph, LEADERS_JOB, LEAGUE, rankGraph } from "./graph.ts";

const LEADERS_TABLE = "courtside.league_leaders";
/** Tasks of the first stage; each reads the plays of so many key groups, and all write to the second. */
const COLLECTORS = 2;
/** Its tasks are tied together by the repartition, so they move and commit together. */
export const LEADERS_REGIONS = 1;

export interface LeadersOptions {
  readonly nats: NatsConnection;
  readonly clickHouse: ClickHouseClient;
  readonly checkpointIntervalMs?: number;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Log;
}

/**
 * The league-wide board as one region of three tasks:
 *
 * ```
 * PLAYS ─ collect/0 ─┐
 *                    ├─ edge, by league ─ rank/0 ─ league_leaders (ClickHouse)
 * PLAYS ─ collect/1 ─┘
 * ```
 */
export function leadersRegions(options: LeadersOptions): (seat: RegionSeat) => Region {
  return (seat) => {
    const { nats, log, clock, tracing } = options;
    const { checkpointIntervalMs = CHECKPOINT_INTERVAL_MS } = options;
    const edge: EdgeOptions = {
      connection: nats,
      stream: EDGES_STREAM,
      subject: edgeSubject(LEADERS_JOB, seat.name, "points"),
      traceparentHeader: TRACEPARENT_HEADER,
      log,
    };
    const collectors = Array.from({ length: COLLECTORS }, (_, i) => collector(options, edge, i));
    return new Region({
      ...seat,
      job: LEADERS_JOB,
      keyGroups: DEFAULT_KEY_GROUPS,
      subtasks: [...collectors, ranker(options, edge, seat)],
      clock,
      tracing,
      log,
      checkpointIntervalMs,
    });
  };
}

function collector(
  { nats, log }: LeadersOptions,
  edge: EdgeOptions,
  index: number,
): SubtaskSpec<FrameInput> {
  const keyGroups = keyGroupRange(DEFAULT_KEY_GROUPS, COLLECTORS, index);
  return {
    name: `collect/${String(index)}`,
    stage: "collect",
    keyGroups,
    source: new NatsSource<FrameInput>({
      connection: nats,
      stream: PLAYS_STREAM,
      subject: PLAYS_SUBJECTS,
      keyGroups,
      subjectOf: playsOfKeyGroup,
      decode: (message) => decodeFrame(message.data, message.subject),
      keyGroupOf: (subject) => Number(subject.split(".")[1]),
      traceparentHeader: TRACEPARENT_HEADER,
      log,
    }),
    graph: collectGraph(
      new NatsEdgeSink<PlayerPoints>({
        ...edge,
        uid: "points",
        producer: producerName(index),
        partitions: 1,
        keyGroups: DEFAULT_KEY_GROUPS,
        keyOf: () => LEAGUE,
        encode: (points) => toBinary(PlayerPointsSchema, points),
      }),
    ),
  };
}

function ranker(
  { clickHouse, log }: LeadersOptions,
  edge: EdgeOptions,
  { name, fault }: RegionSeat,
): SubtaskSpec<PlayerPoints> {
  return {
    name: "rank/0",
    stage: "rank",
    keyGroups: { first: 0, last: DEFAULT_KEY_GROUPS - 1 },
    source: new NatsEdgeSource<PlayerPoints>({
      ...edge,
      task: "rank/0",
      partition: 0,
      producers: Array.from({ length: COLLECTORS }, (_, i) => producerName(i)),
      decode: (bytes) => fromBinary(PlayerPointsSchema, bytes),
    }),
    graph: rankGraph(
      new ClickHouseSink<LeagueLeader>({
        uid: "leaders",
        job: `${LEADERS_JOB}/${name}`,
        client: clickHouse,
        tables: [LEADERS_TABLE],
        rows: ({ windowStartMs, windowEndMs, rank, changes, total }, put) =>
          put(LEADERS_TABLE, {
            window_start: new Date(Number(windowStartMs)).toISOString(),
            window_end: new Date(Number(windowEndMs)).toISOString(),
            rank,
            player_id: total?.playerId ?? 0,
            player_name: total?.playerName ?? "",
            team_id: total?.teamId ?? 0,
            points: total?.points ?? 0,
            changes,
          }),
        log,
        fault,
      }),
    ),
  };
}

function producerName(index: number): string {
  return `collect-${String(index)}`;
}
