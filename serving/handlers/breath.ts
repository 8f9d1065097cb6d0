import { setImmediate as nextTurn } from "node:timers/promises";

/** Work between two looks at the sockets; 5 ms is what a call may be held up. */
const MAX_WORK_MS = 2;
/** Reading the clock costs as much as a few fields. */
const ROWS_BETWEEN_LOOKS = 16;

/** Long work on the event loop, cut into pieces: `if (breath.isDue()) await breath.take()` between rows. */
export interface Breath {
  isDue(): boolean;
  take(): Promise<void>;
}

export function startBreath(): Breath {
  let startMs = performance.now();
  let rows = 0;
  return {
    isDue() {
      rows += 1;
      if (rows % ROWS_BETWEEN_LOOKS !== 0) return false;
      return performance.now() - startMs > MAX_WORK_MS;
    },
    async take() {
      await nextTurn();
      startMs = performance.now();
    },
  };
}
