import {
  JetStreamApiError,
  jetstreamManager,
  type JetStreamManager,
  type StreamInfo,
} from "@nats-io/jetstream";
import { createInbox, type Msg, nanos, type NatsConnection } from "@nats-io/nats-core";
import { create } from "@bufbuild/protobuf";
import { delay } from "../base/clock.ts";
import { CourtsideError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import {
  type SourcePosition,
  SourcePositionSchema,
} from "../proto/gen/courtside/v1/checkpoint_pb.ts";
import type { Source, SourceRecord } from "../operators/runtime/source.ts";

/** The position of a snapshot is not in the stream: it was re-created, or retention has passed it. */
export class SourcePositionLostError extends CourtsideError {
  override readonly code = "SOURCE_POSITION_LOST";
  override readonly retryable = false;
}

/** The stream that the job reads is not there. */
export class StreamMissingError extends CourtsideError {
  override readonly code = "STREAM_MISSING";
  override readonly retryable = true;

  constructor(stream: string, options?: ErrorOptions) {
    super(
      `stream ${stream} is not on this broker: bring it back, or look whether --nats-url names the right one`,
      options,
    );
  }
}

const EVERY_KEY_GROUP = { first: 0, last: Number.POSITIVE_INFINITY };
/** First minor version of the 2 line whose consumers take several filters. */
const MULTIPLE_FILTERS_MINOR = 10;
/** `stream not found` in the broker's own numbering. */
const STREAM_NOT_FOUND = 10_059;
/** Messages asked for at once. Frames are about 32 KiB, so the few requests that can be alive keep some 20 MiB
 * under way: the server stalls a reader that is about 48 MiB behind. */
const PULL_MESSAGES = 200;
const PULL_EXPIRES_MS = 5000;
const HEARTBEAT_MS = 1000;
/** A consumer that sends neither data nor heartbeats for so long is made anew. */
const SILENCE_LIMIT_MS = 2.5 * HEARTBEAT_MS;
const CONSUMER_IDLE_LIMIT_MS = 30_000;
const API_TIMEOUT_MS = 2000;
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 1000;

export interface NatsSourceOptions<I> {
  readonly connection: NatsConnection;
  readonly stream: string;
  /** Subjects to read; the last token but one is the key group. */
  readonly subject: string;
  /** Key groups to read, both ends included; all of them when absent. */
  readonly keyGroups?: { readonly first: number; readonly last: number };
  /** Subject of all messages of a key group; with `keyGroups`, for servers that filter by several. */
  readonly subjectOf?: (keyGroup: number) => string;
  /** @param storedMs - when the broker stored it, epoch milliseconds with fractions. */
  decode(message: Msg, storedMs: number): I;
  keyGroupOf(subject: string): number;
  readonly traceparentHeader: string;
  /** Told how many messages were still to come when one was received. */
  onLag?(messages: number): void;
  readonly log: Log;
  /**
   * True for a stream whose beginning is removed while it is read. It is read from its start, also behind every
   * interruption, and who reads it drops what comes again: a server that is killed while such a stream is empty
   * numbers it from 1 again.
   */
  readonly isPurged?: boolean;
}

/**
 * Reads a stream from a sequence on, without gaps, across restarts of the server and a blocked event loop.
 *
 * A short-lived consumer without acknowledgements is pulled by hand, a request ahead; the position is the
 * caller's. Consumer sequences must follow each other; on a gap, a reconnect or silence a new consumer
 * starts behind the last message that was delivered. Not asking is the back-pressure.
 */
export class NatsSource<I> implements Source<I> {
  readonly #options: NatsSourceOptions<I>;
  readonly #buffer: SourceRecord<I>[] = [];
  #manager: JetStreamManager | undefined;
  #created = "";
  /** Sequence that the next message must be beyond. */
  #last = 0;
  #consumer = "";
  #inbox = "";
  #subscription: { unsubscribe(): void } | undefined;
  #sincePull = 0;
  #pulledMs = 0;
  #consumerSequence = 0;
  #heardMs = 0;
  #recreating = false;
  #closed = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(options: NatsSourceOptions<I>) {
    this.#options = options;
  }

  async open(from: SourcePosition | undefined): Promise<void> {
    const { connection } = this.#options;
    this.#manager = await jetstreamManager(connection, {
      checkAPI: false,
      timeout: API_TIMEOUT_MS,
    });
    const info = await this.#info();
    this.#created = info.created;
    if (from !== undefined) this.#checkPosition(from, info.state);
    this.#last = Number(from?.sequence ?? 0n);
    await this.#recreate("start");
    this.#watchdog = setInterval(() => this.#watch(), HEARTBEAT_MS / 2);
    void this.#watchReconnects();
  }

  async poll(maxRecords: number, waitMs: number): Promise<readonly SourceRecord<I>[]> {
    if (this.#buffer.length === 0) await this.#untilSomething(waitMs);
    if (this.#failure !== undefined) throw this.#failure;
    const records = this.#buffer.splice(0, maxRecords);
    this.#pullIfDue();
    return records;
  }

  positionAt(sequence: number): SourcePosition {
    return create(SourcePositionSchema, {
      stream: this.#options.stream,
      streamCreated: this.#created,
      sequence: BigInt(sequence),
    });
  }

  ended(): boolean {
    return false;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watchdog);
    this.#subscription?.unsubscribe();
    this.#wake?.();
    await this.#deleteConsumer(this.#consumer);
  }

  #checkPosition(from: SourcePosition, state: { first_seq: number; last_seq: number }): void {
    const { stream } = this.#options;
    const next = Number(from.sequence) + 1;
    if (from.streamCreated !== this.#created || next > state.last_seq + 1)
      throw new SourcePositionLostError(
        `the checkpoint was taken at message ${String(from.sequence)} of a stream ${stream} made at ` +
          `${from.streamCreated}; this one was made at ${this.#created} and ends at ` +
          `${String(state.last_seq)}. Start with another data directory, or bring the old stream back`,
      );
    if (next < state.first_seq)
      throw new SourcePositionLostError(
        `the checkpoint needs message ${String(next)} of stream ${stream}, whose first is ` +
          `${String(state.first_seq)}: retention has passed it. Replay the source into a new stream`,
      );
  }

  /** The stream as the broker has it. @throws StreamMissingError */
  async #info(): Promise<StreamInfo> {
    const { stream } = this.#options;
    try {
      if (this.#manager === undefined) throw new StreamMissingError(stream);
      return await this.#manager.streams.info(stream);
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND)
        throw new StreamMissingError(stream, { cause: error });
      throw error;
    }
  }

  /** Behind an interruption: the same stream, and nothing of it gone that was not read. */
  async #checkStream(): Promise<void> {
    const { created, state } = await this.#info();
    if (this.#options.isPurged === true) this.#last = 0;
    const next = this.#last + 1;
    const isOther = created !== this.#created;
    const isPassed = this.#last > 0 && next < state.first_seq;
    if (isOther || next > state.last_seq + 1 || isPassed)
      throw new SourcePositionLostError(
        `stream ${this.#options.stream} was read up to message ${String(this.#last)} of the one made at ` +
          `${this.#created}; it was made at ${created} now and holds ${String(state.first_seq)} to ` +
          `${String(state.last_seq)}: somebody deleted or purged it under the job`,
      );
  }

  async #recreate(reason: string): Promise<void> {
    if (this.#recreating || this.#closed) return;
    this.#recreating = true;
    this.#subscription?.unsubscribe();
    const old = this.#consumer;
    for (let waitMs = RETRY_MIN_MS; !this.#closed; waitMs = Math.min(2 * waitMs, RETRY_MAX_MS)) {
      try {
        if (reason !== "start") await this.#checkStream();
        await this.#createConsumer();
        break;
      } catch (error) {
        if (reason === "start") throw error;
        if (error instanceof SourcePositionLostError || error instanceof StreamMissingError) {
          this.#failure = error;
          this.#wake?.();
          this.#recreating = false;
          return;
        }
        this.#options.log.warn("source_consumer_retry", { reason, error: String(error) });
        await delay(waitMs);
      }
    }
    this.#recreating = false;
    if (old !== "") void this.#deleteConsumer(old);
    if (reason !== "start") this.#options.log.info("source_resumed", { reason, after: this.#last });
    this.#listen();
    this.#pull();
  }

  async #createConsumer(): Promise<void> {
    const { stream, subject } = this.#options;
    const name = `source_${createInbox().slice("_INBOX.".length)}`;
    const several = this.#severalSubjects();
    await this.#manager?.consumers.add(stream, {
      name,
      ack_policy: "none",
      deliver_policy: "by_start_sequence",
      opt_start_seq: this.#last + 1,
      ...(several ?? { filter_subject: subject }),
      inactive_threshold: nanos(CONSUMER_IDLE_LIMIT_MS),
      mem_storage: true,
      num_replicas: 1,
    });
    this.#consumer = name;
  }

  /** Servers of the 2.9 line filter by one subject: there the other groups' messages are dropped here. */
  #severalSubjects(): { filter_subjects: string[] } | undefined {
    const { connection, keyGroups, subjectOf } = this.#options;
    if (keyGroups === undefined || subjectOf === undefined) return undefined;
    const [major = 0, minor = 0] = (connection.info?.version ?? "").split(".").map(Number);
    if (major < 2 || (major === 2 && minor < MULTIPLE_FILTERS_MINOR)) return undefined;
    const count = keyGroups.last - keyGroups.first + 1;
    const groups = Array.from({ length: count }, (_, i) => keyGroups.first + i);
    return { filter_subjects: groups.map((group) => subjectOf(group)) };
  }

  async #deleteConsumer(name: string): Promise<void> {
    // It would expire by itself; a failure here changes nothing.
    await this.#manager?.consumers.delete(this.#options.stream, name).catch(() => false);
  }

  #listen(): void {
    this.#inbox = createInbox();
    this.#consumerSequence = 0;
    this.#heardMs = performance.now();
    const inbox = this.#inbox;
    this.#subscription = this.#options.connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error === null && inbox === this.#inbox) this.#onMessage(message);
      },
    });
  }

  #onMessage(message: Msg): void {
    this.#heardMs = performance.now();
    const reply = message.reply ?? "";
    if (!reply.startsWith("$JS.ACK.")) return this.#onStatus(message);
    const { streamSequence, consumerSequence, storedMs, pending } = parseReply(reply);
    if (consumerSequence !== this.#consumerSequence + 1) {
      this.#inbox = "";
      void this.#recreate("gap");
      return;
    }
    this.#consumerSequence = consumerSequence;
    this.#sincePull += 1;
    this.#last = streamSequence;
    const options = this.#options;
    options.onLag?.(pending + this.#buffer.length);
    const keyGroup = options.keyGroupOf(message.subject);
    const { first, last } = options.keyGroups ?? EVERY_KEY_GROUP;
    if (keyGroup < first || keyGroup > last) return this.#pullIfDue();
    this.#buffer.push({
      value: options.decode(message, storedMs),
      keyGroup,
      sequence: streamSequence,
      traceparent: message.headers?.get(options.traceparentHeader) ?? "",
    });
    this.#pullIfDue();
    this.#wake?.();
  }

  #onStatus(message: Msg): void {
    const code = message.headers?.code ?? 0;
    // A heartbeat, or a request that has run out: another is under way by then.
    if (code === 100 || code === 404 || code === 408) return;
    // Consumer deleted, leader changed, nobody there: the watchdog makes a new consumer.
    this.#heardMs = 0;
  }

  /**
   * Asks for more when half of the last request has come, or when it is half as old as it may get, so that
   * one is always alive. Nothing is counted across requests: a server of the 2.9 line does not always say
   * that one has run out. What waits in the buffer holds back the next.
   */
  #pullIfDue(): void {
    if (this.#inbox === "" || this.#recreating || this.#closed || this.#isFull()) return;
    const isOld = performance.now() - this.#pulledMs > PULL_EXPIRES_MS / 2;
    if (isOld || this.#sincePull >= PULL_MESSAGES / 2) this.#pull();
  }

  #pull(): void {
    const nowMs = performance.now();
    // Behind a pause nobody was asked, so nobody was silent.
    if (nowMs - this.#pulledMs > PULL_EXPIRES_MS) this.#heardMs = nowMs;
    this.#pulledMs = nowMs;
    this.#sincePull = 0;
    this.#options.connection.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.#options.stream}.${this.#consumer}`,
      JSON.stringify({
        batch: PULL_MESSAGES,
        expires: nanos(PULL_EXPIRES_MS),
        idle_heartbeat: nanos(HEARTBEAT_MS),
      }),
      { reply: this.#inbox },
    );
  }

  #watch(): void {
    try {
      this.#pullIfDue();
    } catch (error) {
      // A connection that is closed for good ends the source by its next poll, not the process by this timer.
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
    if (this.#failure !== undefined || !this.#isSilent()) return;
    // After a blocked event loop this timer runs before what has arrived is read: look again behind that.
    setImmediate(() => {
      if (this.#isSilent()) void this.#recreate("silence");
    });
  }

  #isSilent(): boolean {
    return !this.#isFull() && performance.now() - this.#heardMs > SILENCE_LIMIT_MS;
  }

  #isFull(): boolean {
    return this.#buffer.length > PULL_MESSAGES;
  }

  async #watchReconnects(): Promise<void> {
    for await (const status of this.#options.connection.status()) {
      if (this.#closed) return;
      if (status.type === "reconnect") void this.#recreate("reconnect");
    }
  }

  async #untilSomething(waitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}

/** `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>…`, two tokens longer with a domain. */
function parseReply(reply: string): {
  streamSequence: number;
  consumerSequence: number;
  storedMs: number;
  pending: number;
} {
  const tokens = reply.split(".");
  const shift = tokens.length > 9 ? 2 : 0;
  return {
    streamSequence: Number(tokens[5 + shift]),
    consumerSequence: Number(tokens[6 + shift]),
    // Nanoseconds; a double keeps a quarter of a microsecond of them.
    storedMs: Number(tokens[7 + shift]) / 1e6,
    pending: Number(tokens[8 + shift]),
  };
}
