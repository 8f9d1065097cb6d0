import { fromBinary } from "@bufbuild/protobuf";
import { type Log } from "../base/log.ts";
import { fnv1a } from "../base/random.ts";
import { preciseMs, systemClock } from "../base/clock.ts";
import { type Counter, type Histogram, type Metrics, noMetrics } from "../base/metrics.ts";
import { type Span, type Tracing } from "../base/tracing.ts";
import { type Insight, InsightSchema } from "../proto/gen/courtside/v1/insight_pb.ts";
import { type GameBook } from "./games.ts";
import { type InsightMessage } from "./insight-source.ts";
import { EventHub, type EventPosition, type SnapshotSource } from "./sse.ts";
import { type FeedStatus } from "./wire.ts";

/** At most one flush in this time: faster than two frames of a screen nobody sees more. */
const FLUSH_INTERVAL_MS = 20;

/** Spans kept open until the flush of their plays; more sampled plays in one flush are not traced here. */
const MAX_OPEN_SPANS = 1_024;

/** Progress of reading the backlog is told in steps of so many messages. */
const PROGRESS_STEP = 5_000;

/** The job answers within milliseconds, and takes up the work of a dead worker within seconds. */
const STALL_MS = 3_000;
/** A message or two may hold nothing that the job tells of, for example dead letters alone. */
const STALL_PLAYS = 3;

/** From messages to events: folds each insight at once and sends what changed, many at a time when there is much. */
export class LiveFeed implements SnapshotSource {
  readonly hub: EventHub;
  readonly book: GameBook;
  readonly #log: Log;
  readonly #tracing: Tracing;
  #phase: FeedStatus["phase"] = "waiting";
  #backlog = 0;
  #insights = 0;
  #refused = 0;
  #position: EventPosition = { stream: "", sequence: 0 };
  #flushTimer: NodeJS.Timeout | undefined;
  #flushedAtMs = 0;
  #spans: Span[] = [];
  #heardAtMs = 0;
  /** Last message of the plays' stream when the job was heard last; undefined until it is looked at again. */
  #playsWhenHeard: number | undefined;
  #waitingPlays = 0;
  readonly #deliver: Histogram;
  readonly #untraced: Counter;
  /** When the plays of the next flush left the job. */
  #leftMs: number[] = [];

  constructor(book: GameBook, log: Log, tracing: Tracing, metrics: Metrics = noMetrics) {
    this.#deliver = metrics.histogram(
      "courtside.page.deliver",
      "ms",
      "Prediction out of the job until it was sent to the pages",
    );
    this.#untraced = metrics.counter(
      "courtside.page.spans_not_made",
      "{span}",
      "Sampled plays without spans of the page, since too many came at once",
    );
    metrics.gauge(
      "courtside.page.clients",
      "{client}",
      "Pages that are open",
      () => this.hub.clients,
    );
    metrics.gauge(
      "courtside.page.insights",
      "{insight}",
      "Insights taken in",
      () => this.#insights,
    );
    this.book = book;
    this.#log = log;
    this.#tracing = tracing;
    this.hub = new EventHub(this);
  }

  onStart(stream: string, backlog: number): void {
    this.book.clear();
    this.#insights = 0;
    this.#refused = 0;
    this.#backlog = backlog;
    this.#position = { stream: fnv1a(stream).toString(36), sequence: 0 };
    this.hub.restart(this.#position);
    this.#setPhase(backlog === 0 ? "live" : "catching-up");
  }

  onMessage({ data, sequence, traceparent }: InsightMessage): void {
    this.#position = { stream: this.#position.stream, sequence };
    this.#heardAtMs = performance.now();
    this.#playsWhenHeard = undefined;
    const receivedMs = preciseMs(systemClock);
    const insight = this.#fold(data, sequence);
    if (this.#phase === "catching-up") {
      if (sequence >= this.#backlog) this.#setPhase("live");
      else if (sequence % PROGRESS_STEP === 0) this.hub.publishStatus();
    }
    if (this.#phase === "live") this.#note(insight, traceparent, receivedMs);
    const sinceFlushMs = performance.now() - this.#flushedAtMs;
    this.#flushTimer ??= setTimeout(
      () => this.flush(),
      Math.max(0, FLUSH_INTERVAL_MS - sinceFlushMs),
    );
  }

  onState(state: "waiting" | "lost" | "reading"): void {
    if (state === "waiting") this.#setPhase("waiting");
    else if (state === "lost") this.#setPhase("disconnected");
    else this.#setPhase(this.#position.sequence >= this.#backlog ? "live" : "catching-up");
  }

  /**
   * Tells how far the stream of plays has come, about once a second. When it grows and nothing comes out of the job, the
   * page is stale although it is connected.
   */
  notePlays(lastSequence: number): void {
    this.#playsWhenHeard ??= lastSequence;
    const silentMs = performance.now() - this.#heardAtMs;
    const behind = lastSequence - this.#playsWhenHeard;
    const waiting = silentMs > STALL_MS && behind >= STALL_PLAYS ? behind : 0;
    if (waiting === this.#waitingPlays) return;
    this.#waitingPlays = waiting;
    this.hub.publishStatus();
  }

  /** Sends what has been folded since the last time. */
  flush(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    this.#flushedAtMs = performance.now();
    this.hub.publish(this.book.takeChanges(), this.#position);
    for (const span of this.#spans) {
      span.setAttributes({ "courtside.clients": this.hub.clients });
      span.end();
    }
    this.#spans = [];
    const nowMs = preciseMs(systemClock);
    for (const leftMs of this.#leftMs) this.#deliver.record(Math.max(0, nowMs - leftMs));
    this.#leftMs = [];
  }

  summaries(): ReturnType<GameBook["summaries"]> {
    return this.book.summaries();
  }

  detail(gameId: string): ReturnType<GameBook["detail"]> {
    return this.book.detail(gameId);
  }

  status(): FeedStatus {
    return {
      phase: this.#phase,
      insights: this.#insights,
      refused: this.#refused,
      backlog: this.#backlog,
      notShown: this.book.notShown,
      waitingPlays: this.#waitingPlays,
    };
  }

  close(): void {
    clearTimeout(this.#flushTimer);
    this.hub.close();
  }

  #note(insight: Insight | undefined, traceparent: string, receivedMs: number): void {
    if (insight?.body.case !== "play") return;
    const leftMs = Number(insight.body.value.prediction?.predictedTimeMs ?? 0n);
    if (leftMs > 0) this.#leftMs.push(leftMs);
    if (traceparent === "") return;
    if (this.#spans.length < MAX_OPEN_SPANS) this.#trace(insight, traceparent, receivedMs);
    else this.#untraced.add(1);
  }

  /** Two stages: from where the job's spans end until it came here, and from there until it is sent to the page. */
  #trace(insight: Insight | undefined, parent: string, receivedMs: number): void {
    if (insight?.body.case !== "play") return;
    const { prediction } = insight.body.value;
    // Of the plays of one message only one is traced.
    if (prediction === undefined || prediction.traceId === "") return;
    const leftMs = Number(prediction.predictedTimeMs);
    const startTimeMs = Math.max(leftMs, receivedMs);
    this.#tracing
      .start("insight.deliver", { kind: "consumer", parent, startTimeMs: leftMs })
      .end(startTimeMs);
    this.#spans.push(this.#tracing.start("page.push", { parent, startTimeMs }));
  }

  #fold(data: Uint8Array, sequence: number): Insight | undefined {
    try {
      const insight = fromBinary(InsightSchema, data);
      const outcome = this.book.apply(insight, sequence);
      if (outcome === "seen") this.#refused += 1;
      else if (outcome === "applied") this.#insights += 1;
      return insight;
    } catch (error) {
      this.#refused += 1;
      this.#log.error("insight not readable, skipped", error, { sequence });
      return undefined;
    }
  }

  #setPhase(phase: FeedStatus["phase"]): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    if (phase === "live") {
      this.flush();
      this.hub.open();
    }
    this.hub.publishStatus();
  }
}
