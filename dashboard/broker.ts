import { connect } from "@nats-io/transport-node";
import { type NatsConnection } from "@nats-io/nats-core";
import { CourtsideError, errorText } from "../base/errors.ts";
import { natsServersOf, withoutCredentials } from "../base/nats-url.ts";

/** Longest wait for a broker that is just being started; a local one answers in 60 ms. */
export const BROKER_WAIT_MS = 20_000;

/** Pause between two attempts to connect, at first and after a loss. */
const RECONNECT_WAIT_MS = 50;

/** There is no broker at the address. */
export class BrokerUnreachableError extends CourtsideError {
  override readonly code = "BROKER_UNREACHABLE";
  override readonly retryable = true;

  constructor(url: string, options?: ErrorOptions) {
    super(
      `no NATS server answers at ${url} (${errorText(options?.cause)}); ` +
        `start one with "courtside nats" or name another with --nats-url`,
      options,
    );
  }
}

/**
 * A connection that comes back by itself after a loss, for ever.
 * @param waitMs - how long a refused connection is tried again, milliseconds.
 * @throws BrokerUnreachableError when nothing answers in time or `signal` is aborted before.
 */
export async function connectBroker(
  url: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<NatsConnection> {
  const deadlineMs = performance.now() + waitMs;
  for (;;) {
    try {
      return await connect({
        ...natsServersOf(url),
        name: "courtside-dashboard",
        // Capturing a stack for every call costs more than the call.
        noAsyncTraces: true,
        maxReconnectAttempts: -1,
        reconnectTimeWait: RECONNECT_WAIT_MS,
      });
    } catch (cause) {
      if (signal.aborted || performance.now() >= deadlineMs) {
        throw new BrokerUnreachableError(withoutCredentials(url), { cause });
      }
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_WAIT_MS));
    }
  }
}
