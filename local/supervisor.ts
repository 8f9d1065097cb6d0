import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CourtsideError, errorText } from "../base/errors.ts";
import {
  startChild,
  type Child,
  type ChildExit,
  type ChildMessage,
  type ChildSpec,
} from "./child.ts";
import { DiskFullError, MIN_RUNNING_FREE_BYTES } from "./data-dir.ts";
import { isErrno } from "./process.ts";
import type { RunProcess } from "./run-file.ts";

/** The slowest child, the store with a season in it, is ready in five seconds on two busy cores. */
const READY_TIMEOUT_MS = 60_000;
const STOP_GRACE_MS = 10_000;
/** A child that is not ready yet has nothing to put in order, and may be deep in a wait for another one. */
const EARLY_STOP_GRACE_MS = 1_000;
const FIRST_BACK_OFF_MS = 100;
const MAX_BACK_OFF_MS = 5_000;
/** A child that ends by its own doing more often than this within the time below will not do better the next time. */
const MAX_CRASHES = 5;
const CRASH_WINDOW_MS = 60_000;
/** Ends by a signal come from outside, so more of them are borne: only endless ones stop the run. */
const MAX_KILLS = 30;
/** Exit code of a wrong flag: the same flags will be wrong again. */
const USAGE_EXIT_CODE = 2;

/** A child failed for good. */
export class ChildFailedError extends CourtsideError {
  override readonly code = "CHILD_FAILED";
  override readonly retryable = false;
  readonly childName: string;

  constructor(childName: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.childName = childName;
  }
}

export interface SupervisorOptions {
  /** Folder of the log files. */
  readonly logs: string;
  /** Program that is run with each child's arguments; this one by default. */
  readonly main?: string;
  readonly readyTimeoutMs?: number;
  /** Told what happens to the children, a sentence each. */
  say(text: string): void;
  /** The set of running processes changed. */
  onProcesses?(processes: readonly RunProcess[]): void;
}

interface Supervised {
  readonly spec: ChildSpec;
  readonly logFile: string;
  child: Child | undefined;
  isReady: boolean;
  /** When it ended lately, by its own doing or by a signal. */
  crashesMs: readonly number[];
  killsMs: readonly number[];
  /** Settles when its keeping is over. */
  kept: Promise<void>;
}

type OnMessage = (message: ChildMessage) => void;

/**
 * Keeps children running until it is stopped. A child goes through: starting → ready → (ended → waiting →
 * starting …) until `stop`. An end before the first `ready` fails the start at once unless it was killed; a
 * later one is followed by a new start with the same arguments, hence on the same ports.
 */
export class Supervisor {
  /** Rejects when a child failed for good; never resolves. */
  readonly failed: Promise<never>;
  readonly #fail: (reason: unknown) => void;
  readonly #options: SupervisorOptions;
  readonly #stopping = new AbortController();
  readonly #entries: Supervised[] = [];
  readonly #launching = new Set<Promise<Child>>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const failure = Promise.withResolvers<never>();
    // A failure while nobody waits must not end the process with an unhandled rejection.
    failure.promise.catch(() => {});
    this.failed = failure.promise;
    this.#fail = failure.reject;
  }

  /** Starts a child that is to run until the end and waits until it says `{"ready":true}`. */
  async start(spec: ChildSpec): Promise<ChildMessage> {
    const entry = this.#enter(spec);
    const [child, message] = await this.#bringUp(entry, true);
    entry.kept = this.#keep(entry, child);
    return message;
  }

  /**
   * Runs a child that ends by itself, and starts it again when it is killed.
   *
   * @returns the last message that it wrote.
   * @throws ChildFailedError with its last lines when it ends with another code than 0.
   */
  async run(spec: ChildSpec, onMessage: OnMessage): Promise<ChildMessage> {
    const entry = this.#enter(spec);
    for (;;) {
      let last: ChildMessage = {};
      entry.isReady = true;
      const child = await this.#launch(entry, (message) => {
        last = message;
        onMessage(message);
      });
      const exit = await child.exited;
      this.#stopping.signal.throwIfAborted();
      if (exit.code === 0) return last;
      await this.#afterEnd(entry, child, exit, true);
    }
  }

  /** Stops all children, the last started first. Nothing is started afterwards. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    // A child that is being started right now stops itself when it sees the signal.
    await Promise.allSettled(this.#launching);
    for (const entry of this.#entries.toReversed()) {
      await entry.child?.stop(entry.isReady ? STOP_GRACE_MS : EARLY_STOP_GRACE_MS);
      await entry.kept;
    }
  }

  #enter(spec: ChildSpec): Supervised {
    this.#stopping.signal.throwIfAborted();
    const entry: Supervised = {
      spec,
      logFile: join(this.#options.logs, `${spec.name}.log`),
      child: undefined,
      isReady: false,
      crashesMs: [],
      killsMs: [],
      kept: Promise.resolve(),
    };
    this.#entries.push(entry);
    return entry;
  }

  async #keep(entry: Supervised, first: Child): Promise<void> {
    let child = first;
    try {
      for (;;) {
        const exit = await child.exited;
        entry.isReady = false;
        if (this.#stopping.signal.aborted) return;
        await this.#afterEnd(entry, child, exit, false);
        [child] = await this.#bringUp(entry, false);
        this.#options.say(`${entry.spec.name} is ready again`);
      }
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#fail(error);
    }
  }

  /** Starts until it is ready. @throws ChildFailedError */
  async #bringUp(entry: Supervised, isFirst: boolean): Promise<[Child, ChildMessage]> {
    for (;;) {
      this.#stopping.signal.throwIfAborted();
      const ready = Promise.withResolvers<ChildMessage>();
      const child = await this.#launch(entry, (message) => {
        if (message["ready"] === true) ready.resolve(message);
      });
      const message = await this.#within(entry, child, ready.promise);
      entry.isReady = message !== undefined;
      if (message !== undefined) return [child, message];
      const exit = await child.exited;
      this.#stopping.signal.throwIfAborted();
      await this.#afterEnd(entry, child, exit, isFirst);
    }
  }

  /** @returns the message, or undefined when the child ended first. @throws ChildFailedError when it is late. */
  async #within(
    entry: Supervised,
    child: Child,
    ready: Promise<ChildMessage>,
  ): Promise<ChildMessage | undefined> {
    const timeoutMs = this.#options.readyTimeoutMs ?? READY_TIMEOUT_MS;
    const timer = new AbortController();
    try {
      const seen = await Promise.race([
        ready,
        child.exited.then(() => undefined),
        delay(timeoutMs, "late" as const, { signal: timer.signal }),
      ]);
      if (seen !== "late") return seen;
    } finally {
      timer.abort();
    }
    await child.stop(STOP_GRACE_MS);
    const { name } = entry.spec;
    const text = `${name} was not ready after ${timeoutMs / 1000} s${tail(child, entry)}`;
    throw new ChildFailedError(name, text);
  }

  async #launch(entry: Supervised, onMessage: OnMessage): Promise<Child> {
    const started = this.#launchNow(entry, onMessage);
    this.#launching.add(started);
    try {
      return await started;
    } finally {
      this.#launching.delete(started);
    }
  }

  async #launchNow(entry: Supervised, onMessage: OnMessage): Promise<Child> {
    const { logs, main } = this.#options;
    const child = await startChild(entry.spec, {
      logFile: entry.logFile,
      ...(main !== undefined && { main }),
      onMessage,
      onLogError: (error) => {
        this.#fail(explainLogError(error, logs));
      },
    });
    entry.child = child;
    this.#announce();
    void this.#forget(entry, child);
    if (this.#stopping.signal.aborted) await child.stop(STOP_GRACE_MS);
    return child;
  }

  async #forget(entry: Supervised, child: Child): Promise<void> {
    await child.exited;
    if (entry.child === child) entry.child = undefined;
    this.#announce();
  }

  #announce(): void {
    const running = this.#entries.flatMap(({ spec, child }) =>
      child?.identity === undefined
        ? []
        : [{ name: spec.name, pid: child.identity.pid, start_time: child.identity.startTime }],
    );
    this.#options.onProcesses?.(running);
  }

  /**
   * Waits as long as the back-off says.
   *
   * @param isFatal - when an end by its own doing is one too many.
   * @throws ChildFailedError when the child is not to be started again.
   */
  async #afterEnd(
    entry: Supervised,
    child: Child,
    exit: ChildExit,
    isFatal: boolean,
  ): Promise<void> {
    const { name } = entry.spec;
    const wasKilled = exit.signal !== null;
    const recent = recentEnds(wasKilled ? entry.killsMs : entry.crashesMs);
    if (wasKilled) entry.killsMs = recent;
    else entry.crashesMs = recent;
    const tooOften = recent.length >= (wasKilled ? MAX_KILLS : MAX_CRASHES);
    if (tooOften || (!wasKilled && (isFatal || exit.code === USAGE_EXIT_CODE))) {
      const often = `${recent.length} times in ${CRASH_WINDOW_MS / 1000} s, the last time `;
      throw new ChildFailedError(
        name,
        `${name} ended ${tooOften ? often : ""}${how(exit)}${tail(child, entry)}`,
      );
    }
    const backOffMs = Math.min(FIRST_BACK_OFF_MS * 2 ** (recent.length - 1), MAX_BACK_OFF_MS);
    this.#options.say(`${name} ended ${how(exit)}; starting it again in ${backOffMs} ms`);
    await delay(backOffMs, undefined, { signal: this.#stopping.signal });
  }
}

/** The ends that still count, the one of now included. */
function recentEnds(endsMs: readonly number[]): readonly number[] {
  const nowMs = performance.now();
  return [...endsMs.filter((endMs) => nowMs - endMs < CRASH_WINDOW_MS), nowMs];
}

function how(exit: ChildExit): string {
  return exit.signal === null ? `with exit code ${exit.code ?? "?"}` : `by ${exit.signal}`;
}

function tail(child: Child, entry: Supervised): string {
  const lines = child.lastLines();
  const shown =
    lines.length === 0 ? "  (it said nothing)" : lines.map((line) => `  ${line}`).join("\n");
  return `; its last lines (${entry.logFile}):\n${shown}`;
}

function explainLogError(error: unknown, logs: string): CourtsideError {
  if (isErrno(error, "ENOSPC")) {
    return new DiskFullError(logs, 0, MIN_RUNNING_FREE_BYTES, { cause: error });
  }
  return new ChildFailedError("logs", `cannot write logs to ${logs}: ${errorText(error)}`, {
    cause: error,
  });
}
