/**
 * An error that is not a bug: it has a stable code, says whether trying again can help, and keeps its
 * cause. Subclasses live next to the code that throws them.
 */
export abstract class CourtsideError extends Error {
  /** Stable, upper snake case, for example `PORT_IN_USE`. */
  abstract readonly code: string;
  /** True when the same call may succeed later without anybody changing anything. */
  abstract readonly retryable: boolean;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** What the person in front asked for cannot be done; the message says how to ask. Exit code 2. */
export class UsageError extends CourtsideError {
  override readonly code = "USAGE";
  override readonly retryable = false;
}

/** The text of anything that was thrown, for a log line or a `cause`. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
