import { CourtsideError } from "../base/errors.ts";

/** The server, or one client's share of it, is full; trying later can help. */
export class TooManyCallsError extends CourtsideError {
  override readonly code = "TOO_MANY_CALLS";
  override readonly retryable = true;
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.retryAfterMs = Math.max(1, Math.ceil(retryAfterMs));
  }
}

export interface CallLimits {
  /** Calls of all clients at once; a call costs 0.1 to 0.2 ms, so that the last one waits 0.2 s at most. */
  readonly maxCalls: number;
  /** Calls of one client at once. */
  readonly maxCallsPerClient: number;
  /** Calls that a client may begin in a second, with as many at once after a pause; 0 for any number. */
  readonly callsPerSecondPerClient: number;
}

export const CALL_LIMITS: CallLimits = {
  maxCalls: 1_024,
  maxCallsPerClient: 512,
  callsPerSecondPerClient: 0,
};

/** Who may call how often. A client is whoever the transport says: a certificate's name, else an address. */
export interface Admission {
  /**
   * Lets a call in.
   * @returns what to call once when it has ended.
   * @throws TooManyCallsError
   */
  enter(client: string): () => void;
  readonly calls: number;
}

/** Clients that are remembered; those without a call under way are forgotten first. */
const MAX_CLIENTS = 10_000;
/** What a caller that met a full server should wait: a good part of what is under way has been answered then. */
const RETRY_AFTER_MS = 50;

interface Client {
  calls: number;
  /** Calls that may begin now. */
  tokens: number;
  filledMs: number;
}

export function createAdmission(
  limits: Partial<CallLimits> = {},
  nowMs: () => number = () => performance.now(),
): Admission {
  const { maxCalls, maxCallsPerClient, callsPerSecondPerClient } = { ...CALL_LIMITS, ...limits };
  const clients = new Map<string, Client>();
  let calls = 0;

  const clientOf = (name: string): Client => {
    let client = clients.get(name);
    if (client === undefined) {
      if (clients.size >= MAX_CLIENTS) forgetOne(clients);
      client = { calls: 0, tokens: callsPerSecondPerClient, filledMs: nowMs() };
      clients.set(name, client);
    }
    return client;
  };
  const takeToken = (client: Client): void => {
    const now = nowMs();
    const filled = client.tokens + ((now - client.filledMs) / 1_000) * callsPerSecondPerClient;
    client.tokens = Math.min(callsPerSecondPerClient, filled);
    client.filledMs = now;
    if (client.tokens < 1) {
      const waitMs = ((1 - client.tokens) / callsPerSecondPerClient) * 1_000;
      const message = `more than ${callsPerSecondPerClient} calls a second of one client`;
      throw new TooManyCallsError(message, waitMs);
    }
    client.tokens -= 1;
  };
  return {
    get calls() {
      return calls;
    },
    enter(name) {
      if (calls >= maxCalls) {
        throw new TooManyCallsError(`the server has ${maxCalls} calls under way`, RETRY_AFTER_MS);
      }
      const client = clientOf(name);
      if (client.calls >= maxCallsPerClient) {
        const message = `this client has ${maxCallsPerClient} calls under way`;
        throw new TooManyCallsError(message, RETRY_AFTER_MS);
      }
      if (callsPerSecondPerClient > 0) takeToken(client);
      calls += 1;
      client.calls += 1;
      let isInside = true;
      return () => {
        if (!isInside) return;
        isInside = false;
        calls -= 1;
        client.calls -= 1;
        if (client.calls === 0 && callsPerSecondPerClient === 0) clients.delete(name);
      };
    },
  };
}

function forgetOne(clients: Map<string, Client>): void {
  for (const [name, client] of clients) {
    if (client.calls > 0) continue;
    clients.delete(name);
    return;
  }
}
