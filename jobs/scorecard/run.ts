import type { ClickHouseClient } from "@clickhouse/client";
import { fromBinary } from "@bufbuild/protobuf";
import type { NatsConnection } from "@nats-io/nats-core";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { Tracing } from "../../base/tracing.ts";
import { ClickHouseSink } from "../../connectors/clickhouse-sink.ts";
import { NatsSource } from "../../connectors/nats-source.ts";
import { Region } from "../../operators/mod.ts";
import { type Insight, InsightSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import {
  INSIGHTS_STREAM,
  INSIGHTS_SUBJECTS,
  insightsOfKeyGroup,
  TRACEPARENT_HEADER,
} from "../../proto/subjects.ts";
import type { RegionSeat } from "../worker/worker.ts";
import { SCORECARD_JOB, type ScoreRow, scorecardGraph } from "./graph.ts";
import type { DriftReference } from "./reference.ts";
import { DRIFT_TABLE, SCORES_TABLE } from "./score-rows.ts";

/** Games end seldom, so one worker holds them all; more can share. */
export const SCORECARD_REGIONS = 2;
/** Time between checkpoints: nobody waits for a score as for a prediction. */
const CHECKPOINT_INTERVAL_MS = 2_000;

export interface ScorecardOptions {
  readonly nats: NatsConnection;
  readonly clickHouse: ClickHouseClient;
  /** From the card of the served model; without it no drift is measured. */
  readonly reference: DriftReference | undefined;
  readonly checkpointIntervalMs?: number;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Makes regions of the scorecard job: each holds the games of a range of key groups. */
export function scorecardRegions(options: ScorecardOptions): (seat: RegionSeat) => Region {
  const { nats, clickHouse, reference, clock, tracing, log, metrics } = options;
  const unreadable = metrics.counter(
    "courtside.scorecard.unreadable",
    "{message}",
    "Messages of the insights' stream that are no insight",
  );
  return (seat) => {
    const graph = scorecardGraph(
      reference,
      new ClickHouseSink<ScoreRow>({
        uid: "scores",
        job: `${SCORECARD_JOB}/${seat.name}`,
        client: clickHouse,
        tables: [DRIFT_TABLE, SCORES_TABLE],
        rows: ({ table, row }, put) => put(table, row),
        log,
        fault: seat.fault,
      }),
    );
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
          source: new NatsSource<Insight | undefined>({
            connection: nats,
            stream: INSIGHTS_STREAM,
            subject: INSIGHTS_SUBJECTS,
            keyGroups: seat.keyGroups,
            subjectOf: insightsOfKeyGroup,
            decode: ({ data, subject }) => {
              try {
                return fromBinary(InsightSchema, data);
              } catch (error) {
                unreadable.add(1);
                log.error("insight_unreadable", error, { subject });
                return undefined;
              }
            },
            keyGroupOf: (subject) => Number(subject.split(".")[1]),
            traceparentHeader: TRACEPARENT_HEADER,
            log,
          }),
        },
      ],
      clock,
      tracing,
      log,
      checkpointIntervalMs: options.checkpointIntervalMs ?? CHECKPOINT_INTERVAL_MS,
    });
  };
}
