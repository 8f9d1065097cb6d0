import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type NatsConnection } from "@nats-io/nats-core";
import { setTimeout as delay } from "node:timers/promises";
import { type Clock, preciseMs } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { type Log, silentLog } from "../../base/log.ts";
import { type Counter, type Histogram, type Metrics, noMetrics } from "../../base/metrics.ts";
import { fnv1a } from "../../base/random.ts";
import { type Span, type Tracing } from "../../base/tracing.ts";
import { replaySchedule, type ReplayItem, type ReplayOptions } from "../../data/replay.ts";
import { type SourceGame } from "../../data/source.ts";
import { type PlayFrame, PlayFrameSchema } from "../../proto/gen/courtside/v1/play_pb.ts";
import { PLAYS_STREAM, playsSubject, UNKNOWN_GAME } from "../../proto/subjects.ts";
import { OrderedPublisher } from "./ordered-publisher.ts";
import { DisorderedResumePoint, disorderMark, letterKey, ResumePoint } from "./resume-point.ts";

/** Frames that wait for their turn or their acknowledgement: 256 of 32 KB are 8 MB, enough to hide the broker. */
const MAX_IN_FLIGHT = 256;

/** Rejected rows without a game that are remembered to skip them in a later run, about 2 KB each. */
const MAX_UNKNOWN_FRAMES = 10_000;

/** Share of plays that are traced when nothing else is said: all when live, one in a hundred at full speed. */
const DEFAULT_TRACE_RATE = 1;
const DEFAULT_TRACE_RATE_MAX_SPEED = 0.01;

export interface PublishReplayOptions extends ReplayOptions {
  readonly nc: NatsConnection;
  readonly games: Iterable<SourceGame> | AsyncIterable<SourceGame>;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly metrics?: Metrics;
  /** Share of frames that start a trace, 0..1, chosen by game and play. Default 1, and 0.01 at speed `max`. */
  readonly traceRate?: number;
  /** Stops the replay between two frames. */
  readonly signal: AbortSignal;
  /** Told of outages of the broker. */
  readonly log?: Log;
  readonly onProgress?: (summary: ReplaySummary) => void;
}

/** What a replay has done so far. */
export interface ReplaySummary {
  /** Ids of the games that were begun, in order. */
  readonly games: readonly string[];
  /** Games whose end is in the source; one that breaks off has none. */
  readonly finished: number;
  /** Rows of the source: plays and dead letters. */
  readonly rows: number;
  /** Plays of the source, each once, however often it was told. */
  readonly plays: number;
  /** Accounts of them that a reader takes who refuses what it knows; more than plays when there are corrections. */
  readonly accounts: number;
  readonly deadLetters: number;
  /** Messages stored by this run. */
  readonly frames: number;
  /** Plays stored by this run. */
  readonly published: number;
  /** Plays that an earlier run had stored. */
  readonly skipped: number;
  /** Highest sequence on the stream that belongs to the replay, 0 for none. */
  readonly lastSequence: number;
  /** True when it was stopped before the end. */
  readonly interrupted: boolean;
}

/**
 * Publishes games to the stream of plays, each game in order and each play once, however often the connection,
 * the broker or this program fails: a second run publishes only what is missing. Needs `ensureStreams` before.
 *
 * @throws ReplayMismatchError, PublishConflictError, PublishRefusedError, BrokerUnavailableError
 */
export async function publishReplay(options: PublishReplayOptions): Promise<ReplaySummary> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const publisher = await OrderedPublisher.open(options.nc, PLAYS_STREAM, {
    signal,
    log: options.log ?? silentLog,
  });
  const run = new ReplayRun(options, publisher, stop, signal);
  try {
    await run.publishAll();
  } finally {
    publisher.close();
  }
  return run.summary;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** One game's way into the stream. Its frames are chained, so that the next waits for the previous. */
interface Lane {
  readonly gameId: string;
  readonly subject: string;
  readonly resume: ResumePoint | DisorderedResumePoint;
  /** Revision of each play that was told, where plays are told more than once. */
  readonly revisions: Map<number, number>;
  isFinished: boolean;
  lastSequence: number;
  tail: Promise<void>;
}

class ReplayRun {
  readonly #games: string[] = [];
  readonly summary: Mutable<ReplaySummary> = {
    games: this.#games,
    finished: 0,
    rows: 0,
    plays: 0,
    accounts: 0,
    deadLetters: 0,
    frames: 0,
    published: 0,
    skipped: 0,
    lastSequence: 0,
    interrupted: false,
  };
  readonly #options: PublishReplayOptions;
  readonly #publisher: OrderedPublisher;
  readonly #stop: AbortController;
  /** Of `#stop` or of the caller. */
  readonly #signal: AbortSignal;
  readonly #traceRate: number;
  readonly #publishedPlays: Counter;
  readonly #queued: Histogram;
  readonly #acked: Histogram;
  readonly #lanes = new Map<string, Lane>();
  readonly #inFlight = new Set<Promise<void>>();
  /** Says how the plays are told; undefined when they come in order. */
  readonly #disorderMark: string | undefined;
  #unknownLetters: Set<string> | undefined;
  /** Time of the replay's zero, `performance.now()`. */
  #originMs: number | undefined;
  #failure: Error | undefined;

  constructor(
    options: PublishReplayOptions,
    publisher: OrderedPublisher,
    stop: AbortController,
    signal: AbortSignal,
  ) {
    const { speed, traceRate } = options;
    const rate = speed === "max" ? DEFAULT_TRACE_RATE_MAX_SPEED : DEFAULT_TRACE_RATE;
    this.#options = options;
    this.#publisher = publisher;
    this.#stop = stop;
    this.#signal = signal;
    this.#traceRate = traceRate ?? rate;
    const { metrics = noMetrics } = options;
    this.#publishedPlays = metrics.counter("courtside.feed.plays", "{play}", "Plays published");
    this.#queued = metrics.histogram(
      "courtside.feed.queue",
      "ms",
      "Read from the feed until published",
    );
    this.#acked = metrics.histogram(
      "courtside.feed.publish",
      "ms",
      "Publish until the broker confirmed it",
    );
    const { disorder } = options;
    if (disorder !== undefined) this.#disorderMark = disorderMark({ ...disorder, speed });
    assert(this.#traceRate >= 0 && this.#traceRate <= 1, "a trace rate is a share");
  }

  async publishAll(): Promise<void> {
    try {
      for await (const item of replaySchedule(this.#options.games, this.#options)) {
        await this.#publishItem(item);
        this.#signal.throwIfAborted();
      }
    } catch (error) {
      this.#fail(error);
    }
    await Promise.all(this.#inFlight);
    if (this.#failure !== undefined) throw this.#failure;
    this.summary.interrupted = this.#signal.aborted;
  }

  async #publishItem(item: ReplayItem): Promise<void> {
    const lane = this.#lanes.get(item.gameId) ?? (await this.#openLane(item.gameId));
    this.#count(item, lane);
    const rest =
      item.gameId === UNKNOWN_GAME
        ? await this.#unknownRest(item.frame)
        : lane.resume.rest(item.frame, item.index);
    const restPlays = rest?.plays.length ?? 0;
    this.summary.skipped += item.frame.plays.length - restPlays;
    if (rest !== undefined) {
      await this.#waitUntilDue(item.dueMs);
      while (this.#inFlight.size >= MAX_IN_FLIGHT) await Promise.race(this.#inFlight);
      this.#signal.throwIfAborted();
      this.#send(lane, rest, item.index);
    }
    if (!item.isLast || item.gameId === UNKNOWN_GAME) return;
    lane.resume.checkReached();
    this.#lanes.delete(item.gameId);
  }

  #count({ gameId, frame }: ReplayItem, lane: Lane): void {
    const { summary } = this;
    if (frame.gameInfo !== undefined) this.#games.push(gameId);
    for (const { playNumber, revision, gameOver } of frame.plays) {
      const known = this.#options.disorder && lane.revisions.get(playNumber);
      if (known === undefined) summary.plays += 1;
      if (revision > (known ?? 0)) {
        summary.accounts += 1;
        if (this.#options.disorder) lane.revisions.set(playNumber, revision);
      }
      if (gameOver && !lane.isFinished) {
        lane.isFinished = true;
        summary.finished += 1;
      }
    }
    summary.deadLetters += frame.deadLetters.length;
    summary.rows = summary.plays + summary.deadLetters;
  }

  async #openLane(gameId: string): Promise<Lane> {
    const subject = playsSubject(keyGroupOf(gameId), gameId);
    const last = await this.#publisher.last(subject);
    const frame = last === undefined ? undefined : fromBinary(PlayFrameSchema, last.payload);
    const lastSequence = last?.sequence ?? 0;
    const isDisordered = this.#disorderMark !== undefined && gameId !== UNKNOWN_GAME;
    const resume = isDisordered
      ? new DisorderedResumePoint(gameId, this.#disorderMark ?? "", last?.id)
      : new ResumePoint(gameId, frame, last?.id);
    const tail = Promise.resolve();
    const revisions = new Map<number, number>();
    const lane = { gameId, subject, resume, revisions, isFinished: false, lastSequence, tail };
    this.#lanes.set(gameId, lane);
    this.summary.lastSequence = Math.max(this.summary.lastSequence, lastSequence);
    return lane;
  }

  /** Rows without a game come from many files in any order, so that all stored ones have to be known. */
  async #unknownRest(frame: PlayFrame): Promise<PlayFrame | undefined> {
    this.#unknownLetters ??= await this.#readUnknownLetters();
    const known = this.#unknownLetters;
    const deadLetters = frame.deadLetters.filter((letter) => !known.has(letterKey(letter)));
    return deadLetters.length === 0 ? undefined : create(PlayFrameSchema, { deadLetters });
  }

  async #readUnknownLetters(): Promise<Set<string>> {
    const known = new Set<string>();
    const subject = playsSubject(keyGroupOf(UNKNOWN_GAME), UNKNOWN_GAME);
    let sequence = 1;
    for (let frames = 0; frames < MAX_UNKNOWN_FRAMES; frames++) {
      const stored = await this.#publisher.next(subject, sequence);
      if (stored === undefined) break;
      const { deadLetters } = fromBinary(PlayFrameSchema, stored.payload);
      for (const letter of deadLetters) known.add(letterKey(letter));
      sequence = stored.sequence + 1;
    }
    return known;
  }

  /** The first frame that has to be published goes out at once; the others keep their distance to it. */
  async #waitUntilDue(dueMs: number): Promise<void> {
    if (this.#options.speed === "max") return;
    const nowMs = performance.now();
    this.#originMs ??= nowMs - dueMs;
    const waitMs = this.#originMs + dueMs - nowMs;
    if (waitMs <= 0) return;
    await delay(waitMs, undefined, { signal: this.#signal });
  }

  #send(lane: Lane, frame: PlayFrame, index: number): void {
    const readMs = preciseMs(this.#options.clock);
    const sent = lane.tail.then(() => this.#publishFrame(lane, frame, index, readMs));
    // A lane that failed stays failed: later frames of the game must not overtake the lost one.
    const settled = sent.catch((error: unknown) => this.#fail(error));
    lane.tail = sent;
    const tracked = settled.finally(() => this.#inFlight.delete(tracked));
    this.#inFlight.add(tracked);
  }

  /** @param readMs - when the frame was read from its feed and handed over. */
  async #publishFrame(lane: Lane, frame: PlayFrame, index: number, readMs: number): Promise<void> {
    this.#signal.throwIfAborted();
    const { clock, onProgress } = this.#options;
    const { summary } = this;
    const id =
      lane.resume instanceof DisorderedResumePoint
        ? lane.resume.messageId(index)
        : messageId(lane.gameId, frame);
    const ingestMs = clock.nowMs();
    this.#queued.record(Math.max(0, ingestMs - readMs));
    const span = this.#startSpan(lane.gameId, id, frame, Math.min(readMs, ingestMs));
    for (const play of frame.plays) play.ingestTimeMs = BigInt(ingestMs);
    if (span !== undefined) this.#tellQueue(span, Math.min(readMs, ingestMs), ingestMs);
    const payload = toBinary(PlayFrameSchema, frame);
    const message = { id, payload, traceparent: span?.traceparent ?? "" };
    try {
      lane.lastSequence = await this.#publisher.publish(lane.subject, lane.lastSequence, message);
    } catch (error) {
      span?.fail(error);
      throw error;
    } finally {
      span?.end();
    }
    this.#acked.record(preciseMs(clock) - ingestMs);
    this.#publishedPlays.add(frame.plays.length);
    summary.frames += 1;
    summary.published += frame.plays.length;
    summary.lastSequence = Math.max(summary.lastSequence, lane.lastSequence);
    onProgress?.(summary);
  }

  /** Whether a play is traced depends on its identity alone, so that a second run traces the same ones. */
  #startSpan(gameId: string, id: string, frame: PlayFrame, startTimeMs: number): Span | undefined {
    const play = frame.plays.at(0);
    if (play === undefined || fnv1a(id) / 2 ** 32 >= this.#traceRate) return undefined;
    return this.#options.tracing.start("play", {
      kind: "producer",
      startTimeMs,
      attributes: {
        "courtside.game_id": gameId,
        "courtside.play_number": play.playNumber,
        "courtside.plays": frame.plays.length,
        "messaging.system": "nats",
        "messaging.destination.name": PLAYS_STREAM,
      },
    });
  }

  /** Behind earlier plays of its game; what follows is told by who reads the message. */
  #tellQueue({ traceparent: parent }: Span, startTimeMs: number, endMs: number): void {
    this.#options.tracing.start("feed.queue", { parent, startTimeMs }).end(endMs);
  }

  /** The first failure counts; an abort that somebody asked for is none. */
  #fail(error: unknown): void {
    if (!this.#options.signal.aborted) {
      this.#failure ??= error instanceof Error ? error : new Error(errorText(error));
    }
    this.#stop.abort();
  }
}

/** Game, plays and revision of the first; the last play is part of it, since packing may differ between runs. */
function messageId(gameId: string, frame: PlayFrame): string {
  const [first, last] = [frame.plays.at(0), frame.plays.at(-1)];
  if (first !== undefined && last !== undefined) {
    return `${gameId}/${first.playNumber}-${last.playNumber}/${first.revision}`;
  }
  const letter = frame.deadLetters.at(0);
  if (letter === undefined) return `${gameId}/info`;
  return `${gameId}/dead/${letter.line}/${fnv1a(letterKey(letter))}`;
}
