import {
  AckPolicy,
  DeliverPolicy,
  type JetStreamManager,
  jetstreamManager,
  JetStreamApiError,
} from "@nats-io/jetstream";
import {
  createInbox,
  type Msg,
  type NatsConnection,
  nanos,
  type Subscription,
} from "@nats-io/nats-core";
import { errorText } from "../base/errors.ts";
import { type Log } from "../base/log.ts";
import { INSIGHTS_STREAM, TRACEPARENT_HEADER } from "../proto/subjects.ts";
import { type StreamStand } from "./wire-views.ts";

/** Messages asked for at once; at about 300 bytes each far below what the server lets wait for a client. */
const PULL_BATCH = 1_000;
/** How long the server keeps an unfilled pull. */
const PULL_EXPIRES_MS = 5_000;
/** The server says so often that it is there; two and a half of these without a word mean a lost consumer. */
const PULL_HEARTBEAT_MS = 1_000;
const SILENCE_MS = 2.5 * PULL_HEARTBEAT_MS;
/** The server forgets the consumer when nobody pulls from it for so long. */
const CONSUMER_INACTIVE_MS = 30_000;
/** Between attempts to make a consumer: doubles from the first to the second. */
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 1_000;
/** How long one request to the broker may take. */
const REQUEST_TIMEOUT_MS = 2_000;

/** This project has five streams and a few buckets; a broker shared with others is not listed whole. */
const MAX_STREAMS = 64;

/** A stored insight as it came. */
export interface InsightMessage {
  readonly data: Uint8Array;
  /** On the stream, from 1. */
  readonly sequence: number;
  /** Empty unless the play was sampled. */
  readonly traceparent: string;
}

export interface InsightListener {
  /**
   * Reading begins at the first message: at the start, and again when the stream was made anew or lost its
   * end. `stream` tells its incarnations apart; `backlog` is the sequence of its last message now.
   */
  onStart(stream: string, backlog: number): void;
  onMessage(message: InsightMessage): void;
  /** `waiting`: there is no stream yet; `lost`: no word from the broker; `reading`: messages may come. */
  onState(state: "waiting" | "lost" | "reading"): void;
}

/** Where insights come from. */
export interface InsightSource {
  start(listener: InsightListener): void;
  /** Reads one stored message again; undefined when the stream no longer has it or the broker does not answer. */
  read(sequence: number): Promise<Uint8Array | undefined>;
  /** How far the streams reach; undefined when the broker does not answer. */
  streams(): Promise<readonly StreamStand[] | undefined>;
  stop(): Promise<void>;
}

/**
 * Reads the INSIGHTS stream from the first message with a hand-made pull consumer without acknowledgements:
 * order is checked by the consumer's own sequence, and on a gap, a reconnect or silence a new consumer
 * continues behind the last message. Survives restarts of the broker; never ends by itself.
 */
export class NatsInsightSource implements InsightSource {
  readonly #connection: NatsConnection;
  readonly #log: Log;
  #listener: InsightListener | undefined;
  #manager: JetStreamManager | undefined;
  #subscription: Subscription | undefined;
  #consumer = "";
  /** Creation time of the stream being read; empty before the first one. */
  #created = "";
  #next = 1;
  #deliveredCount = 0;
  #inPull = 0;
  #heardAtMs = 0;
  #pulledAtMs = 0;
  #inbox = "";
  #opening: Promise<void> | undefined;
  #stopped = new AbortController();
  #watch: NodeJS.Timeout | undefined;

  constructor(connection: NatsConnection, log: Log) {
    this.#connection = connection;
    this.#log = log;
  }

  start(listener: InsightListener): void {
    this.#listener = listener;
    this.#reopen("start");
    void this.#followConnection();
    this.#watch = setInterval(() => this.#check(), PULL_HEARTBEAT_MS / 2);
  }

  async read(sequence: number): Promise<Uint8Array | undefined> {
    try {
      const message = await this.#manager?.streams.getMessage(INSIGHTS_STREAM, { seq: sequence });
      return message?.data;
    } catch (error) {
      this.#log.warn("insight not readable again", { sequence, error: errorText(error) });
      return undefined;
    }
  }

  async streams(): Promise<readonly StreamStand[] | undefined> {
    if (this.#manager === undefined) return undefined;
    try {
      const stands: StreamStand[] = [];
      for await (const { config, state } of this.#manager.streams.list()) {
        const { messages, bytes, last_seq: lastSequence, consumer_count: consumers } = state;
        stands.push({ name: config.name, messages, bytes, lastSequence, consumers });
        if (stands.length >= MAX_STREAMS) break;
      }
      return stands;
    } catch (error) {
      this.#log.warn("streams not listed", { error: errorText(error) });
      return undefined;
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    clearInterval(this.#watch);
    this.#subscription?.unsubscribe();
    await this.#opening;
    if (this.#consumer === "" || this.#connection.isClosed()) return;
    // The server would forget it anyway, only later.
    await this.#manager?.consumers.delete(INSIGHTS_STREAM, this.#consumer).catch(() => false);
  }

  #check(): void {
    const nowMs = performance.now();
    if (nowMs - this.#heardAtMs > SILENCE_MS) this.#reopen("silence");
    // A server of the 2.9 line does not always say that a pull has run out, so none is left to get old.
    else if (this.#inbox !== "" && nowMs - this.#pulledAtMs > PULL_EXPIRES_MS / 2)
      this.#pull(this.#inbox);
  }

  async #followConnection(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (this.#stopped.signal.aborted) return;
      if (type === "disconnect") this.#listener?.onState("lost");
      if (type === "reconnect") this.#reopen("reconnect");
    }
  }

  #reopen(reason: string): void {
    if (this.#opening !== undefined || this.#stopped.signal.aborted) return;
    this.#opening = this.#openUntilDone(reason).finally(() => (this.#opening = undefined));
  }

  async #openUntilDone(reason: string): Promise<void> {
    if (reason !== "start") this.#log.info("insights reopened", { reason, next: this.#next });
    this.#subscription?.unsubscribe();
    this.#inbox = "";
    let waitMs = RETRY_MIN_MS;
    let said = "";
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#open();
        this.#listener?.onState("reading");
        return;
      } catch (error) {
        const isMissing = error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND;
        const problem = isMissing ? "waiting" : "lost";
        if (said !== problem) {
          this.#listener?.onState(problem);
          if (isMissing) this.#log.info("waiting for stream", { stream: INSIGHTS_STREAM });
          else this.#log.error("insights not readable, trying again", error);
          said = problem;
        }
        await this.#pause(waitMs);
        waitMs = Math.min(RETRY_MAX_MS, waitMs * 2);
      }
    }
  }

  async #open(): Promise<void> {
    this.#manager ??= await jetstreamManager(this.#connection, {
      checkAPI: false,
      timeout: REQUEST_TIMEOUT_MS,
    });
    const { created, state } = await this.#manager.streams.info(INSIGHTS_STREAM);
    if (created !== this.#created || this.#next > state.last_seq + 1) {
      this.#created = created;
      this.#next = 1;
      this.#listener?.onStart(created, state.messages === 0 ? 0 : state.last_seq);
    }
    if (this.#next < state.first_seq) {
      if (this.#next > 1) {
        this.#log.warn("insights missed: no longer in the stream", {
          from: this.#next,
          to: state.first_seq - 1,
        });
      }
      this.#next = state.first_seq;
    }
    const { name } = await this.#manager.consumers.add(INSIGHTS_STREAM, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: this.#next,
      inactive_threshold: nanos(CONSUMER_INACTIVE_MS),
      mem_storage: true,
      num_replicas: 1,
      name: `dashboard_${createInbox().slice("_INBOX.".length)}`,
    });
    this.#consumer = name;
    this.#listen();
  }

  #listen(): void {
    const inbox = createInbox();
    this.#deliveredCount = 0;
    const subscription = this.#connection.subscribe(inbox, {
      callback: (error, message) => {
        if (subscription !== this.#subscription || error !== null) return;
        this.#onMessage(message, inbox);
      },
    });
    this.#subscription = subscription;
    this.#inbox = inbox;
    this.#heardAtMs = performance.now();
    this.#pull(inbox);
  }

  #pull(inbox: string): void {
    this.#pulledAtMs = performance.now();
    this.#inPull = PULL_BATCH;
    const request = {
      batch: PULL_BATCH,
      expires: nanos(PULL_EXPIRES_MS),
      idle_heartbeat: nanos(PULL_HEARTBEAT_MS),
    };
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${INSIGHTS_STREAM}.${this.#consumer}`;
    this.#connection.publish(subject, JSON.stringify(request), { reply: inbox });
  }

  #onMessage(message: Msg, inbox: string): void {
    this.#heardAtMs = performance.now();
    const sequences = sequencesOf(message.reply ?? "");
    if (sequences === undefined) {
      this.#onControl(message, inbox);
      return;
    }
    if (sequences.consumer !== this.#deliveredCount + 1) {
      this.#subscription?.unsubscribe();
      this.#reopen("gap");
      return;
    }
    this.#deliveredCount = sequences.consumer;
    this.#next = sequences.stream + 1;
    this.#inPull -= 1;
    const traceparent = message.headers?.get(TRACEPARENT_HEADER) ?? "";
    this.#listener?.onMessage({ data: message.data, sequence: sequences.stream, traceparent });
    if (this.#inPull === 0) this.#pull(inbox);
  }

  #onControl(message: Msg, inbox: string): void {
    const code = message.headers?.code ?? 0;
    if (code === HEARTBEAT) return;
    if (code === REQUEST_TIMEOUT || code === NO_MESSAGES) this.#pull(inbox);
    else this.#reopen(`status ${String(code)}`);
  }

  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#stopped.signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    clearTimeout(timer);
  }
}

/** Error code of the JetStream API. */
const STREAM_NOT_FOUND = 10059;
/** Status codes of messages that carry no data. */
const HEARTBEAT = 100;
const NO_MESSAGES = 404;
const REQUEST_TIMEOUT = 408;

/** Out of `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, with 2 more tokens in front on newer servers. */
function sequencesOf(reply: string): { stream: number; consumer: number } | undefined {
  if (!reply.startsWith("$JS.ACK.")) return undefined;
  const tokens = reply.split(".");
  const shift = tokens.length > 9 ? 2 : 0;
  return { stream: Number(tokens[5 + shift]), consumer: Number(tokens[6 + shift]) };
}
