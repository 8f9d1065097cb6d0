import type { NatsConnection } from "@nats-io/nats-core";
import type { ClickHouseClient } from "@clickhouse/client";
import { type Clock, preciseMs } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { Tracing } from "../../base/tracing.ts";
import { ClickHouseSink } from "../../connectors/clickhouse-sink.ts";
import { NatsSink } from "../../connectors/nats-sink.ts";
import { NatsSource } from "../../connectors/nats-source.ts";
import { type CheckpointReport, type JobGraph, Region } from "../../operators/mod.ts";
import type { Insight } from "../../proto/gen/courtside/v1/insight_pb.ts";
import type { InsightRecord } from "../../proto/gen/courtside/v1/job_pb.ts";
import type { DeadLetter } from "../../proto/gen/courtside/v1/play_pb.ts";
import {
  INSIGHTS_STREAM,
  insightsOfKeyGroup,
  PLAYS_STREAM,
  PLAYS_SUBJECTS,
  playsOfKeyGroup,
  TRACEPARENT_HEADER,
} from "../../proto/subjects.ts";
import type { RegionSeat } from "../worker/worker.ts";
import { insightGraph } from "./graph.ts";
import { decodeFrame, type FrameInput } from "./input.ts";
import { encodeInsight, INSIGHT_JOB, positionOfInsight } from "./insights.ts";
import type { Predictor } from "./predict.ts";
import { Stages } from "./stages.ts";
import { DEAD_LETTERS_TABLE, deadLetterRow, INSIGHT_TABLES, insightRows } from "./rows.ts";

/** Time between checkpoints: rows are visible within it, and a crash repeats at most so much. */
export const CHECKPOINT_INTERVAL_MS = 1000;
/** Ranges of key groups that commit on their own. Each costs an insert a table and second while its games run, so a
 * few: enough for as many workers to share. */
export const INSIGHT_REGIONS = 4;

export interface InsightOptions {
  readonly nats: NatsConnection;
  readonly clickHouse: ClickHouseClient;
  readonly predictor: Predictor;
  readonly checkpointIntervalMs?: number;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Makes regions of the insight job: each holds the games of a range of key groups. */
export function insightRegions(options: InsightOptions): (seat: RegionSeat) => Region {
  const stages = new Stages(options);
  const lag = lagGauge(options.metrics);
  const latency = latencyHistograms(options);
  const onCheckpoint = checkpointMetrics(options);
  return (seat) => {
    const { clock, log, tracing, nats } = options;
    const graph = regionGraph(options, seat, latency, stages);
    return new Region({
      ...seat,
      job: graph.name,
      keyGroups: graph.keyGroups,
      subtasks: [
        {
          name: "task",
          stage: "",
          graph,
          keyGroups: seat.keyGroups,
          source: new NatsSource<FrameInput>({
            connection: nats,
            stream: PLAYS_STREAM,
            subject: PLAYS_SUBJECTS,
            keyGroups: seat.keyGroups,
            subjectOf: playsOfKeyGroup,
            decode: ({ data, subject }, storedMs) =>
              decodeFrame(data, subject, { storedMs, receivedMs: preciseMs(clock) }),
            keyGroupOf: (subject) => Number(subject.split(".")[1]),
            traceparentHeader: TRACEPARENT_HEADER,
            onLag: (messages) => void lag.set(seat.name, messages),
            log,
          }),
        },
      ],
      clock,
      tracing,
      log,
      checkpointIntervalMs: options.checkpointIntervalMs ?? CHECKPOINT_INTERVAL_MS,
      onCheckpoint,
    });
  };
}

function regionGraph(
  { predictor, clock, log, nats, clickHouse }: InsightOptions,
  { name, keyGroups, fault }: RegionSeat,
  latency: ReturnType<typeof latencyHistograms>,
  stages: Stages,
): JobGraph<FrameInput> {
  const job = `${INSIGHT_JOB}/${name}`;
  return insightGraph({
    predictor,
    clock,
    log,
    onLeave: (record) => stages.leave(record),
    insights: new NatsSink<Insight>({
      uid: "insights",
      connection: nats,
      job: INSIGHT_JOB,
      traceparentHeader: TRACEPARENT_HEADER,
      log,
      encode: encodeInsight,
      onStored: latency.insightStored,
      stored: {
        stream: INSIGHTS_STREAM,
        keyGroups,
        subjectOf: insightsOfKeyGroup,
        positionOf: positionOfInsight,
      },
    }),
    records: new ClickHouseSink<InsightRecord>({
      uid: "records",
      job,
      client: clickHouse,
      tables: INSIGHT_TABLES,
      rows: insightRows,
      onVisible: (records, times) => {
        latency.rowsVisible(records);
        stages.visible(records, times);
      },
      log,
      fault,
    }),
    deadLetters: new ClickHouseSink<DeadLetter>({
      uid: "dead-letters",
      job,
      client: clickHouse,
      tables: [DEAD_LETTERS_TABLE],
      rows: (letter, put) => {
        stages.refused(letter);
        put(DEAD_LETTERS_TABLE, deadLetterRow(letter));
      },
      log,
      fault,
    }),
  });
}
/** Messages that wait for each region, by its name. */
function lagGauge(metrics: Metrics): Map<string, number> {
  const lag = new Map<string, number>();
  metrics.gauge(
    "courtside.source.lag",
    "{message}",
    "Messages of the broker still to be read",
    () => [...lag.values()].reduce((sum, messages) => sum + messages, 0),
  );
  return lag;
}

/** Latency of every play, from the publisher's hand-over; traces only have the sampled ones. */
function latencyHistograms({ metrics, clock }: InsightOptions): {
  insightStored: (insight: Insight) => void;
  rowsVisible: (records: readonly InsightRecord[]) => void;
} {
  const published = (hop: string): ReturnType<Metrics["histogram"]> =>
    metrics.histogram(hop, "ms", "Publish of a play to what its name says");
  const toPrediction = published("courtside.latency.prediction");
  const toRow = published("courtside.latency.row");
  return {
    insightStored: ({ body }) => {
      if (body.case === "play" && body.value.play !== undefined)
        toPrediction.record(clock.nowMs() - Number(body.value.play.ingestTimeMs));
    },
    rowsVisible: (records) => {
      const nowMs = clock.nowMs();
      for (const { body } of records)
        if (body.case === "play" && body.value.play !== undefined)
          toRow.record(nowMs - Number(body.value.play.ingestTimeMs));
    },
  };
}

function checkpointMetrics({
  metrics,
  log,
  clock,
}: InsightOptions): (report: CheckpointReport) => void {
  const pause = metrics.histogram("courtside.checkpoint.pause", "ms", "Task stood still");
  const duration = metrics.histogram("courtside.checkpoint.duration", "ms", "Barrier to commit");
  const bytes = metrics.histogram("courtside.checkpoint.size", "By", "Changed state");
  let committedMs = clock.nowMs();
  metrics.gauge(
    "courtside.checkpoint.age",
    "ms",
    "Since the last committed checkpoint",
    () => clock.nowMs() - committedMs,
  );
  const rows = metrics.counter("courtside.rows", "{row}", "Rows committed");
  return (report) => {
    committedMs = clock.nowMs();
    pause.record(report.pauseMs);
    duration.record(report.durationMs);
    bytes.record(report.stateBytes);
    rows.add(report.rows);
    log.debug("checkpoint", {
      checkpoint: report.checkpointId,
      pauseMs: report.pauseMs,
      durationMs: report.durationMs,
      keyGroups: report.changedKeyGroups,
      rows: report.rows,
    });
  };
}
