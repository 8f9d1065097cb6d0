import { connect } from "@nats-io/transport-node";
import { type NatsConnection } from "@nats-io/nats-core";
import { setTimeout as delay } from "node:timers/promises";
import { CourtsideError, errorText } from "../base/errors.ts";
import { natsServersOf, withoutCredentials } from "../base/nats-url.ts";

/** Longest wait for a broker that is just being started; a local one answers in 60 ms. */
const START_WAIT_MS = 20_000;

/** Pause between two attempts to connect, at first and after a loss. */
const RECONNECT_WAIT_MS = 50;

/** Nobody answers at the broker's address. */
export class BrokerUnreachableError extends CourtsideError {
  override readonly code = "BROKER_UNREACHABLE";
  override readonly retryable = true;
  readonly url: string;

  constructor(url: string, detail: string, options?: ErrorOptions) {
    super(
      `no NATS server answers at ${url}: ${detail}; start one with "courtside nats" or name another with --nats-url`,
      options,
    );
    this.url = url;
  }
}

export interface OpenNatsOptions {
  /** Shown in the broker's list of connections. */
  readonly name: string;
  /** How long a refused connection is tried again, milliseconds. Default 20,000. */
  readonly waitMs?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
}

/**
 * A connection that waits for a broker that is being started and comes back by itself after a loss, for ever.
 * @param url - for example `nats://127.0.0.1:4222`.
 * @throws BrokerUnreachableError when nothing answers in time.
 */
export async function openNats(url: string, options: OpenNatsOptions): Promise<NatsConnection> {
  const deadlineMs = performance.now() + (options.waitMs ?? START_WAIT_MS);
  for (;;) {
    try {
      return await connect({
        ...natsServersOf(url),
        name: options.name,
        // Capturing a stack for every call costs more than the call (27 against 5 µs).
        noAsyncTraces: true,
        maxReconnectAttempts: -1,
        reconnectTimeWait: RECONNECT_WAIT_MS,
      });
    } catch (error) {
      if (performance.now() >= deadlineMs) {
        throw new BrokerUnreachableError(withoutCredentials(url), errorText(error), {
          cause: error,
        });
      }
      await delay(RECONNECT_WAIT_MS, undefined, { signal: options.signal });
    }
  }
}
