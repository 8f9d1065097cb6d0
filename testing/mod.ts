/** Tools to test jobs with, for everyone who writes one. */
export {
  type Collect,
  type Emitted,
  Harness,
  type HarnessOptions,
  type HarnessSnapshot,
} from "./harness.ts";
export { type Step, survivesRestart } from "./survives-restart.ts";
export { LogSource, MemoryLog } from "./memory-log.ts";
export { MemoryBlobs, MemoryHead } from "./memory-blobs.ts";
export {
  type Committed,
  MiniRunner,
  type MiniRunnerOptions,
  type Progress,
} from "./mini-runner.ts";
