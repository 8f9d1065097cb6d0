/** Tools to test jobs with, for everyone who writes one. */
export {
  type Collect,
  type Emitted,
  Harness,
  type HarnessOptions,
  type HarnessSnapshot,
} from "./harness.ts";
export { type Step, survivesRestart } from "./survives-restart.ts";
