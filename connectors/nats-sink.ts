import { JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import { createInbox, headers, type NatsConnection, type Subscription } from "@nats-io/nats-core";
import { CourtsideError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { ImmediateSink, Position } from "../operators/runtime/sink.ts";

/** The broker refused an output, or did not confirm it in time. */
export class PublishError extends CourtsideError {
  override readonly code = "PUBLISH_FAILED";
  override readonly retryable = true;
}

/** Outputs under way at once: covers a round trip of a few milliseconds at 50,000 messages a second. */
const MAX_IN_FLIGHT = 512;
/** An output that is not confirmed after so long is sent again, with the same id. */
const RESEND_AFTER_MS = 2000;
/** The same while recovering, when one output is under way at a time. */
const RECOVERY_RESEND_AFTER_MS = 250;
/** How long the broker may be away before the task gives up and starts again from its checkpoint. */
const GIVE_UP_AFTER_MS = 60_000;
const CHECK_EVERY_MS = 250;
const BROKER_MESSAGE_ID = "Nats-Msg-Id";
/** Error code of an answer that says: not now. */
const UNAVAILABLE = 503;
/** Code of the stream API for a subject without messages. */
const NO_MESSAGE = 10_037;
/** Questions under way at once. */
const LOOK_UPS = 32;

interface Pending {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly id: string;
  readonly traceparent: string;
  readonly firstSentMs: number;
  sentMs: number;
}

export interface NatsSinkOptions<T> {
  readonly uid: string;
  readonly connection: NatsConnection;
  readonly job: string;
  readonly traceparentHeader: string;
  readonly log: Log;
  encode(value: T, position: Position, epoch: number): { subject: string; data: Uint8Array };
  /** With it, what the stream holds already is not sent again, however long ago it was stored. */
  readonly stored?: StoredOutputs;
  /** Told when the broker has stored the output. */
  onStored?(value: T, sequence: number): void;
}

/** Where the outputs of each key group lie, to find the last one. */
export interface StoredOutputs {
  readonly stream: string;
  readonly keyGroups: { readonly first: number; readonly last: number };
  /** Subject of all outputs of a key group. */
  subjectOf(keyGroup: number): string;
  positionOf(data: Uint8Array): Position | undefined;
}

/**
 * Publishes each output at once and keeps it until the broker has confirmed it.
 *
 * Two states. _Flowing_: outputs are sent as they come; the broker takes them off one connection in their
 * order, so what it has stored is always a beginning of what was sent. _Recovering_, after a lost connection
 * or a missing confirmation: what is unconfirmed is sent again from the oldest on, with the same ids (the
 * broker drops what it has), one at a time, and new outputs wait behind it. So the stream never has an
 * output before an older one, which readers rely on when they refuse positions that they have passed.
 */
export class NatsSink<T> implements ImmediateSink<T> {
  readonly mode = "immediate";
  readonly uid: string;
  readonly #options: NatsSinkOptions<T>;
  readonly #inbox = createInbox();
  /** By message number, oldest first. */
  readonly #pending = new Map<number, Pending & { readonly value: T }>();
  /** By key group, while a replay is behind what the stream holds. */
  readonly #stored = new Map<number, Position>();
  #subscription: Subscription | undefined;
  #next = 0;
  #epoch = 1;
  #failure: Error | undefined;
  #timer: NodeJS.Timeout | undefined;
  #waiters: (() => void)[] = [];
  #closed = false;
  #flowing = true;
  #connected = true;

  constructor(options: NatsSinkOptions<T>) {
    this.uid = options.uid;
    this.#options = options;
  }

  async open(epoch: number): Promise<void> {
    this.#epoch = epoch;
    await this.#findStored();
    this.#subscription = this.#options.connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error !== null) return;
        const number = Number(message.subject.slice(this.#inbox.length + 1));
        this.#onAck(number, message.data.length === 0 ? undefined : message.json());
      },
    });
    this.#timer = setInterval(() => this.#resendOverdue(), CHECK_EVERY_MS);
    void this.#followConnection();
  }

  write(value: T, position: Position, traceparent: string): void {
    this.#throwFailure();
    const last = this.#stored.get(position.keyGroup);
    if (last !== undefined) {
      if (!isBeyond(position, last)) return;
      this.#stored.delete(position.keyGroup);
    }
    const { subject, data } = this.#options.encode(value, position, this.#epoch);
    const { keyGroup, inputSequence, index } = position;
    const id = `${this.#options.job}/${this.uid}/${String(keyGroup)}/${String(inputSequence)}/${String(index)}`;
    const nowMs = performance.now();
    const pending = { value, subject, data, id, traceparent, firstSentMs: nowMs, sentMs: nowMs };
    this.#next += 1;
    this.#pending.set(this.#next, pending);
    if (this.#flowing) this.#send(this.#next, pending);
  }

  blocked(): Promise<void> | undefined {
    return this.#pending.size < MAX_IN_FLIGHT
      ? undefined
      : this.#until(() => this.#pending.size < MAX_IN_FLIGHT);
  }

  async flush(): Promise<void> {
    const last = this.#next;
    await this.#until(() => {
      const [oldest] = this.#pending.keys();
      return oldest === undefined || oldest > last;
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#subscription?.unsubscribe();
    return Promise.resolve();
  }

  /** The last output of every key group: a replay makes those up to it again. */
  async #findStored(): Promise<void> {
    const { stored, connection } = this.#options;
    if (stored === undefined) return;
    const manager = await jetstreamManager(connection, { checkAPI: false });
    const { first, last } = stored.keyGroups;
    const find = async (keyGroup: number): Promise<void> => {
      const message = await manager.streams
        .getMessage(stored.stream, { last_by_subj: stored.subjectOf(keyGroup) })
        .catch((error: unknown) => {
          if (error instanceof JetStreamApiError && error.code === NO_MESSAGE) return null;
          throw new PublishError(
            `the broker does not tell the last output of key group ${String(keyGroup)}`,
            { cause: error },
          );
        });
      const position = message === null ? undefined : stored.positionOf(message.data);
      if (position !== undefined) this.#stored.set(keyGroup, position);
    };
    const groups = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    for (let from = 0; from < groups.length; from += LOOK_UPS)
      await Promise.all(groups.slice(from, from + LOOK_UPS).map(find));
  }

  #send(number: number, pending: Pending): void {
    const { connection, traceparentHeader } = this.#options;
    const header = headers();
    header.set(BROKER_MESSAGE_ID, pending.id);
    if (pending.traceparent !== "") header.set(traceparentHeader, pending.traceparent);
    connection.publish(pending.subject, pending.data, {
      reply: `${this.#inbox}.${String(number)}`,
      headers: header,
    });
  }

  #onAck(number: number, answer: unknown): void {
    const pending = this.#pending.get(number);
    if (pending === undefined) return;
    const error = (answer as { error?: { description?: string; code?: number } } | undefined)
      ?.error;
    // Nobody listens, or JetStream is not available yet: a server that starts, a leader that is elected.
    if (answer === undefined || error?.code === UNAVAILABLE) {
      this.#flowing = false;
      return;
    }
    if (error !== undefined) {
      this.#fail(`the broker refused an output: ${error.description ?? "no reason given"}`);
      return;
    }
    this.#pending.delete(number);
    this.#options.onStored?.(pending.value, (answer as { seq?: number }).seq ?? 0);
    if (!this.#flowing) this.#recover();
    this.#wake();
  }

  /** Sends the oldest unconfirmed output again; flows again when there is none. */
  #recover(): void {
    const [oldest] = this.#pending;
    this.#flowing = this.#connected && oldest === undefined;
    if (oldest === undefined || !this.#connected) return;
    const [number, pending] = oldest;
    pending.sentMs = performance.now();
    this.#send(number, pending);
  }

  #resendOverdue(): void {
    const nowMs = performance.now();
    const [oldest] = this.#pending.values();
    if (oldest === undefined) return;
    const limitMs = this.#flowing ? RESEND_AFTER_MS : RECOVERY_RESEND_AFTER_MS;
    if (nowMs - oldest.firstSentMs > GIVE_UP_AFTER_MS)
      this.#fail(
        `an output has waited ${String(GIVE_UP_AFTER_MS / 1000)} s for the broker; is nats-server up?`,
      );
    else if (nowMs - oldest.sentMs > limitMs) {
      this.#flowing = false;
      this.#recover();
    }
  }

  async #followConnection(): Promise<void> {
    for await (const { type } of this.#options.connection.status()) {
      if (this.#closed) return;
      if (type === "disconnect") {
        this.#connected = false;
        this.#flowing = false;
      }
      if (type === "reconnect") {
        this.#connected = true;
        this.#options.log.info("sink_recovers", { outputs: this.#pending.size });
        this.#recover();
      }
    }
  }

  async #until(condition: () => boolean): Promise<void> {
    for (;;) {
      this.#throwFailure();
      if (condition()) return;
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
      });
    }
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  #fail(message: string): void {
    this.#failure ??= new PublishError(message);
    this.#wake();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

function isBeyond(position: Position, last: Position): boolean {
  return position.inputSequence === last.inputSequence
    ? position.index > last.index
    : position.inputSequence > last.inputSequence;
}
