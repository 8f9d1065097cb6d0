import { type Clock, preciseMs } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import {
  type ImmediateSink,
  JobGraph,
  poisonTag,
  type Stream,
  type TransactionalSink,
} from "../../operators/mod.ts";
import type { Insight } from "../../proto/gen/courtside/v1/insight_pb.ts";
import type { InsightRecord } from "../../proto/gen/courtside/v1/job_pb.ts";
import type { DeadLetter } from "../../proto/gen/courtside/v1/play_pb.ts";
import { gameProcess } from "./game-process.ts";
import {
  deadLetterTag,
  failedInput,
  type FrameInput,
  framesOfOnePlay,
  type GameInput,
  spread,
} from "./input.ts";
import { INSIGHT_JOB, insightsOf } from "./insights.ts";
import { predictPlays, type Predictor } from "./predict.ts";
import { teamWindows, WINDOW_MINUTES } from "./windows.ts";

export interface InsightParts {
  readonly predictor: Predictor;
  readonly clock: Clock;
  readonly log: Log;
  readonly insights: ImmediateSink<Insight>;
  readonly records: TransactionalSink<InsightRecord>;
  readonly deadLetters: TransactionalSink<DeadLetter>;
  /** Told of every record as it leaves the job, before the sinks are. */
  onLeave?(record: InsightRecord): void;
}

/**
 * Plays → game state, player load and features → prediction → page and store.
 *
 * ```
 * frames ─ spread ─ game ─ time ─┬──────────────────────┬─ merge ─ predict ─┬─ records (ClickHouse)
 *             │       │          ├─ team windows 2 min ─┤                   └─ tell ─ insights (JetStream)
 *             └───────┴─ dead    ├─ team windows 5 min ─┤
 *                      letters   └─ team windows 10 min ┘
 * ```
 *
 * Everything behind `predict` leaves in one order, so that positions of insights only grow.
 */
export function insightGraph(parts: InsightParts): JobGraph<FrameInput> {
  const graph = new JobGraph<FrameInput>(INSIGHT_JOB);
  const { inputs, games } = analyse(graph.source, () => preciseMs(parts.clock));
  const predicted = windowed(games)
    .asyncBatch(predictPlays(parts.predictor, parts.clock, parts.log))
    .flatMap<InsightRecord>("leave", (record, emit) => {
      parts.onLeave?.(record);
      emit(record);
    });
  predicted.sinkTo(parts.records);
  predicted
    .flatMap<Insight>("tell", (record, emit) => {
      for (const insight of insightsOf(record)) emit(insight);
    })
    .sinkTo(parts.insights);
  const failed = graph.source
    .side(poisonTag<FrameInput>())
    .flatMap<DeadLetter>("failed", ({ value, reason }, emit) => emit(failedInput(value, reason)));
  inputs
    .side(deadLetterTag)
    .union("refused", games.side(deadLetterTag), failed)
    .sinkTo(parts.deadLetters);
  graph.isolate = framesOfOnePlay;
  return graph;
}

/** Adds the windows of every length behind the plays that fire them. */
export function windowed(games: Stream<InsightRecord>): Stream<InsightRecord> {
  const timed = games.timestamps("time", {
    eventTimeMs: gameTimeMs,
    outOfOrdernessMs: 0,
    scopeOf: (record) => record.gameId,
    isLast: ({ body }) => body.case === "mark" && body.value.closed,
  });
  const plays = timed.filter("plays", isCounted);
  let merged: Stream<InsightRecord> = timed;
  for (const minutes of WINDOW_MINUTES) {
    const windows = plays.keyBy((record) => record.gameId).window(teamWindows(minutes));
    merged = merged.union(`merge-${String(minutes)}`, windows);
  }
  return merged;
}

/**
 * The part that live runs, back-fills and training share: frames in, analysed plays out.
 * @param nowMs - measures; what comes out is the same with and without.
 */
export function analyse(
  source: Stream<FrameInput>,
  nowMs?: () => number,
): {
  readonly inputs: Stream<GameInput>;
  readonly games: Stream<InsightRecord>;
} {
  const inputs = source.flatMap<GameInput>("spread", (input, emit, side) =>
    spread(input, emit, (letter) => side(deadLetterTag, letter), nowMs),
  );
  return { inputs, games: inputs.keyBy((input) => input.gameId).process(gameProcess) };
}

/** Plays in their turn, and what corrections change; a play that is told again was counted before. */
function isCounted({ body }: InsightRecord): boolean {
  return body.case === "windowChange" || (body.case === "play" && !body.value.corrects);
}

/** The game's own clock is the event time of its windows: they are windows of game minutes. */
function gameTimeMs({ body }: InsightRecord): number {
  switch (body.case) {
    case "play":
    case "windowChange":
    case "mark":
      return Number(body.value.gameTimeMs);
    default:
      return 0;
  }
}
