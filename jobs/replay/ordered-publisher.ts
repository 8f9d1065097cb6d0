import {
  JetStreamApiError,
  jetstreamManager,
  type JetStreamManager,
  type MsgRequest,
} from "@nats-io/jetstream";
import { headers as createHeaders, type MsgHdrs, type NatsConnection } from "@nats-io/nats-core";
import { setTimeout as delay } from "node:timers/promises";
import { CourtsideError, errorText } from "../../base/errors.ts";
import { type Log } from "../../base/log.ts";
import { TRACEPARENT_HEADER } from "../../proto/subjects.ts";
import { AckInbox, type PublishReply } from "./ack-inbox.ts";

const MESSAGE_ID_HEADER = "Nats-Msg-Id";
const EXPECTED_SEQUENCE_HEADER = "Nats-Expected-Last-Subject-Sequence";

/** Broker's numbers of the refusals that are told apart. */
const WRONG_LAST_SEQUENCE = 10071;
const MESSAGE_TOO_LARGE = 10054;
const STREAM_FULL = 10077;
const NO_MESSAGE_FOUND = 10037;

/** Longest outage that is sat out: a cluster needs seconds for an election, a person minutes for a restart. */
const GIVE_UP_MS = 300_000;
/** An outage of this length is told to whoever watches. */
const TELL_AFTER_MS = 2_000;
const FIRST_BACK_OFF_MS = 25;
const MAX_BACK_OFF_MS = 1_000;
/** Longest wait for one answer of the broker's stream API. */
const API_TIMEOUT_MS = 2_000;

/** The broker gave no acknowledgement for minutes. */
export class BrokerUnavailableError extends CourtsideError {
  override readonly code = "BROKER_UNAVAILABLE";
  override readonly retryable = true;
}

/** The broker will not store the message, however often it is sent. */
export class PublishRefusedError extends CourtsideError {
  override readonly code = "PUBLISH_REFUSED";
  override readonly retryable = false;
  readonly brokerCode: number;

  constructor(subject: string, brokerCode: number, description: string) {
    super(`the broker refuses ${subject}: ${description} (${brokerCode})${adviceFor(brokerCode)}`);
    this.brokerCode = brokerCode;
  }
}

/** Somebody else writes the same game. */
export class PublishConflictError extends CourtsideError {
  override readonly code = "PUBLISH_CONFLICT";
  override readonly retryable = true;

  constructor(subject: string) {
    super(
      `${subject} got a message that is not of this replay; stop the other publisher and start again: ` +
        "what is stored is skipped",
    );
  }
}

export interface OutgoingMessage {
  readonly id: string;
  readonly payload: Uint8Array;
  /** Empty when not sampled. */
  readonly traceparent: string;
}

export interface OrderedPublisherOptions {
  /** Ends retries; what is in flight is still waited for. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface StoredMessage {
  readonly sequence: number;
  readonly id: string;
  readonly payload: Uint8Array;
}

/**
 * Stores messages so that each subject holds them in order and once, through lost acknowledgements, lost
 * connections and restarts of the broker.
 *
 * Every message names the sequence that must be the last one of its subject, so it can be stored at one place
 * only, and callers send the next message of a subject after the previous one's promise is fulfilled. What was
 * not answered is looked up before it is sent again. The broker's memory of message ids is a second line.
 */
export class OrderedPublisher {
  readonly #manager: JetStreamManager;
  readonly #inbox: AckInbox;
  readonly #stream: string;
  readonly #signal: AbortSignal;
  readonly #log: Log;
  /** Said once for all subjects that wait, until one is stored again. */
  #isWaiting = false;

  private constructor(
    manager: JetStreamManager,
    inbox: AckInbox,
    stream: string,
    { signal, log }: OrderedPublisherOptions,
  ) {
    this.#manager = manager;
    this.#inbox = inbox;
    this.#stream = stream;
    this.#signal = signal;
    this.#log = log;
  }

  static async open(
    nc: NatsConnection,
    stream: string,
    options: OrderedPublisherOptions,
  ): Promise<OrderedPublisher> {
    const manager = await jetstreamManager(nc, { checkAPI: false, timeout: API_TIMEOUT_MS });
    return new OrderedPublisher(manager, new AckInbox(nc), stream, options);
  }

  close(): void {
    this.#inbox.close();
  }

  /** The last message of a subject, retried while the broker is away. */
  last(subject: string): Promise<StoredMessage | undefined> {
    return this.#retry(subject, () => this.#read({ last_by_subj: subject }));
  }

  /** The first message of a subject at or behind a sequence, retried while the broker is away. */
  next(subject: string, sequence: number): Promise<StoredMessage | undefined> {
    // Servers answer this since 2.9; the client's type for it is missing.
    const query = { seq: sequence, next_by_subj: subject } as MsgRequest;
    return this.#retry(subject, () => this.#read(query));
  }

  /**
   * @param after - sequence of the subject's last message, 0 for none.
   * @returns the sequence that the message got.
   * @throws PublishConflictError, PublishRefusedError, BrokerUnavailableError
   */
  publish(subject: string, after: number, message: OutgoingMessage): Promise<number> {
    const headers = headersOf(message, after);
    let isFirst = true;
    return this.#retry(subject, async () => {
      if (!isFirst) {
        const stored = await this.#findStored(subject, after, message.id);
        if (stored !== undefined) return stored;
      }
      isFirst = false;
      const reply = await this.#inbox.publish(subject, message.payload, headers);
      return this.#judge(subject, after, message.id, reply);
    });
  }

  async #judge(subject: string, after: number, id: string, reply: PublishReply): Promise<number> {
    switch (reply.kind) {
      case "stored":
        return reply.sequence;
      case "unanswered":
        throw new RetryError(reply.reason);
      case "refused": {
        if (reply.code !== WRONG_LAST_SEQUENCE) throw refusal(subject, reply);
        const stored = await this.#findStored(subject, after, id);
        if (stored === undefined) throw new RetryError("the broker changed its mind");
        return stored;
      }
      default:
        return reply satisfies never;
    }
  }

  /** The sequence of our own message when it is stored, undefined when nothing came behind `after`. */
  async #findStored(subject: string, after: number, id: string): Promise<number | undefined> {
    const last = await this.#read({ last_by_subj: subject });
    const lastSequence = last?.sequence ?? 0;
    if (lastSequence === after) return undefined;
    if (last?.id === id) return lastSequence;
    throw new PublishConflictError(subject);
  }

  async #read(query: MsgRequest): Promise<StoredMessage | undefined> {
    try {
      const found = await this.#manager.streams.getMessage(this.#stream, query);
      if (found === null) return undefined;
      const id = found.header.get(MESSAGE_ID_HEADER);
      return { sequence: found.seq, id, payload: found.data };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw new RetryError(errorText(error), { cause: error });
    }
  }

  async #retry<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    let backOffMs = FIRST_BACK_OFF_MS;
    for (;;) {
      try {
        const result = await attempt();
        this.#tellArrived();
        return result;
      } catch (error) {
        if (!(error instanceof RetryError)) throw error;
        this.#signal.throwIfAborted();
        const waitedMs = performance.now() - startedMs;
        if (waitedMs > TELL_AFTER_MS) this.#tellWaiting(what, error);
        if (waitedMs > GIVE_UP_MS) {
          throw new BrokerUnavailableError(
            `the broker did not take ${what} for ${GIVE_UP_MS / 1000} s: ${error.message}; ` +
              "start it again, then this replay: it goes on where it stopped",
            { cause: error },
          );
        }
      }
      await delay(backOffMs, undefined, { signal: this.#signal });
      backOffMs = Math.min(MAX_BACK_OFF_MS, backOffMs * 2);
    }
  }

  #tellWaiting(what: string, error: Error): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#log.warn("publish.waiting_for_broker", { subject: what, error: error.message });
  }

  #tellArrived(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#log.info("publish.goes_on");
  }
}

/** Inside this file only: the same attempt may succeed a little later. */
class RetryError extends CourtsideError {
  override readonly code = "RETRY";
  override readonly retryable = true;
}

function headersOf(message: OutgoingMessage, after: number): MsgHdrs {
  const headers = createHeaders();
  headers.set(MESSAGE_ID_HEADER, message.id);
  headers.set(EXPECTED_SEQUENCE_HEADER, String(after));
  if (message.traceparent !== "") headers.set(TRACEPARENT_HEADER, message.traceparent);
  return headers;
}

/** Refusals that pass by themselves (no leader yet, short of resources) are tried again. */
function refusal(subject: string, { code, description }: { code: number; description: string }) {
  const isFinal = code === STREAM_FULL || code === MESSAGE_TOO_LARGE;
  return isFinal
    ? new PublishRefusedError(subject, code, description)
    : new RetryError(`${description} (${code})`);
}

function adviceFor(brokerCode: number): string {
  if (brokerCode !== STREAM_FULL) return "";
  return "; the stream is full: raise its max_bytes, or start on an empty store";
}

function isNotFound(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === NO_MESSAGE_FOUND;
}
