/** How much a client may ask of a server that does not answer well; shared by all calls of one connection. */
export interface RetryBudget {
  /** Takes a token for another try. @returns false when there is none: the failure is told instead. */
  take(): boolean;
  /** A call was answered: a part of a token comes back. */
  answered(): void;
}

/**
 * Tries beyond the first that a client may make while nothing is answered. One call makes seven at most; twenty let a
 * few calls ride out a restart, and do not let thousands of them hammer a server that is down.
 */
const MAX_TOKENS = 20;
/** Retries may add a tenth to the load of a server that answers. */
const TOKENS_PER_ANSWER = 0.1;

export function createRetryBudget(maxTokens = MAX_TOKENS): RetryBudget {
  let tokens = maxTokens;
  return {
    take() {
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
    answered() {
      tokens = Math.min(maxTokens, tokens + TOKENS_PER_ANSWER);
    },
  };
}

/**
 * Keeps calls back that a full server would only have to refuse: refusing costs it most of what answering does.
 * Client-side throttling as in "Site Reliability Engineering", chapter 21: a call is refused here with probability
 * `(asked - K * accepted) / (asked + 1)` of the last seconds, calls that were kept back among the asked.
 */
export interface Throttle {
  /** @returns false when the call should not be made. */
  mayAsk(): boolean;
  /** A call that was made has ended. @param accepted - false when the server refused it as too much. */
  tell(accepted: boolean): void;
}

/** K: calls that are made for each one that is accepted; enough to notice soon that the server has room again. */
const ASKED_PER_ACCEPTED = 1.2;
/** Share of calls that is made whatever was refused: how else would one know that the server has room again. */
const MIN_MADE = 0.1;
/** Counts are halved in this time, so that a second after an overload nothing is kept back any more. */
const HALF_LIFE_MS = 300;
/** Counts are faded so often within a half-life. */
const FADES = 100;

export function createThrottle(
  nowMs: () => number = () => performance.now(),
  random: () => number = Math.random,
): Throttle {
  let asked = 0;
  let accepted = 0;
  let countedMs = nowMs();

  const fade = (): void => {
    const now = nowMs();
    if (now - countedMs < HALF_LIFE_MS / FADES) return;
    const factor = 2 ** (-(now - countedMs) / HALF_LIFE_MS);
    asked *= factor;
    accepted *= factor;
    countedMs = now;
  };
  return {
    mayAsk() {
      fade();
      const refusal = (asked - ASKED_PER_ACCEPTED * accepted) / (asked + 1);
      if (refusal <= 0 || random() >= Math.min(1 - MIN_MADE, refusal)) return true;
      asked += 1;
      return false;
    },
    tell(isAccepted) {
      fade();
      asked += 1;
      if (isAccepted) accepted += 1;
    },
  };
}
