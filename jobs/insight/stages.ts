import { type Clock, preciseMs } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Counter, Histogram, MetricLabels, Metrics } from "../../base/metrics.ts";
import type { Span, Tracing } from "../../base/tracing.ts";
import type { VisibleTimes } from "../../connectors/clickhouse-sink.ts";
import type { TeamWindow } from "../../proto/gen/courtside/v1/insight_pb.ts";
import type {
  AnalysedPlay,
  InsightRecord,
  StageTimes,
} from "../../proto/gen/courtside/v1/job_pb.ts";
import type { DeadLetter } from "../../proto/gen/courtside/v1/play_pb.ts";

/** The stages of a play in the job, in order. Each begins where the one before it ends, so none is missing. */
export const STAGES = [
  "broker.publish",
  "broker.deliver",
  "task.queue",
  "task.process",
  "predict.queue",
  "predict",
  "predict.order",
] as const;

/** A play that takes longer from publish to prediction is traced, sampled or not. */
const SLOW_PLAY_MS = 1_000;
/** Traces a second that are made for slow and refused plays; a back-fill has only slow ones. */
const MAX_KEPT_PER_S = 10;
/** Sampled plays that are remembered for the links of windows, over all games. */
const MAX_REMEMBERED_PLAYS = 4_096;
/** Hex digits of a trace id inside a `traceparent`. */
const TRACE_ID = { from: 3, to: 35 };

export interface StageOptions {
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Default a second. */
  readonly slowPlayMs?: number;
}

/**
 * Measures every play stage by stage and makes the spans of those that are traced, all behind the fact, from the times
 * that the play carries. So a play that turns out slow can still be traced, and stages have no gaps between them.
 */
export class Stages {
  readonly #options: StageOptions;
  readonly #slowPlayMs: number;
  readonly #duration: Histogram;
  readonly #labels: readonly MetricLabels[] = STAGES.map((stage) => ({ stage }));
  readonly #rowLabels = ["row.wait", "checkpoint.commit", "clickhouse.insert"].map((stage) => ({
    stage,
  }));
  readonly #kept: Counter;
  readonly #notKept: Counter;
  readonly #recent = new Map<
    string,
    { readonly gameTimeMs: number; readonly traceparent: string }[]
  >();
  readonly #plays: Counter;
  /** Counted here and added once a checkpoint: the SDK takes most of a microsecond to add. */
  #left = 0;
  #passedOver = 0;
  #remembered = 0;
  #second = 0;
  #keptInSecond = 0;

  constructor(options: StageOptions) {
    const { metrics } = options;
    this.#options = options;
    this.#slowPlayMs = options.slowPlayMs ?? SLOW_PLAY_MS;
    this.#duration = metrics.histogram(
      "courtside.stage.duration",
      "ms",
      "Time of a play in each stage of its way",
    );
    this.#plays = metrics.counter("courtside.plays", "{play}", "Plays that left the job");
    this.#kept = metrics.counter(
      "courtside.traces.kept",
      "{trace}",
      "Traces made for plays that were not sampled: slow or refused ones",
    );
    this.#notKept = metrics.counter(
      "courtside.traces.not_kept",
      "{trace}",
      "Slow or refused plays without a trace, since too many came at once",
    );
  }

  /** A record leaves the job. */
  leave({ body, gameId }: InsightRecord): void {
    if (body.case === "play") this.#leave(body.value, gameId);
    else if (body.case === "teamWindow") this.#windowFired(body.value);
  }

  /** Rows of records are in the store. */
  visible(records: readonly InsightRecord[], times: VisibleTimes): void {
    this.#plays.add(this.#left);
    this.#left = 0;
    this.#notKept.add(this.#passedOver);
    this.#passedOver = 0;
    for (const { body } of records) {
      if (body.case !== "play" || body.value.times === undefined) continue;
      const { traceparent } = body.value;
      const { leftMs } = body.value.times;
      const marks = ascending([leftMs, times.sealedMs, times.committedMs, times.insertedMs]);
      this.#tell(
        ["row.wait", "checkpoint.commit", "clickhouse.insert"],
        this.#rowLabels,
        marks,
        traceparent,
      );
    }
  }

  /** A play, or a row of the source, that the job cannot use. */
  refused(letter: DeadLetter): void {
    if (!this.#mayKeep("refused")) return;
    const span = this.#options.tracing.start("play.refused", {
      kind: "consumer",
      attributes: {
        "courtside.game_id": letter.gameId,
        "courtside.play_number": letter.playNumber,
        "courtside.kept": "refused",
      },
    });
    span.fail(`${letter.reason}: ${letter.message}`);
    span.end();
  }

  #leave(analysed: AnalysedPlay, gameId: string): void {
    const { play, prediction, times } = analysed;
    if (play === undefined || times === undefined) return;
    const ingestMs = Number(play.ingestTimeMs);
    times.leftMs = preciseMs(this.#options.clock);
    const marks = marksOf(ingestMs, times);
    // Whole milliseconds, since the prediction tells it in those and the page goes on from there.
    times.leftMs = marks[STAGES.length] = Math.ceil(marks[STAGES.length] ?? 0);
    if (prediction !== undefined) prediction.predictedTimeMs = BigInt(times.leftMs);
    const isSlow = times.leftMs - ingestMs >= this.#slowPlayMs;
    const root =
      isSlow && analysed.traceparent === "" ? this.#keepSlow(analysed, gameId) : undefined;
    this.#tell(STAGES, this.#labels, marks, analysed.traceparent);
    this.#left += 1;
    if (analysed.traceparent === "") return;
    root?.end(times.leftMs);
    this.#logPrediction(analysed, ingestMs, root !== undefined);
    this.#remember(gameId, analysed);
  }

  /** From this line the trace is found, and from the trace or from game and play the row. */
  #logPrediction(
    { play, prediction, traceparent, times }: AnalysedPlay,
    ingestMs: number,
    slow: boolean,
  ): void {
    const { log } = this.#options;
    const fields = {
      gameId: play?.gameId,
      playNumber: play?.playNumber,
      traceId: traceIdOf(traceparent),
      modelVersion: prediction?.modelVersion,
      homeWinProb: prediction?.homeWinProb,
      latencyMs: (times?.leftMs ?? ingestMs) - ingestMs,
    };
    if (slow) log.warn("slow_play", fields);
    else log.debug("prediction", fields);
  }

  /** Records each stage and, with a trace, makes a span of it. */
  #tell(
    stages: readonly string[],
    labels: readonly MetricLabels[],
    marks: ArrayLike<number>,
    traceparent: string,
  ): void {
    for (let i = 0; i < stages.length; i += 1) {
      const startTimeMs = marks[i] ?? 0;
      const endMs = marks[i + 1] ?? startTimeMs;
      this.#duration.record(endMs - startTimeMs, labels[i]);
      if (traceparent === "") continue;
      const stage = stages[i] ?? "";
      this.#options.tracing
        .start(stage, { kind: "internal", parent: traceparent, startTimeMs })
        .end(endMs);
    }
  }

  #keepSlow(analysed: AnalysedPlay, gameId: string): Span | undefined {
    if (!this.#mayKeep("slow")) return undefined;
    const { play, prediction } = analysed;
    const ingestMs = Number(play?.ingestTimeMs ?? 0n);
    const root = this.#options.tracing.start("play", {
      kind: "producer",
      startTimeMs: ingestMs,
      attributes: {
        "courtside.game_id": gameId,
        "courtside.play_number": play?.playNumber ?? 0,
        "courtside.kept": "slow",
      },
    });
    analysed.traceparent = root.traceparent;
    if (prediction !== undefined) prediction.traceId = root.traceId;
    return root;
  }

  #mayKeep(reason: string): boolean {
    const second = Math.floor(this.#options.clock.nowMs() / 1000);
    if (second !== this.#second) this.#keptInSecond = 0;
    this.#second = second;
    this.#keptInSecond += 1;
    const may = this.#keptInSecond <= MAX_KEPT_PER_S;
    if (may) this.#kept.add(1, { reason });
    else this.#passedOver += 1;
    return may;
  }

  /** A window that fired has a trace of its own, with links to the sampled plays that fed it. */
  #windowFired(window: TeamWindow): void {
    const plays = this.#recent.get(window.gameId);
    if (plays === undefined) return;
    const [startMs, endMs] = [Number(window.startS) * 1000, Number(window.endS) * 1000];
    const links = plays
      .filter(({ gameTimeMs }) => gameTimeMs >= startMs && gameTimeMs < endMs)
      .map(({ traceparent }) => traceparent);
    if (links.length === 0) return;
    this.#options.tracing
      .start("window.fire", {
        links,
        attributes: {
          "courtside.game_id": window.gameId,
          "courtside.window.start_s": Number(window.startS),
          "courtside.window.size_s": window.sizeS,
          "courtside.team_id": window.teamId,
        },
      })
      .end();
  }

  #remember(gameId: string, { gameTimeMs, traceparent, result }: AnalysedPlay): void {
    if (result !== undefined || this.#remembered >= MAX_REMEMBERED_PLAYS) {
      const forgotten = result === undefined ? [...this.#recent.keys()][0] : gameId;
      this.#remembered -= this.#recent.get(forgotten ?? "")?.length ?? 0;
      this.#recent.delete(forgotten ?? "");
    }
    const plays = this.#recent.get(gameId) ?? [];
    plays.push({ gameTimeMs: Number(gameTimeMs), traceparent });
    this.#recent.set(gameId, plays);
    this.#remembered += 1;
  }
}

/** Columns of `predictions`: milliseconds of the play in each stage, publish to prediction. */
export function stageColumns({ play, times }: AnalysedPlay): Record<string, number> | undefined {
  if (play === undefined || times === undefined || times.leftMs === 0) return undefined;
  const marks = marksOf(Number(play.ingestTimeMs), times);
  return {
    broker_publish_ms: between(marks, 0),
    broker_deliver_ms: between(marks, 1),
    task_queue_ms: between(marks, 2),
    task_process_ms: between(marks, 3),
    predict_queue_ms: between(marks, 4),
    predict_ms: between(marks, 5),
    predict_order_ms: between(marks, 6),
  };
}

/** Length of a stage, whole microseconds. */
function between(marks: Float64Array, stage: number): number {
  return Math.round(((marks[stage + 1] ?? 0) - (marks[stage] ?? 0)) * 1000) / 1000;
}

/** Filled anew by every call: this runs for each play, twice. */
const MARKS = new Float64Array(STAGES.length + 1);

/** Where the stages begin and end; a call that was not made took no time. */
function marksOf(ingestMs: number, times: StageTimes): Float64Array {
  const { foldedMs } = times;
  MARKS[0] = ingestMs;
  MARKS[1] = times.storedMs;
  MARKS[2] = times.receivedMs;
  MARKS[3] = times.startedMs;
  MARKS[4] = foldedMs;
  MARKS[5] = times.calledMs === 0 ? foldedMs : times.calledMs;
  MARKS[6] = times.answeredMs === 0 ? foldedMs : times.answeredMs;
  MARKS[7] = times.leftMs;
  // Clocks of different programs differ by fractions; time never goes back between stages.
  for (let i = 1; i < MARKS.length; i += 1) MARKS[i] = Math.max(MARKS[i] ?? 0, MARKS[i - 1] ?? 0);
  return MARKS;
}

/** Hex digits of the trace, or empty. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(TRACE_ID.from, TRACE_ID.to);
}

/** Time never goes back between stages. */
function ascending(marks: readonly number[]): readonly number[] {
  let latest = 0;
  return marks.map((mark) => (latest = Math.max(latest, mark)));
}
