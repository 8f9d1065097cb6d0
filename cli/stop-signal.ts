/**
 * Signals that come within this time of the first are its echo: a terminal, npm and the bootstrap each pass
 * the same Ctrl-C on.
 */
const ECHO_MS = 750;
/** Exit code of a process that was told twice to stop: 128 + SIGINT, as shells have it. */
const HARD_EXIT_CODE = 130;

export interface StopSignal {
  readonly signal: AbortSignal;
  dispose(): void;
}

/**
 * Aborts on SIGINT and SIGTERM, and when the parent dies: for a supervised child (`COURTSIDE_SUPERVISED=1`)
 * that is the end of its standard input, for a child of the bootstrap the end of the channel to it. A second
 * signal ends the process at once.
 */
export function listenForStop(environment: NodeJS.ProcessEnv): StopSignal {
  const controller = new AbortController();
  let firstMs: number | undefined;
  const onSignal = (): void => {
    if (firstMs === undefined) {
      firstMs = performance.now();
      controller.abort();
    } else if (performance.now() - firstMs > ECHO_MS) {
      process.exit(HARD_EXIT_CODE);
    }
  };
  const onParentGone = (): void => {
    controller.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  process.on("SIGHUP", onSignal);
  const isSupervised = environment["COURTSIDE_SUPERVISED"] === "1";
  if (isSupervised) {
    process.stdin.on("close", onParentGone).on("error", onParentGone).resume();
    // Waiting for the parent's death must not keep a finished command alive.
    if ("unref" in process.stdin) process.stdin.unref();
  }
  if (process.connected) {
    process.on("disconnect", onParentGone);
    process.channel?.unref();
  }
  return {
    signal: controller.signal,
    dispose() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
      process.off("SIGHUP", onSignal);
      process.off("disconnect", onParentGone);
      if (isSupervised) process.stdin.destroy();
    },
  };
}
